#include "faceswap/faces/skin.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "faceswap/statistics.h"
#include "kernels/image/blend.h"
#include "kernels/image/color.h"

namespace faceswap {

using kernels::Host;

namespace {

constexpr std::array<float, 3> kLeastSpread{14, 5, 5};  // L, a, b: even a flat face has this much
constexpr std::array<float, 3> kTolerance{2.2f, 1.6f, 1.6f};  // spreads per unit of distance

kernels::Stream& host() { return kernels::Stream::of(kernels::Device::host); }
}  // namespace

std::vector<float> smooth_lab(const FloatImage& picture, double deviation) {
  std::vector<float> smooth(picture.pixels.size()), lab(picture.pixels.size());
  kernels::gaussian_blur<Host>(host(), {picture.pixels.data(), picture.height, picture.width, 3},
                               smooth.data(), static_cast<float>(deviation));
  kernels::rgb_to_lab<Host>(host(), smooth.data(), lab.data(),
                            static_cast<std::int64_t>(picture.width) * picture.height);
  return lab;
}

SkinColor::SkinColor(const std::vector<float>& lab, const std::vector<std::size_t>& samples) {
  for (int c = 0; c < 3; ++c) {
    std::vector<float> values;
    for (const std::size_t i : samples) values.push_back(lab[3 * i + c]);
    center_[c] = median(values);
    for (float& v : values) v = std::fabs(v - center_[c]);
    spread_[c] = std::max(1.48f * median(values), kLeastSpread[c]);
  }
}

float SkinColor::likeness(const float* lab) const {
  float distance2 = 0;
  for (int c = 0; c < 3; ++c) {
    const float d = (lab[c] - center_[c]) / (kTolerance[c] * spread_[c]);
    distance2 += d * d;
  }
  return std::exp(-0.5f * distance2);
}

void erode(FloatImage& mask, double radius) {
  FloatImage out(mask.width, mask.height, 1);
  kernels::erode<Host>(host(), {mask.pixels.data(), mask.height, mask.width, 1}, out.pixels.data(),
                       static_cast<float>(radius));
  mask = std::move(out);
}
}  // namespace faceswap
