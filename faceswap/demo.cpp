#include "faceswap/demo.h"

#include <fmt/format.h>

#include <chrono>
#include <nlohmann/json.hpp>

#include "faceswap/convert/converter.h"
#include "faceswap/faces/extract.h"
#include "faceswap/faces/face_file.h"
#include "faceswap/progress.h"
#include "faceswap/train/trainer.h"
#include "nn/checkpoint/atomic_file.h"

namespace faceswap {
namespace {

constexpr std::uint32_t kBackgroundSeed = 1;  // of both: walls must not tell the people apart
constexpr std::uint32_t kPoseSeedA = 5, kPoseSeedB = 6;
constexpr std::int64_t kDemoSteps = 1800;
constexpr double kTrainSeconds = 180;  // the limit on the CPU: a demo stays under five minutes
constexpr int kScoreEvery = 10;        // every tenth frame is scored
constexpr int kEvery = 2;              // neighbouring frames are alike: every second one is enough

double seconds_since(std::chrono::steady_clock::time_point t) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - t).count();
}

// The picture of a decoder that has learned the person and ignores the pose.
Image mean_face(const std::filesystem::path& folder) {
  const std::vector<std::filesystem::path> files = list_faces(folder);
  std::vector<double> sum;
  Image mean;
  for (const auto& file : files) {
    const Image crop = read_face(file).crop;
    if (sum.empty()) {
      sum.resize(crop.pixels.size());
      mean = Image(crop.width, crop.height, 3);
    }
    if (crop.pixels.size() != sum.size()) continue;
    for (std::size_t i = 0; i < sum.size(); ++i) sum[i] += crop.pixels[i];
  }
  for (std::size_t i = 0; i < sum.size(); ++i)
    mean.pixels[i] = static_cast<std::uint8_t>(sum[i] / static_cast<double>(files.size()) + 0.5);
  return mean;
}

Image grey_to_rgb(const Image& grey) {
  Image rgb(grey.width, grey.height, 3);
  for (std::size_t i = 0; i < grey.pixels.size(); ++i)
    rgb.pixels[3 * i] = rgb.pixels[3 * i + 1] = rgb.pixels[3 * i + 2] = grey.pixels[i];
  return rgb;
}

Image first_channel(const Image& rgb) {
  Image grey(rgb.width, rgb.height, 1);
  for (std::size_t i = 0; i < grey.pixels.size(); ++i) grey.pixels[i] = rgb.pixels[3 * i];
  return grey;
}

nlohmann::ordered_json quality_json(const DemoReport& r) {
  return {{"swap_ssim", r.swap.ssim},           {"swap_delta_e", r.swap.delta_e},
          {"unswapped_ssim", r.unswapped.ssim}, {"unswapped_delta_e", r.unswapped.delta_e},
          {"mean_face_ssim", r.mean_face.ssim}, {"mean_face_delta_e", r.mean_face.delta_e},
          {"frames_scored", r.swap.frames}};
}

void make_people(const DemoOptions& options, const ClipOptions& clip_a, const ClipOptions& clip_b) {
  render_clip(clip_a, options.out / "a.mp4", options.out / "a_truth.jsonl");
  render_clip(clip_b, options.out / "b.mp4", options.out / "b_truth.jsonl");
}

std::int64_t extract_faces(const DemoOptions& options, const char* clip, const char* folder) {
  ExtractOptions extraction;
  extraction.inputs = {options.out / clip};
  extraction.out = options.out / folder;
  extraction.every = kEvery;
  extraction.force = true;
  extraction.quiet = options.quiet;
  return extract(extraction).faces;
}
}  // namespace

SwapScores score_swap(const std::filesystem::path& swapped, const std::filesystem::path& source,
                      const ClipOptions& clip, const std::filesystem::path& other_faces) {
  constexpr int kSize = static_cast<int>(kCanonicalSize);
  const HeadIdentity& truth_identity = head_identity(clip.person == 'a' ? 'b' : 'a');
  const Image mean = mean_face(other_faces);
  const std::unique_ptr<FrameSource> swapped_source = open_source(swapped),
                                     unswapped_source = open_source(source);
  SwapMeter swap_meter, unswapped_meter, mean_meter;
  Frame swapped_frame, unswapped_frame;
  for (int i = 0; swapped_source->next(swapped_frame) && unswapped_source->next(unswapped_frame);
       ++i) {
    if (i % kScoreEvery != 0) continue;
    const HeadPicture truth =
        draw_head(truth_identity, talking_pose(static_cast<double>(i) / clip.fps, clip.pose_seed),
                  clip.width, clip.height, clip.background, clip.background_seed);
    const Similarity align = similarity_from_eyes(truth.landmarks[0], truth.landmarks[1]);
    const Image truth_crop = crop_face(truth.rgb, align, kSize),
                mask = first_channel(crop_face(grey_to_rgb(truth.mask), align, kSize));
    swap_meter.add(crop_face(swapped_frame.rgb, align, kSize), truth_crop, mask);
    unswapped_meter.add(crop_face(unswapped_frame.rgb, align, kSize), truth_crop, mask);
    if (mean.width == kSize) mean_meter.add(mean, truth_crop, mask);
  }
  return {swap_meter.result(), unswapped_meter.result(), mean_meter.result()};
}

