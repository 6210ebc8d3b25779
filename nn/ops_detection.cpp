// The layers of small detection networks: PReLU, max pooling, added channels and margins,
// bilinear enlargement.
#include "kernels/epilogue.h"
#include "kernels/layout.h"
#include "kernels/pool.h"
#include "kernels/prelu.h"
#include "kernels/upsample.h"
#include "nn/dispatch.h"
#include "nn/ops.h"

namespace nn {

Tensor prelu(const Tensor& x, const Tensor& slope) {
  check(x.defined() && slope.defined(), "prelu: {} is undefined", x.defined() ? "slope" : "input");
  check(x.shape().rank() >= 1 && slope.shape() == Shape{x.shape(-1)},
        "prelu: slope {} must be [C], one for each channel of input {}", slope.shape().str(),
        x.shape().str());
  check(slope.dtype() == x.dtype() && slope.device() == x.device(),
        "prelu: slope is {} on {}, but the input is {} on {}", name(slope.dtype()),
        name(slope.device()), name(x.dtype()), name(x.device()));
  const std::int64_t rows = x.shape().rows(), columns = x.shape(-1);
  Tensor y = empty_like(x);
  dispatch(x, "prelu", [&]<class D, class T>(Stream& stream) {
    kernels::prelu_forward<D, T>(stream, x.data<T>(), slope.data<T>(), y.data<T>(), rows, columns);
  });
  const bool wants_dx = x.requires_grad();
  return record(y, "prelu", {x, slope}, [=, x = x.detach()](Backward& ctx) {
    const Tensor& dy = ctx.grad();
    const Tensor dslope = ctx.target(slope);
    const Tensor terms = dslope.defined() ? empty_like(dy) : Tensor();
    const Tensor dx = wants_dx ? ctx.reuse_grad() : Tensor();
    dispatch(dy, "prelu", [&]<class D, class T>(Stream& stream) {
      if (dslope.defined()) {
        kernels::prelu_slope_terms<D, T>(stream, x.data<T>(), dy.data<T>(), terms.data<T>(),
                                         dy.numel());
        const kernels::EpilogueShape sums{rows, 1, 1, static_cast<int>(columns)};
        T* const total = dslope.data<T>();
        kernels::epilogue_backward<D, T>(stream, {}, sums, nullptr, terms.data<T>(), nullptr,
                                         terms.data<T>(), {&total, 1});
      }
      if (dx.defined())
        kernels::prelu_backward<D, T>(stream, x.data<T>(), slope.data<T>(), dy.data<T>(),
                                      dx.data<T>(), rows, columns);
    });
    return ctx.gradients(dx, dslope);
  });
}

Tensor max_pool2d(const Tensor& x, int kernel, int stride) {
  check(x.defined(), "max_pool2d: input is undefined");
  const Shape& xs = x.shape();
  check(xs.rank() == 4 && xs.numel() > 0,
        "max_pool2d: input must be [N,H,W,C] with elements, got {}", xs.str());
  check(kernel >= 1 && stride >= 1, "max_pool2d: kernel {} and stride {} must be at least 1",
        kernel, stride);
  const int c = static_cast<int>(xs[3]);
  const kernels::ConvShape same = kernels::same_padding(
      xs[0], static_cast<int>(xs[1]), static_cast<int>(xs[2]), c, c, kernel, stride);
  const kernels::PatchShape shape{same.n,         same.h,       same.w,      c,
                                  kernel,         kernel,       stride,      same.pad_begin,
                                  same.pad_begin, same.out_h(), same.out_w()};
  Tensor y = Tensor::empty({shape.n, shape.out_h, shape.out_w, c}, x.dtype(), x.device());
  dispatch(x, "max_pool2d", [&]<class D, class T>(Stream& stream) {
    kernels::max_pool_forward<D, T>(stream, shape, x.data<T>(), y.data<T>());
  });
  return record(y, "max_pool2d", {x}, [=, x = x.detach(), y = y.detach()](Backward& ctx) {
    const Tensor& dy = ctx.grad();
    const Tensor dx = empty_like(x);
    dispatch(dy, "max_pool2d", [&]<class D, class T>(Stream& stream) {
      kernels::max_pool_backward<D, T>(stream, shape, x.data<T>(), y.data<T>(), dy.data<T>(),
                                       dx.data<T>());
    });
    return ctx.gradients(dx);
  });
}

Tensor pad_channels(const Tensor& x, int channels) {
  check(x.defined(), "pad_channels: input is undefined");
  check(x.shape().rank() >= 1 && x.shape(-1) <= channels,
        "pad_channels: input {} already has more than {} channels", x.shape().str(), channels);
  const std::int64_t rows = x.shape().rows(), columns = x.shape(-1);
  Tensor y = Tensor::empty(x.shape().with(-1, channels), x.dtype(), x.device());
  dispatch(x, "pad_channels", [&]<class D, class T>(Stream& stream) {
    kernels::pad_columns<D, T>(stream, x.data<T>(), y.data<T>(), rows, columns, channels);
  });
  return record(y, "pad_channels", {x}, [=, shape = x.shape()](Backward& ctx) {
    const Tensor& dy = ctx.grad();
    const Tensor dx = Tensor::empty(shape, dy.dtype(), dy.device());
    dispatch(dy, "pad_channels", [&]<class D, class T>(Stream& stream) {
      kernels::copy_columns<D, T>(stream, dy.data<T>(), channels, dx.data<T>(), columns, rows,
                                  columns);
    });
    return ctx.gradients(dx);
  });
}

Tensor pad2d(const Tensor& x, int top, int left, int height, int width) {
  check(x.defined(), "pad2d: input is undefined");
  const Shape& xs = x.shape();
  check(xs.rank() == 4, "pad2d: input must be [N,H,W,C], got {}", xs.str());
  check(height >= 1 && width >= 1, "pad2d: a result of {} x {} pixels", height, width);
  const int h = static_cast<int>(xs[1]), w = static_cast<int>(xs[2]), c = static_cast<int>(xs[3]);
  Tensor y = Tensor::empty({xs[0], height, width, c}, x.dtype(), x.device());
  dispatch(x, "pad2d", [&]<class D, class T>(Stream& stream) {
    kernels::pad_picture<D, T>(stream, {xs[0], h, w, c, top, left, height, width}, x.data<T>(),
                               y.data<T>());
  });
  return record(y, "pad2d", {x}, [=, shape = xs](Backward& ctx) {
    const Tensor& dy = ctx.grad();
    const Tensor dx = Tensor::empty(shape, dy.dtype(), dy.device());
    dispatch(dy, "pad2d", [&]<class D, class T>(Stream& stream) {
      kernels::pad_picture<D, T>(stream, {shape[0], height, width, c, -top, -left, h, w},
                                 dy.data<T>(), dx.data<T>());
    });
    return ctx.gradients(dx);
  });
}

Tensor upsample(const Tensor& x) {
  check(x.defined(), "upsample: input is undefined");
  const Shape& xs = x.shape();
  check(xs.rank() == 4, "upsample: input must be [N,H,W,C], got {}", xs.str());
  const int h = static_cast<int>(xs[1]), w = static_cast<int>(xs[2]), c = static_cast<int>(xs[3]);
  Tensor y = Tensor::empty({xs[0], 2 * xs[1], 2 * xs[2], c}, x.dtype(), x.device());
  dispatch(x, "upsample", [&]<class D, class T>(Stream& stream) {
    kernels::upsample_forward<D, T>(stream, x.data<T>(), y.data<T>(), xs[0], h, w, c);
  });
  return record(y, "upsample", {x}, [=, shape = xs](Backward& ctx) {
    const Tensor& dy = ctx.grad();
    const Tensor dx = Tensor::empty(shape, dy.dtype(), dy.device());
    dispatch(dy, "upsample", [&]<class D, class T>(Stream& stream) {
      kernels::upsample_backward<D, T>(stream, dy.data<T>(), dx.data<T>(), shape[0], h, w, c);
    });
    return ctx.gradients(dx);
  });
}
}  // namespace nn
