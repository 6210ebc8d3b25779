// Convolution and dense layers, each one node with its bias and activation.
#include <vector>

#include "kernels/conv/conv.h"
#include "kernels/conv/dense.h"
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

// A conv2d whose operands have been checked.
struct ConvCall {
  kernels::ConvShape shape;  // of a branch
  std::vector<ConvBranch> branches;
  kernels::ConvEpilogue epilogue;
  int r;  // of the shuffle

  // Without a bias of each branch, all pictures are one.
  kernels::EpilogueShape epilogue_shape(bool by_branch) const {
    return {by_branch ? shape.n : n(), shape.out_h(), shape.out_w(), shape.out_channels / (r * r),
            r};
  }
  std::int64_t n() const { return static_cast<std::int64_t>(branches.size()) * shape.n; }
  Shape unshuffled() const { return {n(), shape.out_h(), shape.out_w(), shape.out_channels}; }
  Shape result() const {
    const kernels::EpilogueShape e = epilogue_shape(false);
    return {n(), std::int64_t{e.h} * r, std::int64_t{e.w} * r, e.c};
  }
  bool has_bias() const { return branches[0].bias.defined(); }
};

template <class T> std::vector<const T*> bias_data(const ConvCall& call) {
  std::vector<const T*> data;
  for (const ConvBranch& branch : call.branches)
    if (branch.bias.defined()) data.push_back(branch.bias.data<T>());
  return data;
}

// Each branch's convolution, with its bias and `epilogue` inside if asked for.
template <class D, class T>
void convolve(Stream& stream, const ConvCall& call, const Tensor& x, const Tensor& z,
              bool with_bias, const kernels::ConvEpilogue& epilogue) {
  for (std::size_t k = 0; k < call.branches.size(); ++k) {
    const auto& [weight, bias] = call.branches[k];
    const std::int64_t share = static_cast<std::int64_t>(k);
    kernels::conv_forward<D, T>(stream, call.shape, x.data<T>() + share * call.shape.x_size(),
                                weight.data<T>(), with_bias ? data_or_null<T>(bias) : nullptr,
                                z.data<T>() + share * call.shape.y_size(), epilogue);
  }
}

// The convolutions bare, then one pass for bias, residual, activation and shuffle of all
// branches.
template <class D, class T>
Tensor forward_in_two_passes(Stream& stream, const ConvCall& call, const Tensor& x,
                             const Tensor& residual) {
  const Tensor z = Tensor::empty(call.unshuffled(), x.dtype(), x.device()),
               y = call.r > 1 ? Tensor::empty(call.result(), x.dtype(), x.device()) : z;
  convolve<D, T>(stream, call, x, z, false, {});
  kernels::epilogue_forward<D, T>(stream, call.epilogue, call.epilogue_shape(call.has_bias()),
                                  z.data<T>(), bias_data<T>(call), data_or_null<T>(residual),
                                  y.data<T>());
  return y;
}

// Bias and activation inside the convolutions.
template <class D, class T>
Tensor forward_fused(Stream& stream, const ConvCall& call, const Tensor& x,
                     const Tensor& residual) {
  Tensor y = Tensor::empty(call.unshuffled(), x.dtype(), x.device());
  convolve<D, T>(stream, call, x, y, true,
                 residual.defined() ? kernels::ConvEpilogue{} : call.epilogue);
  if (residual.defined()) {
    const bool leaky = call.epilogue.activation == Activation::leaky_relu;
    kernels::add_leaky_relu<D, T>(stream, residual.data<T>(), y.data<T>(), y.data<T>(), y.numel(),
                                  leaky ? call.epilogue.slope : 1.f);
  }
  if (call.r == 1) return y;
  const kernels::EpilogueShape s = call.epilogue_shape(false);
  const Tensor shuffled = Tensor::empty(call.result(), x.dtype(), x.device());
  kernels::pixel_shuffle<D, T>(stream, y.data<T>(), shuffled.data<T>(), s.n, s.h, s.w, s.c, s.r);
  return shuffled;
}

Tensor forward(const ConvCall& call, const Tensor& x, const Tensor& residual) {
  // cuDNN may have a kernel with bias and activation, but nothing more. The host's
  // convolutions always have them: a pass of its own would be slower there.
  const bool gpu_form = x.device() != Device::host || kernels::wide_epilogues_on_host,
             more = call.r > 1 || call.branches.size() > 1 || residual.defined();
  Tensor y;
  dispatch(x, "conv2d", [&]<class D, class T>(Stream& stream) {
    y = gpu_form && more ? forward_in_two_passes<D, T>(stream, call, x, residual)
                         : forward_fused<D, T>(stream, call, x, residual);
  });
  return y;
}

