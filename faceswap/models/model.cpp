// The models, layer by layer: one encoder, and two decoders of the same build.
// network.h describes each layer; beside each line stands the shape of its output. All
// but `tiny` follow the published shapes of Faceswap's models of these names.
//
// All share one plan: convs of stride 2 shrink the picture, a dense bottleneck makes
// the code a description of the face instead of a small picture of it, and upscales
// grow it again. They differ in resolution, width and residual blocks.
#include "faceswap/models/model.h"

#include <fmt/format.h>

#include "faceswap/models/network.h"
#include "kernels/conv/gemm.h"
#include "kernels/core/device.h"

namespace faceswap {
namespace {

struct Design {
  const char *name, *summary;
  int size;  // pictures are size x size
  float learning_rate;
  void (*encoder)(Network&);
  void (*decoder)(Network&);
  std::optional<nn::Init> init = {};  // of all weights but the output's; none: each layer's own
};

// --- original: the classic

void original_encoder(Network& network) {  //  64x64x3
  network
      .conv(128)       //  32x32x128
      .conv(256)       //  16x16x256
      .conv(512)       //   8x8x512
      .conv(1024)      //   4x4x1024
      .dense(1024)     //   1024
      .dense(4, 1024)  //   4x4x1024
      .upscale(512);   //   8x8x512
}
void original_decoder(Network& network) {
  network
      .upscale(256)  //  16x16x256
      .upscale(128)  //  32x32x128
      .upscale(64)   //  64x64x64
      .picture();    //  64x64x3
}

// --- lightweight: fewer weights in the encoder, wider decoders

void lightweight_encoder(Network& network) {  //  64x64x3
  network
      .conv(128)      //  32x32x128
      .conv(256)      //  16x16x256
      .conv(512)      //   8x8x512
      .dense(512)     //   512
      .dense(4, 512)  //   4x4x512
      .upscale(256);  //   8x8x256
}
void lightweight_decoder(Network& network) {
  network
      .upscale(512)  //  16x16x512
      .upscale(256)  //  32x32x256
      .upscale(128)  //  64x64x128
      .picture();    //  64x64x3
}

// --- tiny: ours, for demos on a CPU

void tiny_encoder(Network& network) {  //  64x64x3
  network
      .conv(16)       //  32x32x16
      .conv(32)       //  16x16x32
      .conv(64)       //   8x8x64
      .conv(128)      //   4x4x128
      .dense(256)     //   256
      .dense(4, 128)  //   4x4x128
      .upscale(96);   //   8x8x96
}
void tiny_decoder(Network& network) {
  network
      .upscale(64)  //  16x16x64
      .upscale(32)  //  32x32x32
      .upscale(16)  //  64x64x16
      .picture();   //  64x64x3
}

// --- villain: sixteen residual blocks at 64x64 before the picture shrinks

void villain_encoder(Network& network) {  // 128x128x3
  network
      .conv(128, kLinear)  //  64x64x128
      .long_skip(16)       //  64x64x128
      .conv(128)
      .shuffle()  //  32x32x128 -> 64x64x32
      .conv(128)
      .shuffle()        //  32x32x128 -> 64x64x32
      .conv(128)        //  32x32x128
      .separable(256)   //  16x16x256
      .conv(512)        //   8x8x512
      .separable(1024)  //   4x4x1024
      .dense(1024)      //   1024
      .dense(8, 1024)   //   8x8x1024
      .upscale(512);    //  16x16x512
}
void villain_decoder(Network& network) {
  network.upscale(512, 0.2f)
      .residual()  //  32x32x512
      .upscale(256, 0.2f)
      .residual()  //  64x64x256
      .upscale(128, 0.2f)
      .residual()  // 128x128x128
      .picture();  // 128x128x3
}

// --- dfl_sae: DeepFaceLab's SAE, type df, as Faceswap has it: 42 encoder and 21 decoder
// channels per colour, 512 in between

void dfl_sae_encoder(Network& network) {  // 128x128x3
  network
      .conv(126)      //  64x64x126
      .conv(252)      //  32x32x252
      .conv(504)      //  16x16x504
      .conv(1008)     //   8x8x1008
      .dense(512)     //   512
      .dense(8, 512)  //   8x8x512
      .upscale(512);  //  16x16x512
}
void dfl_sae_decoder(Network& network) {
  network.upscale(504, 0.2f)
      .residual(2)  //  32x32x504
      .upscale(252, 0.2f)
      .residual(2)  //  64x64x252
      .upscale(126, 0.2f)
      .residual(2)  // 128x128x126
      .picture();   // 128x128x3
}

constexpr nn::Init kVillainInit{nn::Init::normal, 0.02f};

constexpr Design kDesigns[] = {
    {"original", "64 px, 82 M parameters: the classic", 64, 5e-5f, original_encoder,
     original_decoder},
    {"lightweight", "64 px, 51 M parameters: less memory, more arithmetic", 64, 5e-5f,
     lightweight_encoder, lightweight_decoder},
    {"tiny", "64 px, 2 M parameters: for demos on a CPU", 64, 1e-3f, tiny_encoder, tiny_decoder},
    {"villain", "128 px, 155 M parameters: residual blocks; for a GPU", 128, 5e-5f, villain_encoder,
     villain_decoder, kVillainInit},
    {"dfl_sae", "128 px, 130 M parameters: DeepFaceLab's SAE (df); for a GPU", 128, 5e-5f,
     dfl_sae_encoder, dfl_sae_decoder},
};

class Autoencoder final : public Model {
 public:
  explicit Autoencoder(const Design& design)
      : Model(design.name, design.size, design.learning_rate),
        encoder_(build(design, design.encoder, "encoder", design.size, 3)),
        decoder_a_(
            build(design, design.decoder, "decoder_a", encoder_.side(), encoder_.channels())),
        decoder_b_(
            build(design, design.decoder, "decoder_b", encoder_.side(), encoder_.channels())) {}

