// Image losses, value and gradient in one call. pred, target [N,H,W,C] in [0,1]; mask
// [N,H,W] or null (all ones). The mean runs over all N*H*W*C values, not over the
// mask's area:
//   loss = 1/(N*H*W*C) * sum_i mask_i * map_i
// Several equal shares of the pictures, one person's behind the other's, have a loss each
// in the launches of one.
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

template <class T> struct LossResults {
  compute_t<T>* each;  // [shares]
  compute_t<T>* sum;   // [1], of all shares, or null
  T* dpred;            // [shares*N,H,W,C], the gradient of the sum
};

// shape: of a share. pred, target and mask hold `shares` of them.
template <class D, class T>
void image_loss(Stream&, const ImageShape& shape, const LossWeights&, const T* pred,
                const T* target, const T* mask, const LossResults<T>&, int shares = 1);
}  // namespace kernels
