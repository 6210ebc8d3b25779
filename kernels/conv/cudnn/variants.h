// Runs a cuDNN plan in one of the variants: plain, fused, through padded copies.
#pragma once
#include "kernels/conv/cudnn/planner.h"
#include "kernels/core/stream.h"

namespace kernels::cudnn {

// Arrays on the GPU. One of x, w, y is the result; bias may be null.
struct ConvOperands {
  const void *x, *w, *bias, *y;
};

// Calls f.operator()<T>() with the storage type of a math type.
template <class F> void on_type(MathType math_type, const F& f) {
  switch (math_type) {
    case MathType::bf16: return f.template operator()<bf16>();
    case MathType::f16: return f.template operator()<f16>();
    default: return f.template operator()<float>();
  }
}

struct VariantPlan {
  Variant variant;
  Plan plan;
};

// If the plan has no bias and activation inside, ours follow on y in place.
void run_variant(cudnnHandle_t, Stream&, const Problem& wanted, Variant, const Plan&,
                 const ConvOperands&);
}  // namespace kernels::cudnn
