// The values that change from step to step, in one small block on the device: a
// captured graph reads them there and bakes none of them in.
#pragma once
#include <cstdint>

namespace kernels {

struct StepState {
  std::uint64_t step = 0;  // steps begun so far; the first is 1 (advance_step adds one)
  std::uint64_t seed = 1;  // of all random numbers
  float learning_rate = 5e-5f;
  float clip_factor = 1.f;    // the optimizer multiplies every gradient by it
  float gradient_norm = 0.f;  // before clipping
  std::uint32_t skipped = 0;  // steps without an update, as their gradients were not finite
  std::uint32_t finite = 1;   // of this step
  std::uint32_t skipped_in_a_row = 0;  // up to this step
  float loss_scale = 1.f;              // starts the backward pass; clip_factor divides it out
  std::uint32_t good_steps = 0;        // with this scale
  std::uint32_t scale_interval = 0;    // good steps until the scale doubles; it halves after a
                                       // bad one. 0: it stays
  // Adam's bias corrections for betas b1 and b2: 1 - b1^step and sqrt(1 - b2^step).
  float correction1 = 0.f, root_correction2 = 0.f;
  std::uint32_t reserved = 0;
};
static_assert(sizeof(StepState) == 64);
}  // namespace kernels
