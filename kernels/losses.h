// Image losses: value and gradient in one go. pred, target [N,H,W,C] in [0,1]; mask [N,H,W] or null (all ones).
// The mean runs over all N*H*W*C values, not over the mask's area (as Faceswap has it):
//   loss = 1/(N*H*W*C) * sum_i mask_i * map_i
#pragma once
#include "kernels/stream.h"

namespace kernels {

struct ImageShape { std::int64_t n; int h, w, c; };

template <class D, class T>  // map = |pred - target|; d/dpred = mask * sign(pred - target) / count (0 where equal)
void mae_loss(Stream&, const ImageShape&, const T* pred, const T* target, const T* mask, compute_t<T>* loss /*[1]*/, T* dpred);
template <class D, class T>  // map = (pred - target)^2
void mse_loss(Stream&, const ImageShape&, const T* pred, const T* target, const T* mask, compute_t<T>* loss /*[1]*/, T* dpred);

// map = (1 - SSIM) / 2 per channel, Gaussian window (Wang et al. 2004: 11 taps, sigma 1.5, k1 0.01, k2 0.03, range 1),
// mirrored at the edges without repeating the edge (PyTorch's "reflect"). H and W must be at least 6.
template <class D, class T>
void dssim_loss(Stream&, const ImageShape&, const T* pred, const T* target, const T* mask, compute_t<T>* loss /*[1]*/, T* dpred);

// The map alone, for measuring: ssim[N,H,W] averaged over channels.
template <class D, class T> void ssim_map(Stream&, const ImageShape&, const T* a, const T* b, T* ssim /*[N,H,W]*/);

}  // namespace kernels
