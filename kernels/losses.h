// Image losses, value and gradient in one call. pred, target [N,H,W,C] in [0,1]; mask
// [N,H,W] or null (all ones). The mean runs over all N*H*W*C values, not over the
// mask's area:
//   loss = 1/(N*H*W*C) * sum_i mask_i * map_i
#pragma once
#include "kernels/core/stream.h"

namespace kernels {

struct ImageShape {
  std::int64_t n;
  int h, w, c;
};

// map = dssim * (1 - SSIM) / 2 + mse * d^2 + mae * |d|,   d = pred - target, per channel
// The derivative of |d| is 0 at d = 0. SSIM: ssim.h.
struct LossWeights {
  float dssim = 1.f, mse = 1.f, mae = 0.f;
};

template <class D, class T>
void image_loss(Stream&, const ImageShape&, const LossWeights&, const T* pred, const T* target,
                const T* mask, compute_t<T>* loss /*[1]*/, T* dpred);
}  // namespace kernels
