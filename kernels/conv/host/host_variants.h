// The host's ways to compute a convolution and a matrix product, one namespace each. conv_host.cpp chooses between them;
// the tests compare them with each other.
#pragma once
#include "kernels/conv/conv.h"

namespace kernels {

// Ours, for every shape and type: im2col packed panel by panel into a blocked GEMM (conv_im2col.cpp, gemm_blocked.cpp).
namespace im2col {
template <class T>
void conv_forward(const ConvShape&, const T* x, const T* w, const T* bias, T* y,
                  const ConvEpilogue&);
template <class T> void conv_backward_data(const ConvShape&, const T* dy, const T* w, T* dx);
template <class T> void conv_backward_filter(const ConvShape&, const T* x, const T* dy, T* dw);
}  // namespace im2col
namespace blocked {
template <class T>
void gemm(bool transpose_a, bool transpose_b, std::int64_t m, std::int64_t n, std::int64_t k,
          float alpha, const T* a, const T* b, float beta, T* c);
}  // namespace blocked

// Ours, for three output channels in float (conv_thin.cpp). Call only where offers() says so.
namespace three_channels {
bool offers(const ConvShape&);
void conv_forward(const ConvShape&, const float* x, const float* w, const float* bias, float* y,
                  const ConvEpilogue&);
void conv_backward_filter(const ConvShape&, const float* x, const float* dy, float* dw);
}  // namespace three_channels

#if DOPPEL_HAS_ONEDNN
// oneDNN's primitives, T: float and bf16. False where oneDNN has none for the shape and CPU: nothing was computed.
namespace onednn {
template <class T>
bool conv_forward(const ConvShape&, const T* x, const T* w, const T* bias, T* y,
                  const ConvEpilogue&);
template <class T> bool conv_backward_data(const ConvShape&, const T* dy, const T* w, T* dx);
template <class T> bool conv_backward_filter(const ConvShape&, const T* x, const T* dy, T* dw);
template <class T>
bool gemm(bool transpose_a, bool transpose_b, std::int64_t m, std::int64_t n, std::int64_t k,
          float alpha, const T* a, const T* b, float beta, T* c);
bool native_bf16();  // the CPU multiplies bf16 itself; elsewhere oneDNN would emulate it, slower than float
}  // namespace onednn
#endif

}  // namespace kernels
