// Synthetic clips: the video shows the head, the truth describes it.
#include <gtest/gtest.h>

#include <fstream>
#include <functional>

#include <nlohmann/json.hpp>

#include "faceswap/media/media.h"
#include "faceswap/synthetic/clip.h"
#include "tests/faceswap/kind_of.h"
#include "tests/faceswap/scratch.h"

namespace faceswap {
namespace {

std::vector<std::string> lines_of(const std::filesystem::path& path) {
  std::ifstream file(path);
  std::vector<std::string> lines;
  for (std::string line; std::getline(file, line);) lines.push_back(line);
  return lines;
}

TEST(RenderClip, ShowsTheHeadAndTellsTheTruth) {
  if (!DOPPEL_MEDIA) GTEST_SKIP() << "this build has no video";
  const Scratch scratch;
  ClipOptions options;
  options.person = 'b';
  options.width = 160, options.height = 120, options.frames = 9, options.quiet = true;
  render_clip(options, scratch / "b.mp4", scratch / "b.jsonl");
  const std::vector<std::string> lines = lines_of(scratch / "b.jsonl");
  ASSERT_EQ(lines.size(), 9u);
  const std::unique_ptr<FrameSource> source = open_source(scratch / "b.mp4");
  EXPECT_TRUE(source->info().has_audio);
  int count = 0;
  for (Frame frame; source->next(frame); ++count) {
    ASSERT_LT(count, 9);
    const HeadPose pose = talking_pose(count / 25.0, 5);
    const HeadPicture drawn = draw_head(head_identity('b'), pose, 160, 120, 0, 1);
    double difference = 0;
    for (std::size_t i = 0; i < drawn.rgb.pixels.size(); ++i)
      difference += std::abs(drawn.rgb.pixels[i] - frame.rgb.pixels[i]);
    EXPECT_LT(difference / static_cast<double>(drawn.rgb.pixels.size()), 4) << "frame " << count;
    const nlohmann::json truth = nlohmann::json::parse(lines[count]);
    EXPECT_EQ(truth["frame"], count);
    for (int k = 0; k < 5; ++k) {
      EXPECT_NEAR(truth["landmarks"][k][0].get<double>(), drawn.landmarks[k].x, 1e-3);
      EXPECT_NEAR(truth["landmarks"][k][1].get<double>(), drawn.landmarks[k].y, 1e-3);
    }
    EXPECT_NEAR(truth["pose"]["yaw"].get<double>(), pose.yaw, 1e-3);
    EXPECT_NEAR(frame.seconds, count / 25.0, 1e-6);
  }
  EXPECT_EQ(count, 9);
}

TEST(RenderClip, SilentOnDemandAndNeverOverwritesUnasked) {
  if (!DOPPEL_MEDIA) GTEST_SKIP() << "this build has no video";
  const Scratch scratch;
  ClipOptions options;
  options.width = 64, options.height = 48, options.frames = 3, options.quiet = true,
  options.sound = false;
  render_clip(options, scratch / "a.mp4", scratch / "a.jsonl");
  EXPECT_FALSE(open_source(scratch / "a.mp4")->info().has_audio);
  const std::vector<std::string> before = lines_of(scratch / "a.jsonl");
  EXPECT_EQ(kind_of([&] { render_clip(options, scratch / "a.mp4"); }), ErrorKind::usage);
  EXPECT_EQ(kind_of([&] { render_clip(options, scratch / "new.mp4", scratch / "a.jsonl"); }),
            ErrorKind::usage);
  EXPECT_FALSE(std::filesystem::exists(scratch / "new.mp4"));
  EXPECT_EQ(lines_of(scratch / "a.jsonl"), before);
  options.force = true;
  options.pose_seed = 6;
  render_clip(options, scratch / "a.mp4", scratch / "a.jsonl");
  EXPECT_NE(lines_of(scratch / "a.jsonl"), before);
  EXPECT_EQ(kind_of([&] {
              render_clip(options, scratch / "b.mp4", scratch / "no_such_folder" / "b.jsonl");
            }),
            ErrorKind::disk);
}

TEST(RenderClip, RefusesNonsense) {
  const Scratch scratch;
  const auto refused = [&](const std::function<void(ClipOptions&)>& spoil) {
    ClipOptions options;
    options.quiet = true;
    spoil(options);
    EXPECT_EQ(kind_of([&] { render_clip(options, scratch / "x.mp4"); }), ErrorKind::usage);
    EXPECT_FALSE(std::filesystem::exists(scratch / "x.mp4"));
  };
  refused([](ClipOptions& o) { o.person = 'z'; });
  refused([](ClipOptions& o) { o.frames = 0; });
  refused([](ClipOptions& o) { o.fps = 0; });
  refused([](ClipOptions& o) { o.width = 161; });
  refused([](ClipOptions& o) { o.background = 9; });
}
}  // namespace
}  // namespace faceswap
