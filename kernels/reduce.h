// Reductions. Deterministic: partial sums and tree depend on the length alone, so any
// number of threads gives the same bits. Sums are in compute_t<T>; workspace comes from
// the pool.
#pragma once
#include "kernels/core/step_state.h"
#include "kernels/core/stream.h"

namespace kernels {

template <class D, class T>
void sum(Stream&, const T* x, compute_t<T>* out /*[1]*/, std::int64_t n);

// The norm of all gradients and the factor that clips it: state->gradient_norm,
// state->clip_factor = min(1, max_norm / norm) (1 if max_norm <= 0), and state->finite
// = 0 if any gradient is not finite.
template <class D, class T>
void gradient_norm(Stream&, const T* gradients, std::int64_t n, float max_norm, StepState* state);
}  // namespace kernels
