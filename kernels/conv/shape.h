// The shape of a 2D convolution: NHWC activations, OHWI weights, square kernels.
#pragma once
#include <compare>
#include <cstdint>
#include <string>

namespace kernels {

struct ConvShape {
  std::int64_t n;
  int h, w, in_channels;
  int out_channels, kernel, stride;
  int pad_begin, pad_end;  // rows and columns alike
  int out_h() const { return (h + pad_begin + pad_end - kernel) / stride + 1; }
  int out_w() const { return (w + pad_begin + pad_end - kernel) / stride + 1; }
  std::int64_t x_size() const { return n * h * w * in_channels; }
  std::int64_t y_size() const { return n * out_h() * out_w() * out_channels; }
  std::int64_t w_size() const { return std::int64_t{out_channels} * kernel * kernel * in_channels; }
  double flops() const;  // of any of the three passes: 2 per multiply-add
  auto operator<=>(const ConvShape&) const = default;
  std::string str() const;
};

// Keras 'same': output = ceil(size / stride), the odd row of padding at the end. Throws
// Error(usage) if rows and columns need different padding.
ConvShape same_padding(std::int64_t n, int h, int w, int in_channels,  //
                       int out_channels, int kernel, int stride);

// The passes of a convolution: y from x and w, the gradient of x, the gradient of w.
enum class Direction : std::uint8_t { forward, data, filter };
const char* name(Direction);
}  // namespace kernels
