// The whole program on synthetic people: two clips are rendered, their faces extracted,
// a model trained, one clip converted, and the swap measured against the truth.
#pragma once
#include <filesystem>
#include <string>

#include "faceswap/synthetic/clip.h"
#include "faceswap/synthetic/swap_meter.h"

namespace faceswap {

struct DemoOptions {
  std::filesystem::path out = "demo";
  std::int64_t steps = 0;  // 0: the number that the demo is tuned for
  int frames = 500;        // per clip
  std::string model = "tiny";
  std::string device = "auto";
  std::uint64_t seed = 1;
  bool force = false, quiet = false;
};

struct DemoReport {
  SwapQuality swap;       // of the swapped clip, as written and read back
  SwapQuality unswapped;  // of the source clip: the score of doing nothing
  // Of the other person's mean face on every frame: ignores the expression.
  SwapQuality mean_face;
  double seconds = 0, train_seconds = 0;
  std::int64_t steps = 0, faces_a = 0, faces_b = 0, frames = 0, frames_changed = 0;
  std::filesystem::path video, preview, report;
};
// Writes a.mp4, b.mp4, faces_a/, faces_b/, model/, swapped.mp4, preview.png and
// report.json into options.out.
DemoReport run_demo(const DemoOptions&);

// Scores a swapped clip against the motion of `clip` drawn with the other identity,
// inside the true face, on canonical crops of 256 pixels. The mean face is that of
// `other_faces`.
struct SwapScores {
  SwapQuality swap, unswapped, mean_face;
};
SwapScores score_swap(const std::filesystem::path& swapped, const std::filesystem::path& source,
                      const ClipOptions& clip, const std::filesystem::path& other_faces);
}  // namespace faceswap
