// Adam over a ParameterArena, driven by a StepState that lives on the device.
#pragma once
#include "kernels/adam.h"
#include "nn/parameters.h"

namespace nn {

using kernels::AdamOptions;
using kernels::StepState;

// Owns the device block that holds the StepState.
class StepStateBlock {
 public:
  StepStateBlock(Device device, const StepState& initial);
  StepState* device_pointer() const;
  Device device() const { return buffer_->device(); }
  StepState read() const;  // waits for the device
  void write(const StepState&);
  void set_learning_rate(float);  // without waiting
  Tensor loss_scale() const;      // [1] in f32, the StepState's own

 private:
  std::shared_ptr<kernels::Buffer> buffer_;
};

class Adam {
 public:
  Adam(ParameterArena& arena, const AdamOptions& options, float max_gradient_norm = 0.f);
  // Begins a step, before its first kernel that reads the state: state.step += 1, and
  // Adam's corrections for that step.
  void begin_step(StepStateBlock& state) const;
  // One step with the gradients in the arena: norm, clip factor, finite check, update.
  // Skips the update if a gradient is not finite (state.finite = 0, state.skipped
  // counts it). Logs the losses, if any.
  void step(StepStateBlock& state, const kernels::LossLog& losses = {});

 private:
  ParameterArena* arena_;
  AdamOptions options_;
  float max_gradient_norm_;
};
}  // namespace nn
