// A network of layers, declared front to back. Each call appends one layer to the shape
// that the last one left. A parameter's name holds the network, the kind of layer and
// its number among that kind: "encoder.conv0.weight", "decoder_a.residual2.conv1.bias".
#pragma once
#include <functional>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "nn/layers.h"

namespace faceswap {

inline constexpr float kLinear = 1.f;  // slope of a LeakyReLU that does nothing

class Network {
 public:
  // The input is [N,side,side,channels]. init: how weights begin; without it as Keras
  // and Faceswap have it, He for convs and Glorot for dense layers. The network keeps a
  // pointer to the arena.
  Network(nn::ParameterArena& arena, std::string name, int side, int channels,
          std::optional<nn::Init> init = {});

  Network& conv(int channels, float slope = 0.1f);  // 5x5 stride 2, LeakyReLU: side / 2
  Network& separable(int channels);        // depthwise 5x5 stride 2, then 1x1, ReLU: side / 2
  Network& shuffle();                      // pixel shuffle x2: side * 2, channels / 4
  Network& dense(int features);            // flattens; no activation
  Network& dense(int side, int channels);  // the same, reshaped to [N,side,side,channels]
  // conv 3x3 to 4*channels, LeakyReLU, pixel shuffle: side * 2
  Network& upscale(int channels, float slope = 0.1f);
  // count times f(x + conv3x3(f(conv3x3(x)))), f = LeakyReLU(0.2)
  Network& residual(int count = 1);
  // LeakyReLU(0.1)(x) + residual(count)(LeakyReLU(0.2)(x))
  Network& long_skip(int count);
  Network& picture();  // conv 5x5 to three channels, sigmoid

  nn::Tensor operator()(const nn::Tensor& x) const;  // x: [N,side,side,channels]
  // Two networks of one build of convolutions, each on its half of x, [2N,side,side,
  // channels]: layer by layer, so both share the launches between the convolutions.
  static nn::Tensor both(const Network& first, const Network& second, const nn::Tensor& x);
  int side() const { return side_; }  // of the output
  int channels() const { return channels_; }

 private:
  using Networks = std::span<const Network* const>;  // that a layer runs for, of one build
  using Layer = std::function<nn::Tensor(Networks, const nn::Tensor&)>;
  std::string next_name(const std::string& kind);  // "encoder.conv3"
  nn::Init init_or(nn::Init otherwise) const { return init_.value_or(otherwise); }
  Layer residual_block();
  static nn::Tensor run(Networks, nn::Tensor x);
  std::size_t add(const nn::Conv2d&);  // to convs_; its index
  // Convolution i of each network on its share of x.
  static nn::Tensor convolve(Networks, std::size_t i, const nn::Tensor& x,
                             const nn::Tensor& residual = {});
  Network& append(Layer layer, int side, int channels);  // of its output

  nn::ParameterArena* arena_;
  std::string name_;
  int side_, channels_;  // side 1 after dense(features)
  std::optional<nn::Init> init_;
  std::map<std::string, int> counts_;  // layers of each kind so far
  std::vector<nn::Conv2d> convs_;
  std::vector<Layer> layers_;
};
}  // namespace faceswap