// Second stages of the bias gradients wait for the end of the pass if all of them may.
kernels::PendingSums* pending_sums(Backward& ctx, const ConvCall& call,
                                   const std::vector<Tensor>& dbiases) {
  PendingBiasGradients* pending = nullptr;
  for (std::size_t k = 0; k < dbiases.size(); ++k) {
    pending = ctx.defer<PendingBiasGradients>(call.branches[k].bias, dbiases[k]);
    if (pending == nullptr) return nullptr;
  }
  return pending != nullptr ? &pending->sums : nullptr;
}

// The gradient of z in y = pixel_shuffle(f(z + bias + residual)), with those of the biases
// that want one.
struct EpilogueGradients {
  Tensor dz;
  std::vector<Tensor> dbiases;  // of each branch, or empty
};
EpilogueGradients epilogue_backward(Backward& ctx, const ConvCall& call, const Tensor& y) {
  EpilogueGradients result;
  const Tensor more = ctx.take_summand();
  const Tensor& dy = ctx.grad();
  const bool shuffled = call.r > 1,
             changes = call.epilogue.activation != Activation::none || more.defined();
  if (shuffled) result.dz = Tensor::empty(call.unshuffled(), dy.dtype(), dy.device());
  else if (changes && !dy.unshared() && more.defined() && more.unshared()) result.dz = more;
  else result.dz = changes ? ctx.reuse_grad() : dy;
  bool wanted = false;
  for (const ConvBranch& branch : call.branches) wanted |= branch.bias.requires_grad();
  for (const ConvBranch& branch : call.branches) {
    if (!wanted) break;
    result.dbiases.push_back(ctx.target(branch.bias));
    // The other branch wants its own, and the launch has a place for both.
    if (!result.dbiases.back().defined()) result.dbiases.back() = empty_like(branch.bias);
  }
  kernels::PendingSums* const later = pending_sums(ctx, call, result.dbiases);
  dispatch(dy, "conv2d", [&]<class D, class T>(Stream& stream) {
    std::vector<T*> sums;
    for (const Tensor& dbias : result.dbiases) sums.push_back(dbias.data<T>());
    kernels::epilogue_backward<D, T>(stream, call.epilogue, call.epilogue_shape(!sums.empty()),
                                     data_or_null<T>(y), dy.data<T>(), data_or_null<T>(more),
                                     result.dz.data<T>(), sums, later);
  });
  return result;
}

void check_conv(const Tensor& x, std::span<const ConvBranch> branches,
                const Conv2dOptions& options) {
  check(!branches.empty() && branches.size() <= kernels::kMostBranches,
        "conv2d: {} branches; give it 1 to {}", branches.size(), kernels::kMostBranches);
  const Tensor& weight = branches[0].weight;
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
  const auto count = static_cast<std::int64_t>(branches.size());
  check(xs[0] % count == 0, "conv2d: the {} pictures of input {} must divide by the {} branches",
        xs[0], xs.str(), count);
  for (const ConvBranch& branch : branches) {
    check(branch.weight.defined() && branch.weight.shape() == ws &&
              branch.bias.defined() == branches[0].bias.defined(),
          "conv2d: the branches must be alike: weights of {}, a bias in each or in none", ws.str());
    check_operand("conv2d", "weight", branch.weight, x);
    check_bias("conv2d", branch.bias, branch.weight, x);
  }
}
}  // namespace

Tensor conv2d(const Tensor& x, const Tensor& weight, const Tensor& bias,
              const Conv2dOptions& options, const Tensor& residual) {
  const ConvBranch branch{weight, bias};
  return conv2d(x, std::span(&branch, 1), options, residual);
}

