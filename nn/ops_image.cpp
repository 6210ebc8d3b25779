// Operations that move pixels without computing.
#include "kernels/layout.h"
#include "nn/dispatch.h"
#include "nn/ops.h"

namespace nn {

Tensor pixel_shuffle(const Tensor& x, int r) {
  check(x.defined(), "pixel_shuffle: input is undefined");
  check(x.shape().rank() == 4, "pixel_shuffle: input must be [N,H,W,C], got {}", x.shape().str());
  check(r >= 1 && x.shape(3) % (static_cast<std::int64_t>(r) * r) == 0,
        "pixel_shuffle: the channels of input {} (NHWC) must divide by r*r = {}*{}",
        x.shape().str(), r, r);
  const std::int64_t n = x.shape(0);
  const int h = static_cast<int>(x.shape(1)), w = static_cast<int>(x.shape(2)),
            c = static_cast<int>(x.shape(3) / (r * r));
  Tensor y = Tensor::empty({n, std::int64_t{h} * r, std::int64_t{w} * r, c}, x.dtype(), x.device());
  dispatch(x, "pixel_shuffle", [&]<class D, class T>(Stream& stream) {
    kernels::pixel_shuffle<D, T>(stream, x.data<T>(), y.data<T>(), n, h, w, c, r);
  });
  return record(y, "pixel_shuffle", {x}, [=, shape = x.shape()](Backward& ctx) {
    const Tensor& dy = ctx.grad();
    const Tensor dx = Tensor::empty(shape, dy.dtype(), dy.device());
    dispatch(dy, "pixel_shuffle", [&]<class D, class T>(Stream& stream) {
      kernels::pixel_unshuffle<D, T>(stream, dy.data<T>(), dx.data<T>(), n, h, w, c, r);
    });
    return ctx.gradients(dx);
  });
}

Tensor concat_channels(const Tensor& a, const Tensor& b) {
  check(a.defined() && b.defined(), "concat_channels: an operand is undefined");
  const Shape &as = a.shape(), &bs = b.shape();
  check(as.rank() >= 1 && bs.rank() >= 1 && as.with(-1, 0) == bs.with(-1, 0) &&
            a.dtype() == b.dtype() && a.device() == b.device(),
        "concat_channels: {} of {} on {} and {} of {} on {} may differ in their last extent only",
        as.str(), name(a.dtype()), name(a.device()), bs.str(), name(b.dtype()), name(b.device()));
  const std::int64_t rows = as.rows(), ca = as[-1], cb = bs[-1], c = ca + cb;
  Tensor y = Tensor::empty(as.with(-1, c), a.dtype(), a.device());
  dispatch(a, "concat_channels", [&]<class D, class T>(Stream& stream) {
    kernels::copy_columns<D, T>(stream, a.data<T>(), ca, y.data<T>(), c, rows, ca);
    kernels::copy_columns<D, T>(stream, b.data<T>(), cb, y.data<T>() + ca, c, rows, cb);
  });
  const bool wants_da = a.requires_grad(), wants_db = b.requires_grad();
  return record(y, "concat_channels", {a, b}, [=](Backward& ctx) {
    const Tensor& dy = ctx.grad();
    const auto like = [&](const Shape& shape) {
      return Tensor::empty(shape, dy.dtype(), dy.device());
    };
    const Tensor da = wants_da ? like(as) : Tensor(), db = wants_db ? like(bs) : Tensor();
    dispatch(dy, "concat_channels", [&]<class D, class T>(Stream& stream) {
      if (wants_da)
        kernels::copy_columns<D, T>(stream, dy.data<T>(), c, da.data<T>(), ca, rows, ca);
      if (wants_db)
        kernels::copy_columns<D, T>(stream, dy.data<T>() + ca, c, db.data<T>(), cb, rows, cb);
    });
    return ctx.gradients(da, db);
  });
}
}  // namespace nn
