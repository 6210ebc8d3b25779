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
std::array<nn::Tensor, 2> TrainingStep::forward(int count, const AfterPhase& after) {
  const float share = static_cast<float>(count) / static_cast<float>(plan_.batch);
  const LossWeights weights{plan_.loss.dssim * share, plan_.loss.mse * share,
                            plan_.loss.mae * share};
  const auto rows_of = [&](const nn::Tensor& tensor, int k) {
    return tensor.rows(k * count, (k + 1) * count);
  };
  const nn::Tensor code = model_->encode(pictures_.input.rows(0, 2 * count));
  std::array<nn::Tensor, 2> pred, losses;
  for (int k = 0; k < 2; ++k)
    pred[k] = model_->decode(k == 0 ? Side::a : Side::b, rows_of(code, k));
  after("forward");
  for (int k = 0; k < 2; ++k)
    losses[k] =
        image_loss(pred[k], rows_of(pictures_.target, k), rows_of(pictures_.mask, k), weights);
  after("losses");
  return losses;
}

void TrainingStep::run(const AfterPhase& after) {
  kernels::Stream& stream = losses_.stream();
  adam_.begin_step(*state_);
  nn::ParameterArena& arena = model_->arena();
  std::array<nn::Tensor, 2> total;
  for (int i = 0; i < plan_.micro_batches; ++i) {
    if (i == 0 || gradient_sum_.defined()) arena.begin_gradients();
    const int first = plan_.batch * i / plan_.micro_batches,
              end = plan_.batch * (i + 1) / plan_.micro_batches;
    draw(first, end - first);
    after("augmentation");
    const std::array<nn::Tensor, 2> losses = forward(end - first, after);
    const bool scale_is_one = dtype_ != nn::DType::f16;
    nn::backward(losses, state_->loss_scale(), scale_is_one);
    if (gradient_sum_.defined()) arena.add_gradients_to(gradient_sum_, i == 0);
    for (int k = 0; k < 2; ++k)
      total[k] = i == 0 ? losses[k].detach() : add(total[k], losses[k].detach());
    after("backward");
  }
  if (gradient_sum_.defined()) arena.take_gradients_from(gradient_sum_);
  kernels::on_device(stream, [&]<class D>() {
    kernels::record_losses<D>(stream, state_->device_pointer(), total[0].data<float>(),
                              total[1].data<float>(), losses_.data<float>(), kLossRows);
  });
  adam_.step(*state_);
  after("optimizer");
}
}  // namespace faceswap
