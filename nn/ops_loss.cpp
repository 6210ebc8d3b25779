// Image losses. The kernels compute value and gradient together, so the forward pass
// keeps the gradient and the backward pass only multiplies it by the loss's own.
#include "kernels/elementwise.h"
#include "kernels/losses.h"
#include "nn/dispatch.h"
#include "nn/ops.h"

namespace nn {
namespace {

void check_loss(const char* op, const Tensor& pred, const Tensor& target, const Tensor& mask) {
  check(pred.defined() && target.defined(), "{}: {} is undefined", op,
        pred.defined() ? "target" : "prediction");
  check(pred.shape().rank() == 4 && pred.numel() > 0, "{}: prediction must be [N,H,W,C], got {}",
        op, pred.shape().str());
  check(target.shape() == pred.shape(), "{}: target {} must have the shape of the prediction {}",
        op, target.shape().str(), pred.shape().str());
  check(!target.requires_grad() && !mask.requires_grad(),
        "{}: target and mask get no gradient; pass them detached", op);
  const auto check_operand = [&](const char* role, const Tensor& operand) {
    check(operand.dtype() == pred.dtype() && operand.device() == pred.device(),
          "{}: {} is {} on {}, but the prediction is {} on {}", op, role, name(operand.dtype()),
          name(operand.device()), name(pred.dtype()), name(pred.device()));
  };
  check_operand("target", target);
  if (!mask.defined()) return;
  const Shape expected{pred.shape(0), pred.shape(1), pred.shape(2)};
  check(mask.shape() == expected, "{}: mask {} must be [N,H,W] = {} for the prediction {}", op,
        mask.shape().str(), expected.str(), pred.shape().str());
  check_operand("mask", mask);
}

SharedLoss weighted_loss(const char* op, const Tensor& pred, const Tensor& target,
                         const Tensor& mask, const LossWeights& weights, int shares) {
  check_loss(op, pred, target, mask);
  const Shape& s = pred.shape();
  check(weights.dssim == 0.f || (s[1] >= 6 && s[2] >= 6), "{}: images must be at least 6x6, got {}",
        op, s.str());
  check(shares >= 1 && s[0] % shares == 0, "{}: {} images do not divide into {} shares", op, s[0],
        shares);
  const kernels::ImageShape shape{s[0] / shares, static_cast<int>(s[1]), static_cast<int>(s[2]),
                                  static_cast<int>(s[3])};
  const DType compute = compute_dtype(pred.dtype());
  const Tensor each = Tensor::empty({shares}, compute, pred.device()),
               sum = shares == 1 ? each : Tensor::empty({1}, compute, pred.device()),
               dpred = empty_like(pred);
  dispatch(pred, op, [&]<class D, class T>(Stream& stream) {
    using C = kernels::compute_t<T>;
    kernels::image_loss<D, T>(
        stream, shape, weights, pred.data<T>(), target.data<T>(), data_or_null<T>(mask),
        {each.data<C>(), shares == 1 ? nullptr : sum.data<C>(), dpred.data<T>()}, shares);
  });
  const Tensor root = record(sum, op, {pred}, [op, dpred](Backward& ctx) {
    if (ctx.grad_is_one()) return ctx.gradients(dpred);
    // In place: a node runs once.
    dispatch(dpred, op, [&]<class D, class T>(Stream& stream) {
      kernels::scale_by<D, T>(stream, dpred.data<T>(), ctx.grad().data<kernels::compute_t<T>>(),
                              dpred.data<T>(), dpred.numel());
    });
    return ctx.gradients(dpred);
  });
  return {root, each.detach()};
}
}  // namespace

Tensor image_loss(const Tensor& pred, const Tensor& target, const Tensor& mask,
                  const LossWeights& weights) {
  return weighted_loss("image_loss", pred, target, mask, weights, 1).sum;
}
SharedLoss image_loss(const Tensor& pred, const Tensor& target, const Tensor& mask,
                      const LossWeights& weights, int shares) {
  return weighted_loss("image_loss", pred, target, mask, weights, shares);
}
Tensor mae_loss(const Tensor& pred, const Tensor& target, const Tensor& mask) {
  return weighted_loss("mae_loss", pred, target, mask, {0.f, 0.f, 1.f}, 1).sum;
}
Tensor mse_loss(const Tensor& pred, const Tensor& target, const Tensor& mask) {
  return weighted_loss("mse_loss", pred, target, mask, {0.f, 1.f, 0.f}, 1).sum;
}
Tensor dssim_loss(const Tensor& pred, const Tensor& target, const Tensor& mask) {
  return weighted_loss("dssim_loss", pred, target, mask, {1.f, 0.f, 0.f}, 1).sum;
}
}  // namespace nn
