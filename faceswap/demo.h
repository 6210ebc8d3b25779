// The whole program on synthetic people: render two clips, extract, train, convert, and measure the swap against the truth.
#pragma once
#include <filesystem>
#include <string>

#include "faceswap/synthetic/clip.h"
#include "faceswap/synthetic/swap_meter.h"

namespace faceswap {

struct DemoOptions {
  std::filesystem::path out = "demo";
  std::int64_t steps = 0;  // 0: as many as the demo is tuned for
  int frames = 500;        // per clip
  std::string model = "tiny";
  std::string device = "auto";
  std::uint64_t seed = 1;
  bool force = false, quiet = false;
};

struct DemoReport {
  SwapQuality swap;       // the swapped clip, as written and read back
  SwapQuality unswapped;  // the source clip: what doing nothing scores
  SwapQuality
      mean_face;  // the other person's mean face on every frame: what not following the expression scores
  double seconds = 0, train_seconds = 0;
  std::int64_t steps = 0, faces_a = 0, faces_b = 0, frames = 0, frames_changed = 0;
  std::filesystem::path video, preview, report;
};
// Writes a.mp4, b.mp4, faces_a/, faces_b/, model/, swapped.mp4, preview.png and report.json into options.out.
DemoReport run_demo(const DemoOptions&);

// Scores a swapped clip of `person` moving like pose_seed against the same motion drawn with the other identity, inside the
// true face, on canonical 256-pixel crops. mean_face: the other person's aligned faces.
struct SwapScores {
  SwapQuality swap, unswapped, mean_face;
};
SwapScores score_swap(const std::filesystem::path& swapped, const std::filesystem::path& source,
                      const ClipOptions& clip, const std::filesystem::path& other_faces);

}  // namespace faceswap
