// Convolution and dense layers, each one node with its bias and activation.
#include "kernels/conv/conv.h"
#include "kernels/conv/gemm.h"
#include "kernels/depthwise.h"
#include "kernels/elementwise.h"
#include "kernels/epilogue.h"
#include "kernels/layout.h"
#include "nn/dispatch.h"
#include "nn/ops.h"

namespace nn {
namespace {

void check_operand(const char* op, const char* role, const Tensor& operand, const Tensor& x) {
  check(operand.dtype() == x.dtype(),
        "{}: {} {} is {}, but input {} is {}; both must have the same dtype", op, role,
        operand.shape().str(), name(operand.dtype()), x.shape().str(), name(x.dtype()));
  check(operand.device() == x.device(), "{}: {} {} is on {}, but input {} is on {}", op, role,
        operand.shape().str(), name(operand.device()), x.shape().str(), name(x.device()));
}

void check_bias(const char* op, const Tensor& bias, const Tensor& weight, const Tensor& x) {
  if (!bias.defined()) return;
  check(bias.shape() == Shape{weight.shape(0)},
        "{}: bias {} must be [{}], one per output channel of weight {}", op, bias.shape().str(),
        weight.shape(0), weight.shape().str());
  check_operand(op, "bias", bias, x);
}

// Second stages of the bias gradients of a pass: one launch finishes up to 32 of them.
struct PendingBiasGradients final : Deferred {
  kernels::PendingSums sums;
  void finish() override {
    if (sums.empty()) return;
    Stream& stream = Stream::of(sums.front().partials.device());
    kernels::on_device(stream, [&]<class D>() { kernels::finish_column_sums<D>(stream, sums); });
  }
};

// The gradients of z and of the bias in y = pixel_shuffle(f(z + bias)).
struct EpilogueGradients {
  Tensor dz, dbias;
};
EpilogueGradients epilogue_backward(Backward& ctx, const Tensor& y, const Tensor& bias,
                                    const kernels::ConvEpilogue& epilogue,
                                    const kernels::EpilogueShape& shape) {
  const Tensor& dy = ctx.grad();
  Tensor dz = dy;
  if (shape.r > 1)
    dz = Tensor::empty({shape.n, shape.h, shape.w, shape.columns()}, dy.dtype(), dy.device());
  else if (epilogue.activation != Activation::none) dz = ctx.reuse_grad();
  const Tensor dbias = ctx.target(bias);
  auto* pending = ctx.defer<PendingBiasGradients>(bias, dbias);
  kernels::PendingSums* later = pending != nullptr ? &pending->sums : nullptr;
  dispatch(dy, "conv2d", [&]<class D, class T>(Stream& stream) {
    kernels::epilogue_backward<D, T>(stream, epilogue, shape, data_or_null<T>(y), dy.data<T>(),
                                     dz.data<T>(), data_or_null<T>(dbias), later);
  });
  return {dz, dbias};
}
}  // namespace

Tensor conv2d(const Tensor& x, const Tensor& weight, const Tensor& bias,
              const Conv2dOptions& options) {
  check(x.defined() && weight.defined(), "conv2d: {} is undefined",
        x.defined() ? "weight" : "input");
  const Shape &xs = x.shape(), &ws = weight.shape();
  check(xs.rank() == 4, "conv2d: input must be [N,H,W,C], got {}", xs.str());
  check(ws.rank() == 4 && ws[1] == ws[2], "conv2d: weight must be [O,K,K,I] (OHWI, square), got {}",
        ws.str());
  check(ws[3] == xs[3], "conv2d: weight {} (OHWI) expects {} input channels, got input {} (NHWC)",
        ws.str(), ws[3], xs.str());
  check(xs.numel() > 0 && ws.numel() > 0, "conv2d: input {} or weight {} has no elements", xs.str(),
        ws.str());
  check(options.stride >= 1, "conv2d: stride {} must be at least 1", options.stride);
  const int r = options.shuffle;
  check(r >= 1 && ws[0] % (std::int64_t{r} * r) == 0,
        "conv2d: the {} output channels of weight {} (OHWI) must divide by r*r = {}*{}, the "
        "shuffle's",
        ws[0], ws.str(), r, r);
  check(options.activation != Activation::leaky_relu || options.slope >= 0.f,
        "conv2d: slope {} of the leaky ReLU must not be negative", options.slope);
  check_operand("conv2d", "weight", weight, x);
  check_bias("conv2d", bias, weight, x);

  const kernels::ConvShape shape = kernels::same_padding(
      xs[0], static_cast<int>(xs[1]), static_cast<int>(xs[2]), static_cast<int>(xs[3]),
      static_cast<int>(ws[0]), static_cast<int>(ws[1]), options.stride);
  Tensor y = Tensor::empty({shape.n, shape.out_h(), shape.out_w(), shape.out_channels}, x.dtype(),
                           x.device());
  dispatch(x, "conv2d", [&]<class D, class T>(Stream& stream) {
    kernels::conv_forward<D, T>(stream, shape, x.data<T>(), weight.data<T>(), data_or_null<T>(bias),
                                y.data<T>(), {options.activation, options.slope});
    if (r == 1) return;
    const int h = shape.out_h(), w = shape.out_w(), c = shape.out_channels / (r * r);
    const Tensor larger = Tensor::empty({shape.n, std::int64_t{h} * r, std::int64_t{w} * r, c},
                                        x.dtype(), x.device());
    kernels::pixel_shuffle<D, T>(stream, y.data<T>(), larger.data<T>(), shape.n, h, w, c, r);
    y = larger;
  });

  // Saved for backward: y for the activation's slope, x if the weight needs a gradient.
  const Tensor kept_x = weight.requires_grad() ? x.detach() : Tensor(),
               kept_y = options.activation == Activation::none ? Tensor() : y.detach();
  const bool wants_dx = x.requires_grad();
  return record(y, "conv2d", {x, weight, bias}, [=](Backward& ctx) {
    const auto [dz, dbias] =
        epilogue_backward(ctx, kept_y, bias, {options.activation, options.slope},
                          {shape.n, shape.out_h(), shape.out_w(), shape.out_channels / (r * r), r});
    const Tensor dx = wants_dx ? Tensor::empty(xs, dz.dtype(), dz.device()) : Tensor();
    const Tensor dweight = ctx.target(weight);
    dispatch(dz, "conv2d", [&, dz = dz]<class D, class T>(Stream& stream) {
      if (dweight.defined())
        kernels::conv_backward_filter<D, T>(stream, shape, kept_x.data<T>(), dz.data<T>(),
                                            dweight.data<T>());
      if (dx.defined())
        kernels::conv_backward_data<D, T>(stream, shape, dz.data<T>(), weight.data<T>(),
                                          dx.data<T>());
    });
    return ctx.gradients(dx, dweight, dbias);
  });
}

Tensor depthwise_conv2d(const Tensor& x, const Tensor& weight, int stride) {
  check(x.defined() && weight.defined(), "depthwise_conv2d: {} is undefined",
        x.defined() ? "weight" : "input");
  const Shape &xs = x.shape(), &ws = weight.shape();
  check(xs.rank() == 4 && xs.numel() > 0,
        "depthwise_conv2d: input must be [N,H,W,C] with elements, got {}", xs.str());
  check(ws.rank() == 3 && ws[0] == ws[1] && ws[2] == xs[3],
        "depthwise_conv2d: weight must be [K,K,{}], a square filter for each channel of input {} "
        "(NHWC), got {}",
        xs[3], xs.str(), ws.str());
  check(stride >= 1, "depthwise_conv2d: stride {} must be at least 1", stride);
  check_operand("depthwise_conv2d", "weight", weight, x);

  const int k = static_cast<int>(ws[0]), c = static_cast<int>(xs[3]);
  const kernels::ConvShape same = kernels::same_padding(xs[0], static_cast<int>(xs[1]),
                                                        static_cast<int>(xs[2]), c, c, k, stride);
  const kernels::PatchShape shape{
      same.n,         same.h,         same.w,       c,           k, k, stride,
      same.pad_begin, same.pad_begin, same.out_h(), same.out_w()};
  Tensor y = Tensor::empty({shape.n, shape.out_h, shape.out_w, c}, x.dtype(), x.device());
  dispatch(x, "depthwise_conv2d", [&]<class D, class T>(Stream& stream) {
    kernels::depthwise_forward<D, T>(stream, shape, x.data<T>(), weight.data<T>(), y.data<T>());
  });

  const Tensor kept_x = weight.requires_grad() ? x.detach() : Tensor();
  const bool wants_dx = x.requires_grad();
  return record(y, "depthwise_conv2d", {x, weight}, [=](Backward& ctx) {
    const Tensor& dy = ctx.grad();
    const Tensor dx = wants_dx ? Tensor::empty(xs, dy.dtype(), dy.device()) : Tensor();
    const Tensor dweight = ctx.target(weight);
    dispatch(dy, "depthwise_conv2d", [&]<class D, class T>(Stream& stream) {
      if (dweight.defined())
        kernels::depthwise_backward_filter<D, T>(stream, shape, kept_x.data<T>(), dy.data<T>(),
                                                 dweight.data<T>());
      if (dx.defined())
        kernels::depthwise_backward_data<D, T>(stream, shape, dy.data<T>(), weight.data<T>(),
                                               dx.data<T>());
    });
    return ctx.gradients(dx, dweight);
  });
}

Tensor dense(const Tensor& x, const Tensor& weight, const Tensor& bias) {
  check(x.defined() && weight.defined(), "dense: {} is undefined",
        x.defined() ? "weight" : "input");
  check(x.shape().rank() == 2, "dense: input must be [N,I], got {}", x.shape().str());
  check(weight.shape().rank() == 2 && weight.shape(1) == x.shape(1),
        "dense: weight {} ([O,I]) expects {} input features, got input {} ([N,I])",
        weight.shape().str(), weight.shape(-1), x.shape().str());
  check_operand("dense", "weight", weight, x);
  check_bias("dense", bias, weight, x);

  using kernels::Transpose;
  const std::int64_t n = x.shape(0), in = x.shape(1), out = weight.shape(0);
  Tensor y = Tensor::empty({n, out}, x.dtype(), x.device());
  dispatch(x, "dense", [&]<class D, class T>(Stream& stream) {
    kernels::gemm<D, T>(stream, Transpose::no, Transpose::yes, n, out, in, 1.f, x.data<T>(),
                        weight.data<T>(), 0.f, y.data<T>());  // x W'
    if (bias.defined())
      kernels::bias_leaky_relu_forward<D, T>(stream, y.data<T>(), bias.data<T>(), y.data<T>(), n,
                                             out, 1.f);
  });

  const Tensor kept_x = weight.requires_grad() ? x.detach() : Tensor();
  const bool wants_dx = x.requires_grad();
  return record(y, "dense", {x, weight, bias}, [=](Backward& ctx) {
    const Tensor& dy = ctx.grad();
    const Tensor dbias =
        epilogue_backward(ctx, {}, bias, {}, {n, 1, 1, static_cast<int>(out)}).dbias;
    const Tensor dx = wants_dx ? Tensor::empty({n, in}, dy.dtype(), dy.device()) : Tensor();
    const Tensor dweight = ctx.target(weight);
    dispatch(dy, "dense", [&]<class D, class T>(Stream& stream) {
      if (dweight.defined())  // dy' x
        kernels::gemm<D, T>(stream, Transpose::yes, Transpose::no, out, in, n, 1.f, dy.data<T>(),
                            kept_x.data<T>(), 0.f, dweight.data<T>());
      if (dx.defined())  // dy W
        kernels::gemm<D, T>(stream, Transpose::no, Transpose::no, n, in, out, 1.f, dy.data<T>(),
                            weight.data<T>(), 0.f, dx.data<T>());
    });
    return ctx.gradients(dx, dweight, dbias);
  });
}
}  // namespace nn
