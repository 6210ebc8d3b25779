// Layers: parameters and the op that uses them. A network is a struct of layers.
#pragma once
#include "nn/ops.h"
#include "nn/parameters.h"

namespace nn {

class Conv2d {
 public:
  Conv2d(ParameterArena&, const std::string& name, int in_channels, int out_channels, int kernel,
         const Conv2dOptions&, Init init = {Init::he_uniform});
  Tensor operator()(const Tensor& x) const;
  // For a call of conv2d that joins the layer with others of its kind.
  ConvBranch branch() const { return {arena_->value(weight_), arena_->value(bias_)}; }
  const Conv2dOptions& options() const { return options_; }

 private:
  const ParameterArena* arena_;
  std::size_t weight_, bias_;
  Conv2dOptions options_;
};

// A depthwise filter without bias, then a 1x1 convolution: Keras's SeparableConv2D.
// `init` is for both weights.
class SeparableConv2d {
 public:
  SeparableConv2d(ParameterArena&, const std::string& name, int in_channels, int out_channels,
                  int kernel, const Conv2dOptions&, Init init = {Init::glorot_uniform});
  Tensor operator()(const Tensor& x) const;

 private:
  const ParameterArena* arena_;
  std::size_t depthwise_;
  int stride_;
  Conv2d pointwise_;
};

class Dense {
 public:
  Dense(ParameterArena&, const std::string& name, std::int64_t in_features,
        std::int64_t out_features, Init init = {Init::glorot_uniform});
  Tensor operator()(const Tensor& x) const;

 private:
  const ParameterArena* arena_;
  std::size_t weight_, bias_;
};
}  // namespace nn
