// Adam (Kingma & Ba 2015) and AdamW (Loshchilov & Hutter 2019) over a flat arena, in
// one pass. Step, learning rate and clip factor are read from StepState on the device.
#pragma once
#include "kernels/core/step_state.h"
#include "kernels/core/stream.h"

namespace kernels {

struct AdamOptions {
  float beta1 = 0.9f, beta2 = 0.999f, epsilon = 1e-7f;
  float weight_decay = 0.f;  // decoupled (AdamW); 0 is plain Adam
};

// master -= lr * (m^ / (sqrt(v^) + eps) + weight_decay * master) with clipped
// gradients. working, if not null, gets the new weights in T. If state->finite is 0
// nothing changes. m^ and v^ take their corrections from the state: call advance_step
// with the same options first.
template <class D, class T>
void adam_step(Stream&, compute_t<T>* master, T* working, const T* gradients, compute_t<T>* m,
               compute_t<T>* v, std::int64_t n, const StepState* state, const AdamOptions&);

// Begins a step: step += 1, finite = 1, and Adam's corrections for that step.
template <class D> void advance_step(Stream&, StepState* state, const AdamOptions&);

// The record of a step's losses: log[(step - 1) % rows] = losses, so the host may read
// many steps at once.
struct LossLog {
  const float* losses = nullptr;  // [2], of A and B; null: none
  float* log = nullptr;           // [rows,2]
  int rows = 0;
};
// Ends a step: logs its losses, counts it as skipped if it was not finite, and adapts the
// loss scale (Micikevicius et al. 2018, Mixed precision training).
template <class D> void finish_step(Stream&, StepState* state, const LossLog& = {});
}  // namespace kernels
