#include "nn/layers.h"

#include "nn/check.h"

namespace nn {

Conv2d::Conv2d(ParameterArena& arena, const std::string& name, int in_channels, int out_channels,
               int kernel, const Conv2dOptions& options, Init init)
    : arena_(&arena),
      weight_(arena.add(name + ".weight", {out_channels, kernel, kernel, in_channels}, init)),
      bias_(arena.add(name + ".bias", {out_channels}, {Init::zeros})),
      options_(options) {}

Tensor Conv2d::operator()(const Tensor& x) const {
  return conv2d(x, arena_->value(weight_), arena_->value(bias_), options_);
}

SeparableConv2d::SeparableConv2d(ParameterArena& arena, const std::string& name, int in_channels,
                                 int out_channels, int kernel, const Conv2dOptions& options,
                                 Init init)
    : arena_(&arena),
      depthwise_(arena.add(name + ".depthwise.weight", {kernel, kernel, in_channels}, init)),
      stride_(options.stride),
      pointwise_(arena, name + ".pointwise", in_channels, out_channels, 1,
                 {1, options.activation, options.slope}, init) {}

Tensor SeparableConv2d::operator()(const Tensor& x) const {
  return pointwise_(depthwise_conv2d(x, arena_->value(depthwise_), stride_));
}

Dense::Dense(ParameterArena& arena, const std::string& name, std::int64_t in_features,
             std::int64_t out_features, Init init)
    : arena_(&arena),
      weight_(arena.add(name + ".weight", {out_features, in_features}, init)),
      bias_(arena.add(name + ".bias", {out_features}, {Init::zeros})) {}

Tensor Dense::operator()(const Tensor& x) const {
  return dense(x, arena_->value(weight_), arena_->value(bias_));
}
}  // namespace nn
