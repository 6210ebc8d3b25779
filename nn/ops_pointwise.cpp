// Elementwise operations and the sum of all elements.
#include "kernels/elementwise.h"
#include "kernels/reduce.h"
#include "nn/dispatch.h"
#include "nn/ops.h"

namespace nn {
namespace {

void check_alike(const char* op, const Tensor& a, const Tensor& b) {
  check(a.defined() && b.defined(), "{}: an operand is undefined", op);
  check(a.shape() == b.shape() && a.dtype() == b.dtype() && a.device() == b.device(),
        "{}: operands {} of {} on {} and {} of {} on {} must be alike", op, a.shape().str(),
        name(a.dtype()), name(a.device()), b.shape().str(), name(b.dtype()), name(b.device()));
}

void check_slope(const char* op, float slope) {
  check(slope >= 0.f,
        "{}: slope {} must not be negative: backward reads the input's sign from the output", op,
        slope);
}
}  // namespace

Tensor leaky_relu(const Tensor& x, float slope) {
  check(x.defined(), "leaky_relu: input is undefined");
  check_slope("leaky_relu", slope);
  Tensor y = empty_like(x);
  dispatch(x, "leaky_relu", [&]<class D, class T>(Stream& stream) {
    kernels::bias_leaky_relu_forward<D, T>(stream, x.data<T>(), nullptr, y.data<T>(), 1, x.numel(),
                                           slope);
  });
  return record(y, "leaky_relu", {x}, [y = y.detach(), slope](Backward& ctx) {
    const Tensor& dy = ctx.grad();
    const Tensor dx = ctx.reuse_grad();
    dispatch(dy, "leaky_relu", [&]<class D, class T>(Stream& stream) {
      kernels::leaky_relu_backward<D, T>(stream, y.data<T>(), dy.data<T>(), dx.data<T>(),
                                         dy.numel(), slope);
    });
    return ctx.gradients(dx);
  });
}

Tensor sigmoid(const Tensor& x) {
  check(x.defined(), "sigmoid: input is undefined");
  Tensor y = empty_like(x);
  dispatch(x, "sigmoid", [&]<class D, class T>(Stream& stream) {
    kernels::bias_sigmoid_forward<D, T>(stream, x.data<T>(), nullptr, y.data<T>(), 1, x.numel());
  });
  return record(y, "sigmoid", {x}, [y = y.detach()](Backward& ctx) {
    const Tensor& dy = ctx.grad();
    const Tensor dx = ctx.reuse_grad();
    dispatch(dy, "sigmoid", [&]<class D, class T>(Stream& stream) {
      kernels::sigmoid_backward<D, T>(stream, y.data<T>(), dy.data<T>(), dx.data<T>(), dy.numel());
    });
    return ctx.gradients(dx);
  });
}

Tensor add(const Tensor& a, const Tensor& b) {
  check_alike("add", a, b);
  Tensor y = empty_like(a);
  dispatch(a, "add", [&]<class D, class T>(Stream& stream) {
    kernels::add<D, T>(stream, a.data<T>(), b.data<T>(), y.data<T>(), a.numel());
  });
  return record(y, "add", {a, b},
                [](Backward& ctx) { return ctx.gradients(ctx.grad(), ctx.grad()); });
}

Tensor scale(const Tensor& x, float factor) {
  check(x.defined(), "scale: input is undefined");
  Tensor y = empty_like(x);
  dispatch(x, "scale", [&]<class D, class T>(Stream& stream) {
    kernels::scale<D, T>(stream, x.data<T>(), factor, y.data<T>(), x.numel());
  });
  return record(y, "scale", {x}, [factor](Backward& ctx) {
    const Tensor& dy = ctx.grad();
    const Tensor dx = ctx.reuse_grad();
    dispatch(dy, "scale", [&]<class D, class T>(Stream& stream) {
      kernels::scale<D, T>(stream, dy.data<T>(), factor, dx.data<T>(), dy.numel());
    });
    return ctx.gradients(dx);
  });
}

Tensor cast(const Tensor& x, DType target) {
  check(x.defined(), "cast: input is undefined");
  Tensor y = x.to(target);
  return record(y, "cast", {x},
                [from = x.dtype()](Backward& ctx) { return ctx.gradients(ctx.grad().to(from)); });
}

Tensor sum(const Tensor& x) {
  check(x.defined(), "sum: input is undefined");
  Tensor y = Tensor::empty({1}, compute_dtype(x.dtype()), x.device());
  dispatch(x, "sum", [&]<class D, class T>(Stream& stream) {
    kernels::sum<D, T>(stream, x.data<T>(), y.data<kernels::compute_t<T>>(), x.numel());
  });
  return record(y, "sum", {x}, [shape = x.shape(), dtype = x.dtype()](Backward& ctx) {
    const Tensor& dy = ctx.grad();
    const Tensor dx = Tensor::empty(shape, dtype, dy.device());
    dispatch(dx, "sum", [&]<class D, class T>(Stream& stream) {
      kernels::fill<D, T>(stream, dx.data<T>(), 1.f, dx.numel());
      kernels::scale_by<D, T>(stream, dx.data<T>(), dy.data<kernels::compute_t<T>>(), dx.data<T>(),
                              dx.numel());
    });
    return ctx.gradients(dx);
  });
}
}  // namespace nn
