// Pictures in memory, channels interleaved, row-major, without padding.
#pragma once
#include <cstdint>
#include <vector>

#include "kernels/core/error.h"

namespace faceswap {

using kernels::Error;
using kernels::ErrorKind;

// 8-bit RGB, RGBA or grey.
struct Image {
  int width = 0, height = 0, channels = 3;
  std::vector<std::uint8_t> pixels;  // [height, width, channels]

  Image() = default;
  Image(int w, int h, int c = 3)
      : width(w), height(h), channels(c), pixels(static_cast<std::size_t>(w) * h * c) {}
  std::uint8_t* at(int x, int y) {
    return &pixels[(static_cast<std::size_t>(y) * width + x) * channels];
  }
  const std::uint8_t* at(int x, int y) const {
    return &pixels[(static_cast<std::size_t>(y) * width + x) * channels];
  }
  bool empty() const { return pixels.empty(); }
};

// Values in [0,1].
struct FloatImage {
  int width = 0, height = 0, channels = 3;
  std::vector<float> pixels;  // [height, width, channels]

  FloatImage() = default;
  FloatImage(int w, int h, int c = 3)
      : width(w), height(h), channels(c), pixels(static_cast<std::size_t>(w) * h * c) {}
  float* at(int x, int y) { return &pixels[(static_cast<std::size_t>(y) * width + x) * channels]; }
  const float* at(int x, int y) const {
    return &pixels[(static_cast<std::size_t>(y) * width + x) * channels];
  }
};

// In pixels; right and bottom edges exclusive.
struct Box {
  int x = 0, y = 0, width = 0, height = 0;
};
// Pixel centres lie at whole coordinates.
struct Point {
  double x = 0, y = 0;
};
}  // namespace faceswap
