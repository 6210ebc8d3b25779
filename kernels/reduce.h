// Reductions, deterministic: fixed partial sums and a fixed tree, the same bits for any number of threads. Sums in
// compute_t<T>. Workspace comes from the pool.
#pragma once
#include "kernels/step_state.h"
#include "kernels/stream.h"

namespace kernels {

template <class D, class T> void sum(Stream&, const T* x, compute_t<T>* out /*[1]*/, std::int64_t n);

// out[c] = sum over rows of x[row, c]: the gradient of a bias.
template <class D, class T> void sum_columns(Stream&, const T* x /*[rows,columns]*/, T* out /*[columns]*/, std::int64_t rows, std::int64_t columns);

// The backward pass of bias + LeakyReLU in one sweep: dx = dy * f'(y), dbias = column sums of dx. dx may be dy.
template <class D, class T>
void bias_leaky_relu_backward(Stream&, const T* y, const T* dy, T* dx, T* dbias, std::int64_t rows, std::int64_t columns, float slope);

// Norm of all gradients, and the factor that clips it: state->gradient_norm, ->clip_factor = min(1, max_norm / norm)
// (1 where max_norm <= 0), ->finite = 0 where any gradient is not finite.
template <class D, class T> void gradient_norm(Stream&, const T* gradients, std::int64_t n, float max_norm, StepState* state);

}  // namespace kernels
