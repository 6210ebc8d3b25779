// Shared by losses.cu and ssim.cu: the terms of an image loss that need one value alone,
// and the second stage of the sums.
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

// Losses of all shares from the sums of their blocks.
template <class C> struct LossTotals {
  const C* partials;  // [shares,count]
  int count, shares;
  C* each;  // [shares]
  C* sum;   // [1] or null
  C scale;  // 1/values of a share
  template <class B> SIMT_DEVICE void store(B& b) const {
    C all = 0;
    for (int k = 0; k < shares; ++k) {
      const C* const of_share = partials + static_cast<std::int64_t>(k) * count;
      simt::Reg<B, C> total{};
      b.strided(count, [&](int t, int i) SIMT_LAMBDA { total[t] += of_share[i]; });
      const C loss = b.sum(total) * scale;
      b.once([&]() SIMT_LAMBDA { each[k] = loss; });
      all += loss;
    }
    if (sum != nullptr) b.once([&]() SIMT_LAMBDA { *sum = all; });
  }
};
}  // namespace SIMT_BACKEND
}  // namespace kernels
