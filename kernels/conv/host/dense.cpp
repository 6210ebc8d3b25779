// The dense layer on the host. The meta device counts the product alone: on the GPU the
// bias is part of it.
#include "kernels/conv/dense_in_passes.h"

namespace kernels {
namespace {

bool on_meta(const Stream& stream) { return stream.device() == Device::meta; }
}  // namespace

template <class D, class T>
void dense_forward(Stream& stream, const DenseShape& s, const T* x, const T* w, const T* bias,
                   T* y) {
  dense_forward_in_passes<D, T>(stream, s, x, w, on_meta(stream) ? nullptr : bias, y);
}

template <class D, class T>
void dense_backward_weights(Stream& stream, const DenseShape& s, const T* x, const T* dy, T* dw,
                            T* dbias, PendingSums* later) {
  dense_backward_in_passes<D, T>(stream, s, x, dy, dw, dw && on_meta(stream) ? nullptr : dbias,
                                 later);
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
