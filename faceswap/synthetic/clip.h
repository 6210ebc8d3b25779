// Clips of synthetic heads, and the measure of a swap against their ground truth.
#pragma once
#include <filesystem>
#include <vector>

#include "faceswap/synthetic/head.h"

namespace faceswap {

struct ClipOptions {
  char person = 'a';
  std::uint32_t pose_seed = 5;  // which motion; two clips with one seed move alike
  std::uint32_t background_seed = 1;
  int background = 0;
  int width = 320, height = 240, frames = 250, fps = 25;
  bool sound = true;  // a quiet tone that follows the mouth
  bool force = false, quiet = false;
};
// Writes the video. truth, where not empty: JSON lines, one per frame: landmarks, pose.
void render_clip(const ClipOptions&, const std::filesystem::path& out,
                 const std::filesystem::path& truth = {});

// Mean over frames and pixels inside the truth's face mask.
struct SwapQuality {
  double ssim = 0, delta_e = 0;
  std::int64_t frames = 0;
};  // ssim of grey 11x11 windows; CIE76
class SwapMeter {
 public:
  // truth: the other identity in the same pose. All pictures of one size. mask: grey, the face of the truth.
  void add(const Image& swapped, const Image& truth, const Image& mask);
  SwapQuality result() const;

 private:
  double ssim_sum_ = 0, delta_e_sum_ = 0, weight_ = 0;
  std::int64_t frames_ = 0;
};

}  // namespace faceswap
