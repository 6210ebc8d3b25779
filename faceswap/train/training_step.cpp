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
std::array<nn::Tensor, 2> TrainingStep::forward(int first, int count) {
  draw(first, count);
  const float share = static_cast<float>(count) / static_cast<float>(plan_.batch);
  const LossWeights weights{plan_.loss.dssim * share, plan_.loss.mse * share,
                            plan_.loss.mae * share};
  const nn::Tensor code = model_->encode(input_.rows(0, 2 * count));
  std::array<nn::Tensor, 2> losses;
  for (int k = 0; k < 2; ++k) {
    const int begin = k * count, end = begin + count;
    const nn::Tensor pred = model_->decode(k == 0 ? Side::a : Side::b, code.rows(begin, end));
    losses[k] = image_loss(pred, target_.rows(begin, end), mask_.rows(begin, end), weights);
  }
  return losses;
}

void TrainingStep::run() {
  kernels::Stream& stream = input_.stream();
  adam_.begin_step(*state_);
  model_->arena().begin_gradients();
  std::array<nn::Tensor, 2> total;
  for (int i = 0; i < plan_.micro_batches; ++i) {
    const int first = plan_.batch * i / plan_.micro_batches,
              end = plan_.batch * (i + 1) / plan_.micro_batches;
    const std::array<nn::Tensor, 2> losses = forward(first, end - first);
    const bool scale_is_one = dtype_ != nn::DType::f16;
    nn::backward(losses, state_->loss_scale(), scale_is_one);
    for (int k = 0; k < 2; ++k)
      total[k] = i == 0 ? losses[k].detach() : add(total[k], losses[k].detach());
  }
  kernels::on_device(stream, [&]<class D>() {
    kernels::record_losses<D>(stream, state_->device_pointer(), total[0].data<float>(),
                              total[1].data<float>(), losses_.data<float>(), kLossRows);
  });
  adam_.step(*state_);
}
}  // namespace faceswap
