#include "kernels/conv/shape.h"

#include <fmt/format.h>

#include <algorithm>

#include "kernels/core/error.h"

namespace kernels {

double ConvShape::flops() const {
  return 2.0 * static_cast<double>(y_size()) * kernel * kernel * in_channels;
}

std::string ConvShape::str() const {
  return fmt::format("conv {}x{} stride {} pad {},{}: [{},{},{},{}] -> [{},{},{},{}]", kernel,
                     kernel, stride, pad_begin, pad_end,  //
                     n, h, w, in_channels, n, out_h(), out_w(), out_channels);
}

ConvShape same_padding(std::int64_t n, int h, int w, int in_channels, int out_channels, int kernel,
                       int stride) {
  const auto total = [&](int size) {
    return std::max(((size + stride - 1) / stride - 1) * stride + kernel - size, 0);
  };
  if (total(h) != total(w))
    throw Error(ErrorKind::usage,
                fmt::format("same_padding: a {}x{} image needs {} rows but {} columns of padding "
                            "for kernel {} stride {}; use sides that leave the same remainder",
                            h, w, total(h), total(w), kernel, stride));
  const int begin = total(h) / 2;
  return {n, h, w, in_channels, out_channels, kernel, stride, begin, total(h) - begin};
}

const char* name(Direction direction) {
  static constexpr const char* names[] = {"forward", "backward data", "backward filter"};
  return names[static_cast<int>(direction)];
}
}  // namespace kernels
