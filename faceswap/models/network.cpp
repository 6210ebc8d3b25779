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

// Layers that have no form for several networks at once.
void require_one(std::size_t networks, const char* layer) {
  if (networks == 1) return;
  throw nn::Error(nn::ErrorKind::usage,
                  fmt::format("network: a {} layer runs for one network, not for {} at once; "
                              "call each network by itself",
                              layer, networks));
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

std::size_t Network::add(const nn::Conv2d& conv) {
  convs_.push_back(conv);
  return convs_.size() - 1;
}

Tensor Network::convolve(Networks networks, std::size_t i, const Tensor& x,
                         const Tensor& residual) {
  std::vector<nn::ConvBranch> branches;
  for (const Network* network : networks) branches.push_back(network->convs_.at(i).branch());
  return conv2d(x, branches, networks[0]->convs_[i].options(), residual);
}

Network& Network::conv(int channels, float slope) {
  const std::size_t i = add({*arena_, next_name("conv"), channels_, channels, 5, leaky(2, slope),
                             init_or({Init::he_uniform})});
  return append([i](Networks networks, const Tensor& x) { return convolve(networks, i, x); },
                side_ / 2, channels);
}

Network& Network::separable(int channels) {
  const nn::SeparableConv2d layer(*arena_, next_name("separable"), channels_, channels, 5,
                                  {2, Activation::leaky_relu, 0.f}, init_or({Init::he_uniform}));
  const auto run = [layer](Networks networks, const Tensor& x) {
    require_one(networks.size(), "separable");
    return layer(x);
  };
  return append(run, side_ / 2, channels);
}

Network& Network::shuffle() {
  return append([](Networks, const Tensor& x) { return pixel_shuffle(x, 2); }, 2 * side_,
                channels_ / 4);
}

Network& Network::dense(int features) {
  const nn::Dense layer(*arena_, next_name("dense"), std::int64_t{side_} * side_ * channels_,
                        features, init_or({Init::glorot_uniform}));
  const auto flat = [layer](Networks networks, const Tensor& x) {
    require_one(networks.size(), "dense");
    return layer(x.reshape({x.shape(0), x.numel() / x.shape(0)}));
  };
  return append(flat, 1, features);
}

Network& Network::dense(int side, int channels) {
  dense(side * side * channels);
  return append(
      [side, channels](Networks, const Tensor& x) {
        return x.reshape({x.shape(0), side, side, channels});
      },
      side, channels);
}

Network& Network::upscale(int channels, float slope) {
  const std::size_t i = add({*arena_, next_name("upscale") + ".conv", channels_, 4 * channels, 3,
                             leaky(1, slope, 2), init_or({Init::he_uniform})});
  return append([i](Networks networks, const Tensor& x) { return convolve(networks, i, x); },
                2 * side_, channels);
}

Network::Layer Network::residual_block() {
  const std::string block = next_name("residual");
  const std::size_t first = add({*arena_, block + ".conv0", channels_, channels_, 3,
                                 leaky(1, kResidualSlope), init_or({Init::he_uniform})}),
                    second = add({*arena_, block + ".conv1", channels_, channels_, 3,
                                  leaky(1, kResidualSlope), init_or(kResidualInit)});
  return [first, second](Networks networks, const Tensor& x) {
    return convolve(networks, second, convolve(networks, first, x), x);
  };
}

Network& Network::residual(int count) {
  for (int i = 0; i < count; ++i) append(residual_block(), side_, channels_);
  return *this;
}

Network& Network::long_skip(int count) {
  std::vector<Layer> blocks;
  for (int i = 0; i < count; ++i) blocks.push_back(residual_block());
  const auto skip = [blocks](Networks networks, const Tensor& x) {
    Tensor y = leaky_relu(x, kResidualSlope);
    for (const Layer& block : blocks) y = block(networks, y);
    return nn::add(y, leaky_relu(x, kSkipSlope));
  };
  return append(skip, side_, channels_);
}

Network& Network::picture() {
  // Always He's start, whatever init_ is.
  const std::size_t i =
      add({*arena_, name_ + ".output", channels_, 3, 5, {1, Activation::sigmoid, 0.f}});
  return append([i](Networks networks, const Tensor& x) { return convolve(networks, i, x); }, side_,
                3);
}

Tensor Network::run(Networks networks, Tensor x) {
  for (const Layer& layer : networks[0]->layers_) x = layer(networks, x);
  return x;
}

Tensor Network::operator()(const Tensor& x) const {
  const Network* const self = this;
  return run({&self, 1}, x);
}

Tensor Network::both(const Network& first, const Network& second, const Tensor& x) {
  const Network* const networks[] = {&first, &second};
  return run(networks, x);
}
}  // namespace faceswap
