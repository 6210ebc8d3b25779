// Adam and AdamW in one pass over a flat arena, and the step counters around it.
// Computes: g = clip * gradient,  m += (1 - b1) * (g - m),  v = b2 * v + (1 - b2) * g^2
//           w -= lr * (m^ / (sqrt(v^) + eps) + decay * w)
//           with m^ = m / (1 - b1^t),  v^ = v / (1 - b2^t)
// Parallel: one thread per weight; a contiguous piece per host worker, SIMD inside.
// Bytes per weight in f32: gradient 4; w, m, v 24; the bf16 copy, if any, 2.
// Source: Kingma & Ba 2015, https://arxiv.org/abs/1412.6980; Loshchilov & Hutter 2019,
//   https://arxiv.org/abs/1711.05101. Rounding as in torch.optim.AdamW: eps outside the
//   root, sqrt(v) divided by sqrt(1 - b2^t).
#include "kernels/adam.h"

#include <cmath>

#include "kernels/ranges.h"
#include "kernels/simt/instantiate.h"

namespace kernels {
namespace {

// For 1 - beta^t without cancellation: at beta2 = 0.999 and t = 1 a difference of
// floats is off by 5e-5.
struct AdamScalars {
  double log_beta1, log_beta2;  // natural, taken on the CPU in double
  AdamOptions options;
};

template <class T, bool kWorking>
__global__ void adam_kernel(compute_t<T>* master, T* working, const T* gradients, compute_t<T>* m,
                            compute_t<T>* v, std::int64_t n, const StepState* state,
                            AdamScalars scalars) {
  using C = compute_t<T>;
  if (!state->finite) return;
  const double step = static_cast<double>(state->step);
  const C correction1 = -std::expm1(static_cast<C>(step * scalars.log_beta1));
  const C correction2 = -std::expm1(static_cast<C>(step * scalars.log_beta2));
  const C root2 = std::sqrt(correction2);
  const C one_minus_beta1 = static_cast<C>(1.0 - static_cast<double>(scalars.options.beta1)),
          beta2 = static_cast<C>(scalars.options.beta2);
  const C one_minus_beta2 = static_cast<C>(1.0 - static_cast<double>(scalars.options.beta2));
  const C epsilon = static_cast<C>(scalars.options.epsilon),
          clip = static_cast<C>(state->clip_factor);
  const C learning_rate = static_cast<C>(state->learning_rate),
          step_size = learning_rate / correction1;
  const C keep = C(1) - learning_rate * static_cast<C>(scalars.options.weight_decay);
  for_elements(n, [=](std::int64_t i) SIMT_LAMBDA {
    const C g = clip * load(gradients, i);
    const C mean = m[i] + one_minus_beta1 * (g - m[i]);
    const C square = beta2 * v[i] + one_minus_beta2 * (g * g);
    const C weight = keep * master[i] - step_size * mean / (std::sqrt(square) / root2 + epsilon);
    m[i] = mean;
    v[i] = square;
    master[i] = weight;
    if constexpr (kWorking) store(working, i, weight);
  });
}

__global__ void advance_step_kernel(StepState* state) {
  state->step += 1;
  state->finite = 1;
}

__global__ void finish_step_kernel(StepState* state) {
  state->skipped += state->finite ? 0 : 1;
  state->skipped_in_a_row = state->finite ? 0 : state->skipped_in_a_row + 1;
  if (state->scale_interval == 0) return;
  state->good_steps = state->finite ? state->good_steps + 1 : 0;
  if (!state->finite) {
    state->loss_scale = state->loss_scale > 2.f ? state->loss_scale / 2 : 1.f;
  } else if (state->good_steps >= state->scale_interval) {
    state->good_steps = 0;
    state->loss_scale = state->loss_scale < 8388608.f ? state->loss_scale * 2 : 16777216.f;
  }
}

__global__ void record_losses_kernel(const StepState* state, const float* loss_a,
                                     const float* loss_b, float* log, int rows) {
  float* const row = log + 2 * ((state->step - 1) % static_cast<std::uint64_t>(rows));
  row[0] = *loss_a;
  row[1] = *loss_b;
}
}  // namespace

template <class D, class T>
void adam_step(Stream& stream, compute_t<T>* master, T* working, const T* gradients,
               compute_t<T>* m, compute_t<T>* v, std::int64_t n, const StepState* state,
               const AdamOptions& options) {
  const AdamScalars scalars{std::log(static_cast<double>(options.beta1)),
                            std::log(static_cast<double>(options.beta2)), options};
  if (working)
    simt::launch_range<adam_kernel<T, true>>(stream, n, master, working, gradients, m, v, n, state,
                                             scalars);
  else
    simt::launch_range<adam_kernel<T, false>>(stream, n, master, working, gradients, m, v, n, state,
                                              scalars);
}

template <class D> void advance_step(Stream& stream, StepState* state) {
  simt::launch<advance_step_kernel>(stream, dim3(1), dim3(1), state);
}
template <class D> void finish_step(Stream& stream, StepState* state) {
  simt::launch<finish_step_kernel>(stream, dim3(1), dim3(1), state);
}

template <class D>
void record_losses(Stream& stream, const StepState* state, const float* loss_a, const float* loss_b,
                   float* log, int rows) {
  simt::launch<record_losses_kernel>(stream, dim3(1), dim3(1), state, loss_a, loss_b, log, rows);
}

SIMT_INSTANTIATE(adam_step)
SIMT_INSTANTIATE_FOR(advance_step)
SIMT_INSTANTIATE_FOR(finish_step)
SIMT_INSTANTIATE_FOR(record_losses)
}  // namespace kernels
