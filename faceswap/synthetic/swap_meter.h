// The quality of a swap: its distance from the perfect swap inside the true face.
#pragma once
#include <cstdint>

#include "faceswap/image.h"

namespace faceswap {

// Means over frames, weighted by the mask of the true face.
struct SwapQuality {
  double ssim = 0;     // of grey, 11 x 11 windows
  double delta_e = 0;  // CIE 1976
  std::int64_t frames = 0;
};

class SwapMeter {
 public:
  // truth: the other identity in the same pose; mask: its face, grey. All of one size.
  void add(const Image& swapped, const Image& truth, const Image& mask);
  SwapQuality result() const;  // Error(nothing_found): no face pixel

 private:
  double ssim_sum_ = 0, delta_e_sum_ = 0, weight_ = 0;
  std::int64_t frames_ = 0;
};
}  // namespace faceswap
