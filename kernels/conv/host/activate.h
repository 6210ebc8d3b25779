// The epilogue of the host's own convolutions.
#pragma once
#include <cmath>

#include "kernels/conv/conv.h"

namespace kernels {

template <class C> C activate(C v, const ConvEpilogue& epilogue) {
  switch (epilogue.activation) {
    case Activation::leaky_relu: return v > C(0) ? v : C(epilogue.slope) * v;
    case Activation::sigmoid: return C(1) / (C(1) + std::exp(-v));
    case Activation::none: break;
  }
  return v;
}

}  // namespace kernels
