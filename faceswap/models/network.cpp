#include "faceswap/models/network.h"

#include <fmt/format.h>

namespace faceswap {

using nn::Activation;
using nn::Init;
using nn::Tensor;

namespace {

constexpr float kResidualSlope = 0.2f, kSkipSlope = 0.1f;
// Of a block's second conv, so a block begins as a small correction.
constexpr Init kResidualInit{Init::fan_in_uniform, 0.2f};

nn::Conv2dOptions leaky(int stride, float slope, int shuffle = 1) {
  return {stride, slope == kLinear ? Activation::none : Activation::leaky_relu, slope, shuffle};
}
}  // namespace

Network::Network(nn::ParameterArena& arena, std::string name, int side, int channels,
                 std::optional<Init> init)
    : arena_(&arena), name_(std::move(name)), side_(side), channels_(channels), init_(init) {}

std::string Network::next_name(const std::string& kind) {
  return fmt::format("{}.{}{}", name_, kind, counts_[kind]++);
}

Network& Network::append(Layer layer, int side, int channels) {
  layers_.push_back(std::move(layer));
  side_ = side, channels_ = channels;
  return *this;
}

Network& Network::conv(int channels, float slope) {
  return append(nn::Conv2d(*arena_, next_name("conv"), channels_, channels, 5, leaky(2, slope),
                           init_or({Init::he_uniform})),
                side_ / 2, channels);
}

Network& Network::separable(int channels) {
  return append(nn::SeparableConv2d(*arena_, next_name("separable"), channels_, channels, 5,
                                    {2, Activation::leaky_relu, 0.f}, init_or({Init::he_uniform})),
                side_ / 2, channels);
}

Network& Network::shuffle() {
  return append([](const Tensor& x) { return pixel_shuffle(x, 2); }, 2 * side_, channels_ / 4);
}

Network& Network::dense(int features) {
  const nn::Dense layer(*arena_, next_name("dense"), std::int64_t{side_} * side_ * channels_,
                        features, init_or({Init::glorot_uniform}));
  const auto flat = [layer](const Tensor& x) {
    return layer(x.reshape({x.shape(0), x.numel() / x.shape(0)}));
  };
  return append(flat, 1, features);
}

Network& Network::dense(int side, int channels) {
  dense(side * side * channels);
  return append(
      [side, channels](const Tensor& x) {
        return x.reshape({x.shape(0), side, side, channels});
      },
      side, channels);
}

Network& Network::upscale(int channels, float slope) {
  return append(nn::Conv2d(*arena_, next_name("upscale") + ".conv", channels_, 4 * channels, 3,
                           leaky(1, slope, 2), init_or({Init::he_uniform})),
                2 * side_, channels);
}

Network::Layer Network::residual_block() {
  const std::string block = next_name("residual");
  const nn::Conv2d first(*arena_, block + ".conv0", channels_, channels_, 3,
                         leaky(1, kResidualSlope), init_or({Init::he_uniform}));
  const nn::Conv2d second(*arena_, block + ".conv1", channels_, channels_, 3, {},
                          init_or(kResidualInit));
  return [first, second](const Tensor& x) {
    return add_leaky_relu(x, second(first(x)), kResidualSlope);
  };
}

Network& Network::residual(int count) {
  for (int i = 0; i < count; ++i) append(residual_block(), side_, channels_);
  return *this;
}

Network& Network::long_skip(int count) {
  std::vector<Layer> blocks;
  for (int i = 0; i < count; ++i) blocks.push_back(residual_block());
  const auto skip = [blocks](const Tensor& x) {
    Tensor y = leaky_relu(x, kResidualSlope);
    for (const Layer& block : blocks) y = block(y);
    return add(y, leaky_relu(x, kSkipSlope));
  };
  return append(skip, side_, channels_);
}

Network& Network::picture() {
  // Always He's start, whatever init_ is.
  return append(
      nn::Conv2d(*arena_, name_ + ".output", channels_, 3, 5, {1, Activation::sigmoid, 0.f}), side_,
      3);
}

Tensor Network::operator()(Tensor x) const {
  for (const Layer& layer : layers_) x = layer(x);
  return x;
}
}  // namespace faceswap
