// Reductions, deterministic: fixed partial sums and a fixed tree, the same bits for any number of threads. Sums in
// compute_t<T>. Workspace comes from the pool.
#pragma once
#include "kernels/core/step_state.h"
#include "kernels/core/stream.h"

namespace kernels {

template <class D, class T>
void sum(Stream&, const T* x, compute_t<T>* out /*[1]*/, std::int64_t n);

// Norm of all gradients, and the factor that clips it: state->gradient_norm, ->clip_factor = min(1, max_norm / norm)
// (1 where max_norm <= 0), ->finite = 0 where any gradient is not finite.
template <class D, class T>
void gradient_norm(Stream&, const T* gradients, std::int64_t n, float max_norm, StepState* state);

}  // namespace kernels