  nn::Tensor encode(const nn::Tensor& images) const override { return encoder_(images); }
  nn::Tensor decode(Side side, const nn::Tensor& code) const override {
    return side == Side::a ? decoder_a_(code) : decoder_b_(code);
  }
  nn::Tensor decode_both(const nn::Tensor& codes) const override {
    return Network::both(decoder_a_, decoder_b_, codes);
  }

 private:
  Network build(const Design& design, void (*layers)(Network&), const char* name, int side,
                int channels) {
    Network network(arena_, name, side, channels, design.init);
    layers(network);
    return network;
  }
  Network encoder_, decoder_a_, decoder_b_;
};
}  // namespace

const std::vector<ModelInfo>& model_list() {
  static const std::vector<ModelInfo> list = [] {
    std::vector<ModelInfo> infos;
    for (const Design& design : kDesigns) infos.push_back({design.name, design.summary});
    return infos;
  }();
  return list;
}

std::unique_ptr<Model> make_model(const std::string& name) {
  std::string known;
  for (const Design& design : kDesigns) {
    if (design.name == name) return std::make_unique<Autoencoder>(design);
    known += fmt::format("{}{}", known.empty() ? "" : ", ", design.name);
  }
  throw nn::Error(nn::ErrorKind::usage,
                  fmt::format("model '{}' is not known: choose one of {}", name, known));
}

nn::DType choose_dtype(const std::string& precision, nn::Device device) {
  kernels::allow_tf32 = precision == "tf32";
  if (precision == "f32" || precision == "tf32") return nn::DType::f32;
  if (precision == "bf16") return nn::DType::bf16;
  if (precision == "f16") return nn::DType::f16;
  if (precision == "auto" && device == nn::Device::host)
    return kernels::host_prefers_bf16() ? nn::DType::bf16 : nn::DType::f32;
  if (precision == "auto")
    return kernels::probe_cuda().compute_capability >= 80 ? nn::DType::bf16 : nn::DType::f16;
  throw nn::Error(
      nn::ErrorKind::usage,
      fmt::format("precision '{}' is not known: choose auto, f32, tf32, bf16 or f16", precision));
}
}  // namespace faceswap
