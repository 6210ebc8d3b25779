// The colour of one face's skin, learned from that face: no table of skin tones.
#pragma once
#include <array>
#include <cstddef>
#include <vector>

#include "faceswap/image.h"

namespace faceswap {

// [n,3] CIE LAB of a picture [h,w,3], n = h*w, after a Gaussian blur of `deviation`
// pixels.
std::vector<float> smooth_lab(const FloatImage& picture, double deviation);

class SkinColor {
 public:
  // samples: at least one pixel of `lab` [n,3], most of them skin. Their median, and
  // the median distance from it: robust to beard and shadow.
  SkinColor(const std::vector<float>& lab, const std::vector<std::size_t>& samples);

  // 1 at the skin's own colour, falling with the distance from it.
  float likeness(const float* lab) const;

 private:
  std::array<float, 3> center_, spread_;
};

void erode(FloatImage& mask, double radius);  // pixels; a negative radius grows
}  // namespace faceswap
