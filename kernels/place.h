// The picture, row and column of a flat position in [N,H,W].
#pragma once
#include "kernels/simt/simt.h"

namespace kernels {
inline namespace SIMT_BACKEND {  // one copy for the host, one for the GPU

struct Place {
  std::int64_t n;
  int y, x;
};
// Divides in 32 bits if they suffice, as for_rows does (kernels/ranges.h).
SIMT_DEVICE Place place_of(std::int64_t position, int h, int w) {
  if (position <= 0xffffffffll) {
    const auto at = static_cast<std::uint32_t>(position), width = static_cast<std::uint32_t>(w),
               height = static_cast<std::uint32_t>(h);
    const std::uint32_t line = at / width, n = line / height;
    return {n, static_cast<int>(line - n * height), static_cast<int>(at - line * width)};
  }
  const std::int64_t line = position / w, n = line / h;
  return {n, static_cast<int>(line - n * h), static_cast<int>(position - line * w)};
}
}  // namespace SIMT_BACKEND
}  // namespace kernels
