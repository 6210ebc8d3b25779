#include "faceswap/synthetic/clip.h"

#include <fmt/format.h>

#include <cmath>
#include <deque>
#include <fstream>
#include <future>
#include <nlohmann/json.hpp>
#include <numbers>
#include <thread>

#include "faceswap/media/media.h"
#include "faceswap/progress.h"

namespace faceswap {
namespace {

constexpr int kSoundRate = 48000;

void check(const ClipOptions& options, const std::filesystem::path& truth) {
  const auto refuse = [](const std::string& message) {
    throw Error(ErrorKind::usage, "synthetic clip: " + message);
  };
  if (options.width < 16 || options.height < 16 || options.width % 2 != 0 ||
      options.height % 2 != 0)
    refuse(fmt::format("{} x {} pixels, expected an even width and height of at least 16",
                       options.width, options.height));
  if (options.frames < 1) refuse(fmt::format("{} frames, expected at least 1", options.frames));
  if (options.fps < 1 || options.fps > 240)
    refuse(fmt::format("{} frames per second, expected 1 to 240", options.fps));
  if (!truth.empty() && !options.force && std::filesystem::exists(truth))
    refuse(fmt::format("{} exists; choose another file for the truth, or --force to overwrite it",
                       truth.string()));
}

HeadPose pose_of_frame(const ClipOptions& options, int frame) {
  return talking_pose(static_cast<double>(frame) / options.fps, options.pose_seed);
}

// A hum at 140 Hz with two overtones, its loudness the opening of the mouth.
std::vector<std::int16_t> hum(const ClipOptions& options) {
  std::vector<float> open(static_cast<std::size_t>(options.frames) + 1);
  for (int i = 0; i <= options.frames; ++i) open[i] = pose_of_frame(options, i).mouth_open;
  std::vector<std::int16_t> sound(static_cast<std::size_t>(options.frames) * kSoundRate /
                                  options.fps);
  for (std::size_t i = 0; i < sound.size(); ++i) {
    const double seconds = static_cast<double>(i) / kSoundRate, position = seconds * options.fps;
    const std::size_t frame = static_cast<std::size_t>(position);
    const double loudness =
        open[frame] + (open[frame + 1] - open[frame]) * (position - static_cast<double>(frame));
    const double phase = 2 * std::numbers::pi * 140 * seconds;
    const double wave = std::sin(phase) + 0.5 * std::sin(2 * phase) + 0.25 * std::sin(3 * phase);
    sound[i] = static_cast<std::int16_t>(std::lround(2500 * std::clamp(loudness, 0.0, 1.0) * wave));
  }
  return sound;
}

std::string truth_line(int frame, double seconds, const HeadPose& pose,
                       const HeadPicture& picture) {
  const auto rounded = [](double v) { return std::round(v * 1e4) / 1e4; };
  nlohmann::ordered_json line{{"frame", frame}, {"seconds", rounded(seconds)}};
  for (const Point& p : picture.landmarks)
    line["landmarks"].push_back({rounded(p.x), rounded(p.y)});
  line["pose"] = {{"yaw", rounded(pose.yaw)},
                  {"pitch", rounded(pose.pitch)},
                  {"roll", rounded(pose.roll)},
                  {"center_x", rounded(pose.center_x)},
                  {"center_y", rounded(pose.center_y)},
                  {"scale", rounded(pose.scale)},
                  {"mouth_open", rounded(pose.mouth_open)},
                  {"smile", rounded(pose.smile)},
                  {"blink", rounded(pose.blink)},
                  {"gaze_x", rounded(pose.gaze_x)},
                  {"gaze_y", rounded(pose.gaze_y)},
                  {"brow_up", rounded(pose.brow_up)}};
  return line.dump() + '\n';
}

void write_truth(const std::filesystem::path& path, const std::string& lines) {
  std::ofstream file(path, std::ios::binary | std::ios::trunc);
  file << lines;
  file.close();
  if (!file)
    throw Error(ErrorKind::disk,
                fmt::format("{}: the truth cannot be written; check the folder and the free space",
                            path.string()));
}
}  // namespace

void render_clip(const ClipOptions& options, const std::filesystem::path& out,
                 const std::filesystem::path& truth) {
  check(options, truth);
  const HeadIdentity& person = head_identity(options.person);
  const auto draw = [&options, &person](int frame) {
    return draw_head(person, pose_of_frame(options, frame), options.width, options.height,
                     options.background, options.background_seed);
  };
  SinkOptions sink;
  sink.force = options.force;
  sink.comment = fmt::format("synthetic head '{}', motion {}", options.person, options.pose_seed);
  const std::unique_ptr<VideoMaker> video =
      make_video(out, options.width, options.height, {options.fps, 1}, sink);
  Progress progress(fmt::format("rendering person {}", options.person), options.frames,
                    options.quiet);

  // One frame per core is drawn ahead while the oldest is written: bounded memory.
  const std::size_t cores = std::max(1u, std::thread::hardware_concurrency());
  std::deque<std::future<HeadPicture>> ahead;
  std::string truth_lines;
  int started = 0;
  for (int frame = 0; frame < options.frames; ++frame) {
    for (; started < options.frames && ahead.size() < cores; ++started)
      ahead.push_back(std::async(std::launch::async, draw, started));
    const HeadPicture picture = ahead.front().get();
    ahead.pop_front();
    video->write(picture.rgb);
    if (!truth.empty())
      truth_lines += truth_line(frame, static_cast<double>(frame) / options.fps,
                                pose_of_frame(options, frame), picture);
    progress.update(frame + 1);
    if (stop_signal() != 0) return;  // the unfinished video is removed
  }
  video->finish(options.sound ? hum(options) : std::vector<std::int16_t>{});
  if (!truth.empty()) write_truth(truth, truth_lines);
  progress.finish();
}
}  // namespace faceswap
