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
  input_ = nn::Tensor::zeros({2 * n, size, size, 3}, dtype, device);
  target_ = nn::Tensor::zeros({2 * n, size, size, 3}, dtype, device);
  mask_ = nn::Tensor::zeros({2 * n, size, size}, dtype, device);
  losses_ = nn::Tensor::zeros({kLossRows, 2}, nn::DType::f32, device);
}

// Draws samples [first, first + count) of each person's batch.
void TrainingStep::draw(int first, int count) {
  const kernels::MicroBatch micro_batch(plan_.batch, first, count);
  const std::array sources{faces_[0].source(Side::a), faces_[1].source(Side::b)};
  nn::dispatch(input_, "augment", [&]<class D, class T>(kernels::Stream& stream) {
    kernels::augment<D, T>(stream, sources, kModelView, state_->device_pointer(), micro_batch,
                           model_->size(), input_.data<T>(), target_.data<T>(), mask_.data<T>(),
                           plan_.augment);
  });
}

// Each person's loss, as the micro-batch's share of the whole batch's mean.
nn::SharedLoss TrainingStep::forward(int first, int count) {
  draw(first, count);
  const float share = static_cast<float>(count) / static_cast<float>(plan_.batch);
  const LossWeights weights{plan_.loss.dssim * share, plan_.loss.mse * share,
                            plan_.loss.mae * share};
  const int faces = 2 * count;  // A's, then B's
  const nn::Tensor pred = model_->decode_both(model_->encode(input_.rows(0, faces)));
  return image_loss(pred, target_.rows(0, faces), mask_.rows(0, faces), weights, 2);
}

void TrainingStep::run() {
  adam_.begin_step(*state_);
  model_->arena().begin_gradients();
  nn::Tensor losses;  // [2]
  for (int i = 0; i < plan_.micro_batches; ++i) {
    const int first = plan_.batch * i / plan_.micro_batches,
              end = plan_.batch * (i + 1) / plan_.micro_batches;
    const nn::SharedLoss loss = forward(first, end - first);
    const bool scale_is_one = dtype_ != nn::DType::f16;
    nn::backward(std::span(&loss.sum, 1), state_->loss_scale(), scale_is_one);
    losses = i == 0 ? loss.each : add(losses, loss.each);
  }
  adam_.step(*state_, {losses.data<float>(), losses_.data<float>(), kLossRows});
}
}  // namespace faceswap
