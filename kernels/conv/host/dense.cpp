// The dense layer on the host: the product, then a pass over the bias. The meta device
// counts the product alone: on the GPU the bias is part of it.
#include "kernels/conv/dense.h"

#include "kernels/conv/gemm.h"
#include "kernels/elementwise.h"
#include "kernels/epilogue.h"

namespace kernels {
namespace {

bool on_meta(const Stream& stream) { return stream.device() == Device::meta; }
}  // namespace

template <class D, class T>
void dense_forward(Stream& stream, const DenseShape& s, const T* x, const T* w, const T* bias,
                   T* y) {
  gemm<D, T>(stream, Transpose::no, Transpose::yes, s.n, s.out, s.in, 1.f, x, w, 0.f, y);
  if (bias && !on_meta(stream)) bias_leaky_relu_forward<D, T>(stream, y, bias, y, s.n, s.out, 1.f);
}

template <class D, class T>
void dense_backward_weights(Stream& stream, const DenseShape& s, const T* x, const T* dy, T* dw,
                            T* dbias, PendingSums* later) {
  if (dbias && !(dw && on_meta(stream)))
    epilogue_backward<D, T>(stream, {}, {s.n, 1, 1, static_cast<int>(s.out)}, nullptr, dy, nullptr,
                            const_cast<T*>(dy), {&dbias, 1}, later);
  if (dw) gemm<D, T>(stream, Transpose::yes, Transpose::no, s.out, s.in, s.n, 1.f, dy, x, 0.f, dw);
}

#define INSTANTIATE(T)                                              \
  template decltype(dense_forward<Host, T>) dense_forward<Host, T>; \
  template decltype(dense_backward_weights<Host, T>) dense_backward_weights<Host, T>;
INSTANTIATE(float)
INSTANTIATE(bf16)
INSTANTIATE(f16)
INSTANTIATE(double)
#undef INSTANTIATE
}  // namespace kernels
