// The differentiable operations. Each checks its operands, allocates its result,
// launches kernels and records its backward pass, which follows the forward pass in
// ops_*.cpp. f32, bf16 and f16 on every device, f64 on the host.
#pragma once
#include <span>

#include "kernels/conv/conv.h"
#include "kernels/losses.h"
#include "nn/tape.h"
#include "nn/tensor.h"

namespace nn {

using kernels::Activation;
using kernels::LossWeights;

struct Conv2dOptions {
  int stride = 1;
  Activation activation = Activation::none;  // fused: conv + bias + activation is one node
  float slope = 0.1f;                        // of the leaky ReLU; 0 makes it a plain ReLU
  int shuffle = 1;                           // r of a pixel_shuffle in the same node
};
// x [N,H,W,I], weight [O,K,K,I], bias [O] or undefined -> [N,ceil(H/s),ceil(W/s),O],
// Keras 'same' padding; with shuffle r [N,r*ceil(H/s),r*ceil(W/s),O/(r*r)]. Only the
// shuffled result is kept for the backward pass.
// residual: of the result's shape, added before the activation, without a shuffle; no sigmoid.
Tensor conv2d(const Tensor& x, const Tensor& weight, const Tensor& bias, const Conv2dOptions& = {},
              const Tensor& residual = {});

// The same in up to two branches: equal shares of the batch, each with weights of its own,
// of one shape. Everything but the convolutions is shared.
struct ConvBranch {
  Tensor weight, bias;  // the biases of all branches, or none
};
Tensor conv2d(const Tensor& x, std::span<const ConvBranch> branches, const Conv2dOptions&,
              const Tensor& residual = {});

// x [N,H,W,C], weight [K,K,C] -> [N,ceil(H/s),ceil(W/s),C], Keras 'same' padding: a
// filter for each channel.
Tensor depthwise_conv2d(const Tensor& x, const Tensor& weight, int stride);

// x [N,I], weight [O,I], bias [O] or undefined -> [N,O]
Tensor dense(const Tensor& x, const Tensor& weight, const Tensor& bias);

Tensor leaky_relu(const Tensor& x, float slope);  // slope 0: a plain ReLU
Tensor sigmoid(const Tensor& x);
Tensor add(const Tensor& a, const Tensor& b);  // same shape
Tensor scale(const Tensor& x, float factor);
Tensor cast(const Tensor& x, DType);           // differentiable change of dtype
Tensor pixel_shuffle(const Tensor& x, int r);  // [N,H,W,r*r*C] -> [N,rH,rW,C], block-major channels
Tensor concat_channels(const Tensor& a, const Tensor& b);  // [...,Ca], [...,Cb] -> [...,Ca+Cb]
Tensor sum(const Tensor& x);                               // -> [1] in the compute type

// The layers of small detection networks. slope [C]: x > 0 ? x : slope * x, one slope
// per channel.
Tensor prelu(const Tensor& x, const Tensor& slope);
// x [N,H,W,C] -> [N,ceil(H/s),ceil(W/s),C]: the largest value of every kernel x kernel
// window, 'same' padding, which does not count.
Tensor max_pool2d(const Tensor& x, int kernel, int stride);
Tensor pad_channels(const Tensor& x, int channels);  // [...,C] -> [...,channels], zeros behind
// x [N,H,W,C] -> [N,height,width,C] with x's first pixel at (top, left): zeros around it,
// or edges cut off where top and left are negative or the size is smaller.
Tensor pad2d(const Tensor& x, int top, int left, int height, int width);
Tensor upsample(const Tensor& x);  // [N,H,W,C] -> [N,2H,2W,C], bilinear (kernels/upsample.h)

// Losses -> [1] in the compute type. mask [N,H,W] or undefined. kernels/losses.h
// defines the maps. image_loss is the weighted sum of the three others, in the passes
// of one.
Tensor image_loss(const Tensor& pred, const Tensor& target, const Tensor& mask,
                  const LossWeights& weights);
// The same for equal shares of the batch, each with a loss of its own.
struct SharedLoss {
  Tensor sum;   // [1], of all shares
  Tensor each;  // [shares], without a gradient
};
SharedLoss image_loss(const Tensor& pred, const Tensor& target, const Tensor& mask,
                      const LossWeights& weights, int shares);
Tensor mae_loss(const Tensor& pred, const Tensor& target, const Tensor& mask = {});
Tensor mse_loss(const Tensor& pred, const Tensor& target, const Tensor& mask = {});
Tensor dssim_loss(const Tensor& pred, const Tensor& target, const Tensor& mask = {});
}  // namespace nn
