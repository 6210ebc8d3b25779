#include "nn/optimizer.h"

#include <cstddef>

#include "kernels/elementwise.h"
#include "kernels/reduce.h"
#include "nn/dispatch.h"

namespace nn {

StepStateBlock::StepStateBlock(Device device, const StepState& initial)
    : buffer_(std::make_shared<kernels::Buffer>(device, sizeof(StepState))) {
  write(initial);
}

StepState* StepStateBlock::device_pointer() const { return buffer_->as<StepState>(); }

StepState StepStateBlock::read() const {
  StepState state;
  kernels::copy(&state, Device::host, buffer_->data(), buffer_->device(), sizeof state);
  return state;
}

void StepStateBlock::write(const StepState& state) {
  kernels::copy(buffer_->data(), buffer_->device(), &state, Device::host, sizeof state);
}

// By a kernel, whose argument the rate is: a copy from the host would wait.
void StepStateBlock::set_learning_rate(float rate) {
  kernels::Stream& stream = kernels::Stream::of(buffer_->device());
  kernels::on_device(stream, [&]<class D>() {
    kernels::fill<D, float>(stream, &device_pointer()->learning_rate, rate, 1);
  });
}

Tensor StepStateBlock::loss_scale() const {
  return Tensor::adopt(buffer_, offsetof(StepState, loss_scale), Shape{1}, DType::f32);
}

Adam::Adam(ParameterArena& arena, const AdamOptions& options, float max_gradient_norm)
    : arena_(&arena), options_(options), max_gradient_norm_(max_gradient_norm) {}

void Adam::begin_step(StepStateBlock& block) const {
  StepState* state = block.device_pointer();
  Stream& stream = Stream::of(block.device());
  kernels::on_device(stream, [&]<class D>() { kernels::advance_step<D>(stream, state, options_); });
}

void Adam::step(StepStateBlock& block, const kernels::LossLog& losses) {
  arena_->finish_gradients();
  StepState* state = block.device_pointer();
  const Tensor gradients = arena_->gradients(), working = arena_->working(),
               master = arena_->master();
  check(gradients.defined(), "adam: the arena is not allocated");
  dispatch(gradients, "adam", [&]<class D, class T>(Stream& stream) {
    using Wide = kernels::compute_t<T>;
    const std::int64_t n = arena_->size();
    const T* g = gradients.data<T>();                                       // [size]
    T* copy = working.raw() == master.raw() ? nullptr : working.data<T>();  // [size]
    kernels::gradient_norm<D, T>(stream, g, n, max_gradient_norm_, state);
    kernels::adam_step<D, T>(stream, master.data<Wide>(), copy, g, arena_->moment1().data<Wide>(),
                             arena_->moment2().data<Wide>(), n, state, options_);
    kernels::finish_step<D>(stream, state, losses);
  });
}
}  // namespace nn
