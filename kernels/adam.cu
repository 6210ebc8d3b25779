// Adam and AdamW in one pass over a flat arena, and the step counters around it.
// Computes: g = clip * gradient,  m += (1 - b1) * (g - m),  v = b2 * v + (1 - b2) * g^2
//           w -= lr * (m^ / (sqrt(v^) + eps) + decay * w)
//           with m^ = m / (1 - b1^t),  v^ = v / (1 - b2^t)
// Parallel: GPU: two vectors of four weights per turn of a thread, so 16 bytes of w, m
//   and v per access. Host: a contiguous piece per worker, SIMD inside. The corrections
//   of m^ and v^ are computed once a step, by advance_step.
// Bytes per weight in f32: gradient 4; w, m, v 24; the bf16 copy, if any, 2.
// Source: Kingma & Ba 2015, https://arxiv.org/abs/1412.6980; Loshchilov & Hutter 2019,
//   https://arxiv.org/abs/1711.05101. Rounding as in torch.optim.AdamW: eps outside the
//   root, sqrt(v) divided by sqrt(1 - b2^t).
#include "kernels/adam.h"

#include <cmath>

#include "kernels/simt/instantiate.h"
#include "kernels/vectors.h"

namespace kernels {
namespace {

template <class T, bool kWorking>
__global__ void adam_kernel(VectorRange<lanes<compute_t<T>>> range, compute_t<T>* master,
                            T* working, const T* gradients, compute_t<T>* m, compute_t<T>* v,
                            const StepState* state, AdamOptions options) {
  using C = compute_t<T>;
  if (!state->finite) return;
  const C beta2 = static_cast<C>(options.beta2), epsilon = static_cast<C>(options.epsilon),
          one_minus_beta1 = static_cast<C>(1.0 - static_cast<double>(options.beta1)),
          one_minus_beta2 = static_cast<C>(1.0 - static_cast<double>(options.beta2));
  const C clip = static_cast<C>(state->clip_factor),
          root2 = static_cast<C>(state->root_correction2),
          learning_rate = static_cast<C>(state->learning_rate),
          step_size = learning_rate / static_cast<C>(state->correction1),
          keep = C(1) - learning_rate * static_cast<C>(options.weight_decay);
  for_vectors(range, [=](const auto& at) SIMT_LAMBDA {
    const auto gradient = at.load(gradients);
    auto mean = at.load(m), square = at.load(v), weight = at.load(master);
    SIMT_UNROLL
    for (int k = 0; k < at.count; ++k) {
      const C g = clip * gradient[k];
      mean[k] = mean[k] + one_minus_beta1 * (g - mean[k]);
      square[k] = beta2 * square[k] + one_minus_beta2 * (g * g);
      const C root = quotient(std::sqrt(square[k]), root2);
      weight[k] = keep * weight[k] - quotient(step_size * mean[k], root + epsilon);
    }
    at.store(m, mean);
    at.store(v, square);
    at.store(master, weight);
    if constexpr (kWorking) at.store(working, weight);
  });
}

// log_beta: natural, taken on the CPU in double. expm1 gives 1 - beta^t without
// cancellation: at beta2 = 0.999 and t = 1 a difference of floats is off by 5e-5.
__global__ void advance_step_kernel(StepState* state, double log_beta1, double log_beta2) {
  state->step += 1;
  state->finite = 1;
  const double step = static_cast<double>(state->step);
  state->correction1 = -std::expm1(static_cast<float>(step * log_beta1));
  state->root_correction2 = std::sqrt(-std::expm1(static_cast<float>(step * log_beta2)));
}

__global__ void finish_step_kernel(StepState* state, LossLog losses) {
  if (losses.losses != nullptr) {
    float* const row =
        losses.log + 2 * ((state->step - 1) % static_cast<std::uint64_t>(losses.rows));
    row[0] = losses.losses[0];
    row[1] = losses.losses[1];
  }
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
}  // namespace

template <class D, class T>
void adam_step(Stream& stream, compute_t<T>* master, T* working, const T* gradients,
               compute_t<T>* m, compute_t<T>* v, std::int64_t n, const StepState* state,
               const AdamOptions& options) {
  const auto range = vector_range<lanes<compute_t<T>>>(n, master, working, gradients, m, v);
  stream.moves(n * (6 * sizeof(*master) + (working ? 2 : 1) * sizeof(T)));
  if (working)
    launch_vectors<adam_kernel<T, true>>(stream, range, master, working, gradients, m, v, state,
                                         options);
  else
    launch_vectors<adam_kernel<T, false>>(stream, range, master, working, gradients, m, v, state,
                                          options);
}

template <class D> void advance_step(Stream& stream, StepState* state, const AdamOptions& options) {
  simt::launch<advance_step_kernel>(stream, dim3(1), dim3(1), state,
                                    std::log(static_cast<double>(options.beta1)),
                                    std::log(static_cast<double>(options.beta2)));
}
template <class D> void finish_step(Stream& stream, StepState* state, const LossLog& losses) {
  simt::launch<finish_step_kernel>(stream, dim3(1), dim3(1), state, losses);
}

SIMT_INSTANTIATE(adam_step)
SIMT_INSTANTIATE_FOR(advance_step)
SIMT_INSTANTIATE_FOR(finish_step)
}  // namespace kernels
