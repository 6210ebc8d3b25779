// What losses.cu and ssim.cu share. Private to them.
#pragma once
#include <cmath>

#include "kernels/losses.h"
#include "kernels/simt/simt.h"

namespace kernels {
inline namespace SIMT_BACKEND {

// The part of a loss that looks at one value alone, and its derivative, for d = pred - target.
template <class C> struct PixelError {
  C mse, mae;
  SIMT_DEVICE C value(C d) const { return mse * (d * d) + mae * std::fabs(d); }
  SIMT_DEVICE C slope(C d) const {
    return mse * (C(2) * d) + mae * (d == C(0) ? C(0) : std::copysign(C(1), d));
  }
};

}  // namespace SIMT_BACKEND

// image_loss where weights.dssim is not 0 (ssim.cu).
template <class D, class T>
void loss_with_ssim(const LossWeights&, Stream&, const ImageShape&, const T* pred, const T* target,
                    const T* mask, compute_t<T>* loss, T* dpred);

}  // namespace kernels
