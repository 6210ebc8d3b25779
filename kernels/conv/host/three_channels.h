// Convolution on the host to three channels: forward and backward filter, in float.
#pragma once
#include "kernels/conv/conv.h"

namespace kernels::three_channels {

bool offers(const ConvShape&);  // three outputs, input channels that fill the CPU's vectors
void conv_forward(const ConvShape&,
                  const float* x,     // [N,H,W,I]
                  const float* w,     // [3,K,K,I]
                  const float* bias,  // [3], or null
                  float* y,           // [N,OH,OW,3]
                  const ConvEpilogue&);
void conv_backward_filter(const ConvShape&, const float* x, const float* dy, float* dw);
}  // namespace kernels::three_channels
