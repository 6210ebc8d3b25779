// Structural similarity (SSIM) of images: the map, and the image loss with an SSIM
// term. Gaussian window of 11 taps, sigma 1.5, k1 0.01, k2 0.03, range 1 (Wang et al.
// 2004). Edges are mirrored without repeating the edge pixel (PyTorch's "reflect"), so
// height and width are at least 6.
#pragma once
#include "kernels/losses.h"

namespace kernels {

// Averaged over channels.
template <class D, class T>
void ssim_map(Stream&, const ImageShape&, const T* a, const T* b, T* ssim /*[N,H,W]*/);

// image_loss (losses.h) for weights.dssim other than 0. Call image_loss, the launcher with
// a row in the op table; here the stream is not the first argument.
template <class D, class T>
void loss_with_ssim(const LossWeights&, Stream&, const ImageShape& shape, const T* pred,
                    const T* target, const T* mask, const LossResults<T>&, int shares);
}  // namespace kernels
