// The terms of an image loss that need one value alone; losses.cu and ssim.cu add them
// up.
#pragma once
#include <cmath>

#include "kernels/simt/simt.h"

namespace kernels {
inline namespace SIMT_BACKEND {  // one copy for the host, one for the GPU

// mse * d^2 + mae * |d| and its derivative, for d = pred - target.
template <class C> struct PixelError {
  C mse, mae;
  SIMT_DEVICE C value(C d) const { return mse * (d * d) + mae * std::fabs(d); }
  SIMT_DEVICE C slope(C d) const {
    return mse * (C(2) * d) + mae * (d == C(0) ? C(0) : std::copysign(C(1), d));
  }
};
}  // namespace SIMT_BACKEND
}  // namespace kernels
