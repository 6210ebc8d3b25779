#include "faceswap/train/training_step.h"

#include "nn/dispatch.h"

namespace faceswap {

TrainingStep::TrainingStep(Model& model, nn::DType dtype, const std::array<FacesOnDevice, 2>& faces,
                           nn::StepStateBlock& state, const StepPlan& plan)
    : model_(&model),
      dtype_(dtype),
      faces_(faces),
      state_(&state),
      plan_(plan),
      adam_(model.arena(), nn::AdamOptions{}, plan.clip_norm) {
  const nn::Device device = model.arena().device();
  const std::int64_t n = (plan.batch + plan.micro_batches - 1) / plan.micro_batches,
                     size = model.size();
  const auto zeros = [&](nn::Shape shape) { return nn::Tensor::zeros(shape, dtype, device); };
  pictures_ = {zeros({2 * n, size, size, 3}), zeros({2 * n, size, size, 3}),
               zeros({2 * n, size, size})};
  losses_ = nn::Tensor::zeros({kLossRows, 2}, nn::DType::f32, device);
  if (plan.micro_batches > 1 && nn::size_of(dtype) == 2)
    gradient_sum_ = nn::Tensor::empty({model.arena().size()}, nn::DType::f32, device);
}

// Draws samples [first, first + count) of each person's batch.
void TrainingStep::draw(int first, int count) {
  if (faces_[0].count == 0) return;
  const kernels::MicroBatch micro_batch(plan_.batch, first, count);
  const std::array sources{faces_[0].source(Side::a), faces_[1].source(Side::b)};
  auto& [input, target, mask] = pictures_;
  nn::dispatch(input, "augment", [&]<class D, class T>(kernels::Stream& stream) {
    kernels::augment<D, T>(stream, sources, kModelView, state_->device_pointer(), micro_batch,
                           model_->size(), input.data<T>(), target.data<T>(), mask.data<T>(),
                           plan_.augment);
  });
}

// Each person's loss, as the micro-batch's share of the whole batch's mean.
nn::SharedLoss TrainingStep::forward(int count, const AfterPhase& after) {
  const float share = static_cast<float>(count) / static_cast<float>(plan_.batch);
  const LossWeights weights{plan_.loss.dssim * share, plan_.loss.mse * share,
                            plan_.loss.mae * share};
  const auto& [input, target, mask] = pictures_;
  const int faces = 2 * count;  // A's, then B's
  const nn::Tensor pred = model_->decode_both(model_->encode(input.rows(0, faces)));
  after("forward");
  const nn::SharedLoss loss =
      image_loss(pred, target.rows(0, faces), mask.rows(0, faces), weights, 2);
  after("losses");
  return loss;
}

void TrainingStep::run(const AfterPhase& after) {
  adam_.begin_step(*state_);
  nn::ParameterArena& arena = model_->arena();
  nn::Tensor losses;  // [2]
  for (int i = 0; i < plan_.micro_batches; ++i) {
    if (i == 0 || gradient_sum_.defined()) arena.begin_gradients();
    const int first = plan_.batch * i / plan_.micro_batches,
              end = plan_.batch * (i + 1) / plan_.micro_batches;
    draw(first, end - first);
    after("augmentation");
    const nn::SharedLoss loss = forward(end - first, after);
    const bool scale_is_one = dtype_ != nn::DType::f16;
    nn::backward(std::span(&loss.sum, 1), state_->loss_scale(), scale_is_one);
    if (gradient_sum_.defined()) arena.add_gradients_to(gradient_sum_, i == 0);
    losses = i == 0 ? loss.each : add(losses, loss.each);
    after("backward");
  }
  if (gradient_sum_.defined()) arena.take_gradients_from(gradient_sum_);
  adam_.step(*state_, {losses.data<float>(), losses_.data<float>(), kLossRows});
  after("optimizer");
}
}  // namespace faceswap