DemoReport run_demo(const DemoOptions& options) {
  const auto begin = std::chrono::steady_clock::now();
  if (std::filesystem::exists(options.out / "report.json") && !options.force)
    throw Error(ErrorKind::usage,
                fmt::format("{}: already holds a demo. Name another folder with -o, or use --force",
                            options.out.string()));
  std::error_code error;
  std::filesystem::create_directories(options.out, error);
  if (error)
    throw Error(ErrorKind::disk, fmt::format("{}: cannot make the folder: {}. Name another with -o",
                                             options.out.string(), error.message()));

  ClipOptions clip_a, clip_b;
  clip_a.pose_seed = kPoseSeedA;
  clip_b.person = 'b';
  clip_b.pose_seed = kPoseSeedB;
  for (ClipOptions* clip : {&clip_a, &clip_b}) {
    clip->background_seed = kBackgroundSeed;
    clip->frames = options.frames;
    clip->force = true;
    clip->quiet = options.quiet;
  }
  DemoReport report;
  make_people(options, clip_a, clip_b);
  if (stop_signal() != 0) return report;
  report.faces_a = extract_faces(options, "a.mp4", "faces_a");
  report.faces_b = extract_faces(options, "b.mp4", "faces_b");
  if (stop_signal() != 0) return report;

  TrainOptions training;
  training.faces_a = options.out / "faces_a";
  training.faces_b = options.out / "faces_b";
  training.model_dir = options.out / "model";
  training.model = options.model;
  training.steps = options.steps > 0 ? options.steps : kDemoSteps;
  training.device = options.device;
  training.seed = options.seed;
  training.force = true;
  training.quiet = options.quiet;
  training.final_learning_rate = 2e-5f;
  training.augment.lightness = 0.1f;  // both clips have one light: little to learn about it
  training.augment.chroma = 0.02f;
  if (options.steps == 0 && kernels::choose_device(options.device) == kernels::Device::host)
    training.hours = kTrainSeconds / 3600;
  const auto train_begin = std::chrono::steady_clock::now();
  {
    Trainer trainer(make_plan(training));
    trainer.run();
    report.steps = static_cast<std::int64_t>(trainer.state().step);
  }
  report.train_seconds = seconds_since(train_begin);
  if (stop_signal() != 0) return report;

  ConvertOptions conversion;
  conversion.input = options.out / "a.mp4";
  conversion.model_dir = training.model_dir;
  conversion.out = options.out / "swapped.mp4";
  conversion.sink.force = true;
  // The truth has B's own colours, not those of A's neck, and B's forehead.
  conversion.compose.color = ColorKind::none;
  conversion.compose.erode = -0.14;
  conversion.compose.feather = 0.03;
  conversion.device = options.device;
  conversion.command = "doppel demo";
  conversion.quiet = options.quiet;
  const ConvertReport converted = convert(conversion);
  report.frames = converted.frames;
  report.frames_changed = converted.frames_changed;
  if (stop_signal() != 0) return report;

  const SwapScores scores = score_swap(conversion.out, conversion.input, clip_a, training.faces_b);
  report.swap = scores.swap;
  report.unswapped = scores.unswapped;
  report.mean_face = scores.mean_face;
  report.video = conversion.out;
  report.preview = options.out / "preview.png";
  report.report = options.out / "report.json";
  std::filesystem::copy_file(training.model_dir / "preview.png", report.preview,
                             std::filesystem::copy_options::overwrite_existing);
  report.seconds = seconds_since(begin);

  nlohmann::ordered_json json = quality_json(report);
  json["model"] = options.model;
  json["steps"] = report.steps;
  json["faces_a"] = report.faces_a;
  json["faces_b"] = report.faces_b;
  json["frames"] = report.frames;
  json["frames_changed"] = report.frames_changed;
  json["seconds"] = report.seconds;
  json["train_seconds"] = report.train_seconds;
  json["device"] = kernels::name(kernels::choose_device(options.device));
  const std::string text = json.dump(2) + "\n";
  const std::span<const std::byte> piece = std::as_bytes(std::span(text));
  nn::write_file_atomically(report.report, std::span(&piece, 1), false);
  return report;
}
}  // namespace faceswap