Tensor conv2d(const Tensor& x, std::span<const ConvBranch> branches, const Conv2dOptions& options,
              const Tensor& residual) {
  check_conv(x, branches, options);
  const Shape &xs = x.shape(), &ws = branches[0].weight.shape();
  const ConvCall call{kernels::same_padding(xs[0] / static_cast<std::int64_t>(branches.size()),
                                            static_cast<int>(xs[1]), static_cast<int>(xs[2]),
                                            static_cast<int>(xs[3]), static_cast<int>(ws[0]),
                                            static_cast<int>(ws[1]), options.stride),
                      {branches.begin(), branches.end()},
                      {options.activation, options.slope},
                      options.shuffle};
  if (residual.defined()) {
    check(residual.shape() == call.result() && options.shuffle == 1 &&
              options.activation != Activation::sigmoid,
          "conv2d: residual {} must have the result's shape {}, and goes with neither a shuffle "
          "nor a sigmoid",
          residual.shape().str(), call.result().str());
    check_operand("conv2d", "residual", residual, x);
  }
  const Tensor y = forward(call, x, residual);

  // Saved for backward: y for the activation's slope, x if a weight needs a gradient.
  bool wants_dw = false;
  std::vector<Tensor> inputs{x};
  for (const auto& [weight, bias] : branches) {
    inputs.insert(inputs.end(), {weight, bias});
    wants_dw |= weight.requires_grad();
  }
  inputs.push_back(residual);
  const Tensor kept_x = wants_dw ? x.detach() : Tensor(),
               kept_y = options.activation == Activation::none ? Tensor() : y.detach();
  const bool wants_dx = x.requires_grad(), wants_residual = residual.requires_grad();
  return record(y, "conv2d", inputs, [=](Backward& ctx) {
    const EpilogueGradients epilogue = epilogue_backward(ctx, call, kept_y);
    const Tensor& dz = epilogue.dz;
    const Tensor dx = wants_dx ? Tensor::empty(xs, dz.dtype(), dz.device()) : Tensor();
    std::vector<Tensor> gradients{dx};
    for (std::size_t k = 0; k < call.branches.size(); ++k) {
      const auto& [weight, bias] = call.branches[k];
      const Tensor dweight = ctx.target(weight);
      const kernels::ConvShape& shape = call.shape;
      const std::int64_t share = static_cast<std::int64_t>(k);
      dispatch(dz, "conv2d", [&]<class D, class T>(Stream& stream) {
        const T* const dz_share = dz.data<T>() + share * shape.y_size();
        if (dweight.defined())
          kernels::conv_backward_filter<D, T>(stream, shape,
                                              kept_x.data<T>() + share * shape.x_size(), dz_share,
                                              dweight.data<T>());
        if (dx.defined())
          kernels::conv_backward_data<D, T>(stream, shape, dz_share, weight.data<T>(),
                                            dx.data<T>() + share * shape.x_size());
      });
      gradients.insert(gradients.end(),
                       {dweight, bias.requires_grad() ? epilogue.dbiases[k] : Tensor()});
    }
    gradients.push_back(wants_residual ? dz : Tensor());
    return gradients;
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
  const kernels::DenseShape shape{x.shape(0), x.shape(1), weight.shape(0)};
  Tensor y = Tensor::empty({shape.n, shape.out}, x.dtype(), x.device());
  dispatch(x, "dense", [&]<class D, class T>(Stream& stream) {
    kernels::dense_forward<D, T>(stream, shape, x.data<T>(), weight.data<T>(),
                                 data_or_null<T>(bias), y.data<T>());
  });

  const Tensor kept_x = weight.requires_grad() ? x.detach() : Tensor();
  const bool wants_dx = x.requires_grad();
  return record(y, "dense", {x, weight, bias}, [=](Backward& ctx) {
    const Tensor& dy = ctx.grad();
    const Tensor dx =
        wants_dx ? Tensor::empty({shape.n, shape.in}, dy.dtype(), dy.device()) : Tensor();
    const Tensor dbias = ctx.target(bias), dweight = ctx.target(weight);
    auto* const pending = ctx.defer<PendingBiasGradients>(bias, dbias);
    dispatch(dy, "dense", [&]<class D, class T>(Stream& stream) {
      if (dweight.defined() || dbias.defined())
        kernels::dense_backward_weights<D, T>(stream, shape, data_or_null<T>(kept_x), dy.data<T>(),
                                              data_or_null<T>(dweight), data_or_null<T>(dbias),
                                              pending != nullptr ? &pending->sums : nullptr);
      if (dx.defined())
        kernels::gemm<D, T>(stream, Transpose::no, Transpose::no, shape.n, shape.in, shape.out, 1.f,
                            dy.data<T>(), weight.data<T>(), 0.f, dx.data<T>());  // dy W
    });
    return ctx.gradients(dx, dweight, dbias);
  });
}
}  // namespace nn
