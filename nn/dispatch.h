// Calls a launcher with the template arguments for a tensor's device and dtype:
//   dispatch(x, "add", [&]<class D, class T>(Stream& stream) {
//     kernels::add<D, T>(stream, x.data<T>(), ...);
//   });
// Host: f32, bf16, f16, f64. GPU: f32, bf16, f16.
#pragma once
#include "kernels/core/dispatch.h"
#include "nn/check.h"

namespace nn {

using kernels::Stream;

template <class F> void dispatch(const Tensor& x, const char* op, F&& f) {
  Stream& stream = x.stream();
  kernels::on_device(stream, [&]<class D>() {
    switch (x.dtype()) {
      case DType::f32: return f.template operator()<D, float>(stream);
      case DType::bf16: return f.template operator()<D, kernels::bf16>(stream);
      case DType::f16: return f.template operator()<D, kernels::f16>(stream);
      case DType::f64:
        if constexpr (std::is_same_v<D, kernels::Host>)
          return f.template operator()<D, double>(stream);
        break;
      default: break;
    }
    fail(ErrorKind::usage, "{}: there is no kernel for {} on {}", op, name(x.dtype()),
         name(x.device()));
  });
}

// The dtype of sums and losses: f64 for f64, f32 otherwise.
inline DType compute_dtype(DType dtype) { return dtype == DType::f64 ? DType::f64 : DType::f32; }

template <class T> T* data_or_null(const Tensor& x) { return x.defined() ? x.data<T>() : nullptr; }

inline void fill_zero(const Tensor& x) { kernels::fill_zero(x.stream(), x.raw(), x.bytes()); }

inline Tensor empty_like(const Tensor& x) {
  return Tensor::empty(x.shape(), x.dtype(), x.device());
}
}  // namespace nn
