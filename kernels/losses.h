// Image losses: value and gradient in one go. pred, target [N,H,W,C] in [0,1]; mask [N,H,W] or null (all ones).
// The mean runs over all N*H*W*C values, not over the mask's area (as Faceswap has it):
//   loss = 1/(N*H*W*C) * sum_i mask_i * map_i
#pragma once
#include "kernels/core/stream.h"

namespace kernels {

struct ImageShape {
  std::int64_t n;
  int h, w, c;
};

// map = dssim * (1 - SSIM) / 2 + mse * d^2 + mae * |d|,   d = pred - target, per channel
// SSIM has a Gaussian window (Wang et al. 2004: 11 taps, sigma 1.5, k1 0.01, k2 0.03, range 1), mirrored at the edges without
// repeating the edge (PyTorch's "reflect"). With it H and W must be at least 6. The derivative of |d| is 0 where d is.
struct LossWeights {
  float dssim = 1.f, mse = 1.f, mae = 0.f;
};

template <class D, class T>
void image_loss(Stream&, const ImageShape&, const LossWeights&, const T* pred, const T* target,
                const T* mask, compute_t<T>* loss /*[1]*/, T* dpred);

// The map alone, for measuring: ssim[N,H,W] averaged over channels.
template <class D, class T>
void ssim_map(Stream&, const ImageShape&, const T* a, const T* b, T* ssim /*[N,H,W]*/);

}  // namespace kernels
