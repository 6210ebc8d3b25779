// Bilinear reading of an image at a position in pixels. Pixel centres lie at whole coordinates; a position outside the image
// reads the nearest edge.
#pragma once
#include "kernels/simt/simt.h"

namespace kernels {
inline namespace SIMT_BACKEND {  // one copy for the host, one for the GPU

// The four neighbours of a position, as offsets in pixels, and how far the position lies towards the second of each pair.
struct Neighbours {
  std::int64_t at00, at01, at10, at11;
  float fx, fy;
  SIMT_DEVICE Neighbours(float x, float y, int w, int h) {
    const float max_x = static_cast<float>(w - 1), max_y = static_cast<float>(h - 1);
    const float cx = x > 0.f ? (x < max_x ? x : max_x) : 0.f, cy = y > 0.f ? (y < max_y ? y : max_y) : 0.f;  // NaN becomes 0
    const int x0 = static_cast<int>(cx), y0 = static_cast<int>(cy);
    const int x1 = x0 + 1 < w ? x0 + 1 : x0, y1 = y0 + 1 < h ? y0 + 1 : y0;
    fx = cx - static_cast<float>(x0);
    fy = cy - static_cast<float>(y0);
    at00 = static_cast<std::int64_t>(y0) * w + x0;
    at01 = static_cast<std::int64_t>(y0) * w + x1;
    at10 = static_cast<std::int64_t>(y1) * w + x0;
    at11 = static_cast<std::int64_t>(y1) * w + x1;
  }
  template <class Src> SIMT_DEVICE float read(const Src* image /*[h,w,channels]*/, int channels, int c) const {
    const float v00 = static_cast<float>(image[at00 * channels + c]), v01 = static_cast<float>(image[at01 * channels + c]);
    const float v10 = static_cast<float>(image[at10 * channels + c]), v11 = static_cast<float>(image[at11 * channels + c]);
    const float top = v00 + fx * (v01 - v00), bottom = v10 + fx * (v11 - v10);
    return top + fy * (bottom - top);
  }
};

// A 5x5 map of displacements or positions at (gx, gy), 0 <= gx, gy <= 4, bilinear.
struct GridCell {
  int at;  // node above and to the left
  float fx, fy;
  SIMT_DEVICE GridCell(float gx, float gy) {
    const int j = gx > 0.f ? (gx < 4.f ? static_cast<int>(gx) : 3) : 0, i = gy > 0.f ? (gy < 4.f ? static_cast<int>(gy) : 3) : 0;
    at = i * 5 + j;
    fx = gx - static_cast<float>(j);
    fy = gy - static_cast<float>(i);
  }
  SIMT_DEVICE float read(const float* nodes /*[25]*/) const {
    const float top = nodes[at] + fx * (nodes[at + 1] - nodes[at]), bottom = nodes[at + 5] + fx * (nodes[at + 6] - nodes[at + 5]);
    return top + fy * (bottom - top);
  }
};

}  // namespace SIMT_BACKEND
}  // namespace kernels
