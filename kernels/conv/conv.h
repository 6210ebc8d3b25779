// The convolution seam: cuDNN on the GPU (conv_cudnn.cpp), oneDNN on the host (conv_onednn.cpp), im2col and GEMM of ours
// where oneDNN is absent or T is double (conv_im2col.cpp). NHWC activations, OHWI weights.
//   y[n,oy,ox,o] = f(bias[o] + sum_{ky,kx,i} x[n, oy*s - pad_top + ky, ox*s - pad_left + kx, i] * w[o,ky,kx,i])
#pragma once
#include <compare>
#include <string>

#include "kernels/core/stream.h"

namespace kernels {

struct ConvShape {
  std::int64_t n;
  int h, w, in_channels;
  int out_channels, kernel;  // square kernels
  int stride;
  int pad_begin,
      pad_end;  // rows and columns alike; Keras 'same' for 5x5 stride 2 on an even size: 1 and 2
  int out_h() const { return (h + pad_begin + pad_end - kernel) / stride + 1; }
  int out_w() const { return (w + pad_begin + pad_end - kernel) / stride + 1; }
  auto operator<=>(const ConvShape&) const = default;
  std::string str() const;
};

// Keras 'same': output = ceil(size / stride), the odd row of padding at the end.
ConvShape same_padding(std::int64_t n, int h, int w, int in_channels, int out_channels, int kernel,
                       int stride);

enum class Activation : std::uint8_t { none, leaky_relu, sigmoid };
struct ConvEpilogue {
  Activation activation = Activation::none;
  float slope = 0.1f;
};

// bias may be null. y is assigned.
template <class D, class T>
void conv_forward(Stream&, const ConvShape&, const T* x /*[N,H,W,I]*/, const T* w /*[O,K,K,I]*/,
                  const T* bias /*[O]*/, T* y /*[N,OH,OW,O]*/, const ConvEpilogue&);
template <class D, class T>  // dx is assigned
void conv_backward_data(Stream&, const ConvShape&, const T* dy /*[N,OH,OW,O]*/, const T* w,
                        T* dx /*[N,H,W,I]*/);
template <class D, class T>  // dw is assigned
void conv_backward_filter(Stream&, const ConvShape&, const T* x, const T* dy, T* dw /*[O,K,K,I]*/);

}  // namespace kernels
