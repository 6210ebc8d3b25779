// The family that `original` and `lightweight` belong to (Faceswap's models of these names, re-stated from their shapes):
//
//   encoder   conv 5x5 stride 2 + LeakyReLU(0.1), repeated; flatten; dense to the bottleneck; dense back to a small square;
//             one upscale
//   decoder   upscale, repeated; conv 5x5 to three channels + sigmoid
//   upscale   conv 3x3 to 4f channels + LeakyReLU(0.1), pixel shuffle x2: the square doubles, f channels remain
//
// A stride-2 conv halves the square. The dense bottleneck is what makes the code a description of the face instead of a
// small picture of it: every number in it sees the whole face.
#include <fmt/format.h>

#include "faceswap/models/model.h"

namespace faceswap {
namespace {

using nn::Tensor;

struct Plan {
  const char* name;
  const char* summary;
  int size;                        // pictures are size x size
  std::vector<int> encoder;        // channels of the 5x5 stride-2 convs
  int bottleneck;                  // features of the first dense layer
  int square, square_channels;     // what the second dense layer is reshaped to: square x square x square_channels
  int encoder_upscale;             // channels after the encoder's upscale
  std::vector<int> decoder;        // channels after each of the decoder's upscales
  float learning_rate;
};

const std::vector<Plan>& plans() {
  static const std::vector<Plan> all = {
      {"original", "64 px, 82 M parameters: the classic", 64, {128, 256, 512, 1024}, 1024, 4, 1024, 512, {256, 128, 64}, 5e-5f},
      {"lightweight", "64 px, 51 M parameters: less memory, more arithmetic", 64, {128, 256, 512}, 512, 4, 512, 256, {512, 256, 128}, 5e-5f},
      {"tiny", "64 px, 2 M parameters: for demos on a CPU", 64, {16, 32, 64, 128}, 256, 4, 128, 96, {64, 32, 16}, 1e-3f},
  };
  return all;
}

constexpr float kSlope = 0.1f;

class Upscale {
 public:
  Upscale(nn::ParameterArena& arena, const std::string& name, int in_channels, int out_channels)
      : conv_(arena, name + ".conv", in_channels, 4 * out_channels, 3, {1, nn::Activation::leaky_relu, kSlope}) {}
  Tensor operator()(const Tensor& x /*[N,H,W,in]*/) const { return pixel_shuffle(conv_(x), 2); }  // [N,2H,2W,out]

 private:
  nn::Conv2d conv_;
};

class Decoder {
 public:
  Decoder(nn::ParameterArena& arena, const std::string& name, int in_channels, const std::vector<int>& channels)
      : upscales_(make_upscales(arena, name, in_channels, channels)),
        output_(arena, name + ".output", channels.back(), 3, 5, {1, nn::Activation::sigmoid, 0.f}) {}
  Tensor operator()(Tensor x) const {
    for (const Upscale& upscale : upscales_) x = upscale(x);
    return output_(x);
  }

 private:
  static std::vector<Upscale> make_upscales(nn::ParameterArena& arena, const std::string& name, int in_channels, const std::vector<int>& channels) {
    std::vector<Upscale> upscales;
    for (std::size_t i = 0; i < channels.size(); ++i) {
      upscales.emplace_back(arena, fmt::format("{}.upscale{}", name, i), in_channels, channels[i]);
      in_channels = channels[i];
    }
    return upscales;
  }
  std::vector<Upscale> upscales_;
  nn::Conv2d output_;
};

class ConvAutoencoder final : public Model {
 public:
  explicit ConvAutoencoder(const Plan& plan)
      : Model(plan.name, plan.size, plan.learning_rate),
        plan_(plan),
        convs_(make_convs(arena_, plan)),
        dense0_(arena_, "encoder.dense0", flat_features(plan), plan.bottleneck),
        dense1_(arena_, "encoder.dense1", plan.bottleneck, std::int64_t{plan.square} * plan.square * plan.square_channels),
        upscale_(arena_, "encoder.upscale0", plan.square_channels, plan.encoder_upscale),
        decoder_a_(arena_, "decoder_a", plan.encoder_upscale, plan.decoder),
        decoder_b_(arena_, "decoder_b", plan.encoder_upscale, plan.decoder) {}

  Tensor encode(const Tensor& images) const override {
    const std::int64_t n = images.shape(0);
    Tensor x = images;
    for (const nn::Conv2d& conv : convs_) x = conv(x);
    x = dense1_(dense0_(x.reshape({n, flat_features(plan_)})));
    return upscale_(x.reshape({n, plan_.square, plan_.square, plan_.square_channels}));
  }
  Tensor decode(Side side, const Tensor& code) const override { return side == Side::a ? decoder_a_(code) : decoder_b_(code); }

 private:
  static std::int64_t flat_features(const Plan& plan) {
    const std::int64_t side = plan.size >> plan.encoder.size();
    return side * side * plan.encoder.back();
  }
  static std::vector<nn::Conv2d> make_convs(nn::ParameterArena& arena, const Plan& plan) {
    std::vector<nn::Conv2d> convs;
    int in_channels = 3;
    for (std::size_t i = 0; i < plan.encoder.size(); ++i) {
      convs.emplace_back(arena, fmt::format("encoder.conv{}", i), in_channels, plan.encoder[i], 5, nn::Conv2dOptions{2, nn::Activation::leaky_relu, kSlope});
      in_channels = plan.encoder[i];
    }
    return convs;
  }

  Plan plan_;
  std::vector<nn::Conv2d> convs_;
  nn::Dense dense0_, dense1_;
  Upscale upscale_;
  Decoder decoder_a_, decoder_b_;
};

}  // namespace

const std::vector<ModelInfo>& model_list() {
  static const std::vector<ModelInfo> list = [] {
    std::vector<ModelInfo> infos;
    for (const Plan& plan : plans()) infos.push_back({plan.name, plan.summary});
    return infos;
  }();
  return list;
}

std::unique_ptr<Model> make_model(const std::string& name) {
  std::string known;
  for (const Plan& plan : plans()) {
    if (plan.name == name) return std::make_unique<ConvAutoencoder>(plan);
    known += fmt::format("{}{}", known.empty() ? "" : ", ", plan.name);
  }
  throw kernels::Error(kernels::ErrorKind::usage, fmt::format("model '{}' is not known: choose one of {}", name, known));
}

}  // namespace faceswap
