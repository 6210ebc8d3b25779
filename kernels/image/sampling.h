// Bilinear reading of an image at a position in pixels. Pixel centres lie at whole
// coordinates; a position outside the image reads the nearest edge.
#pragma once
#include "kernels/simt/simt.h"

namespace kernels {
inline namespace SIMT_BACKEND {  // one copy for the host, one for the GPU

// The four neighbours of a position, as offsets in pixels, and the weight of each.
struct Neighbours {
  std::int64_t at00, at01, at10, at11;
  float w00, w01, w10, w11;
  SIMT_DEVICE Neighbours(float x, float y, int w, int h) {
    const float max_x = static_cast<float>(w - 1), max_y = static_cast<float>(h - 1);
    const float cx = x > 0.f ? (x < max_x ? x : max_x) : 0.f,
                cy = y > 0.f ? (y < max_y ? y : max_y) : 0.f;  // NaN becomes 0
    const int x0 = static_cast<int>(cx), y0 = static_cast<int>(cy);
    const std::int64_t right = x0 + 1 < w ? 1 : 0, below = y0 + 1 < h ? w : 0;
    const float fx = cx - static_cast<float>(x0), fy = cy - static_cast<float>(y0);
    at00 = static_cast<std::int64_t>(y0) * w + x0;
    at01 = at00 + right;
    at10 = at00 + below;
    at11 = at10 + right;
    w11 = fx * fy;
    w01 = fx - w11;
    w10 = fy - w11;
    w00 = 1.f - fx - w10;
  }
  // sum[c] += value of channel c. The host takes the channels as one vector.
  template <int kChannels, class Src>
  SIMT_DEVICE void add(const Src* image /*[h,w,kChannels]*/, float (&sum)[kChannels]) const {
    const Src *p00 = image + at00 * kChannels, *p01 = image + at01 * kChannels,
              *p10 = image + at10 * kChannels, *p11 = image + at11 * kChannels;
    SIMT_UNROLL
    for (int c = 0; c < kChannels; ++c)
      sum[c] += w00 * static_cast<float>(p00[c]) + w01 * static_cast<float>(p01[c]) +
                w10 * static_cast<float>(p10[c]) + w11 * static_cast<float>(p11[c]);
  }
};

// Bilinear reading of a 5x5 map at (gx, gy), 0 <= gx, gy <= 4.
struct GridCell {
  int at;  // node above and to the left
  float fx, fy;
  SIMT_DEVICE GridCell(float gx, float gy) {
    const int j = gx > 0.f ? (gx < 4.f ? static_cast<int>(gx) : 3) : 0,
              i = gy > 0.f ? (gy < 4.f ? static_cast<int>(gy) : 3) : 0;
    at = i * 5 + j;
    fx = gx - static_cast<float>(j);
    fy = gy - static_cast<float>(i);
  }
  SIMT_DEVICE float read(const float* nodes /*[25]*/) const {
    const float top = nodes[at] + fx * (nodes[at + 1] - nodes[at]),
                bottom = nodes[at + 5] + fx * (nodes[at + 6] - nodes[at + 5]);
    return top + fy * (bottom - top);
  }
};
}  // namespace SIMT_BACKEND
}  // namespace kernels
