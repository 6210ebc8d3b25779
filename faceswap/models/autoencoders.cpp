// The models, layer by layer (network.h says what each layer is): one encoder, and two decoders of the same build. Beside each line
// stands the shape that leaves it. Re-stated from the published shapes of Faceswap's models of these names; `tiny` is ours.
//
// What they share: convs of stride 2 shrink the picture; a dense bottleneck, where every number sees the whole face, makes the code
// a description of the face instead of a small picture of it; upscales grow it again. What they differ in: how many pixels, how
// wide, and whether residual blocks refine the picture between the upscales.
#include <fmt/format.h>

#include "faceswap/models/model.h"
#include "faceswap/models/network.h"

namespace faceswap {
namespace {

struct Design {
  ModelInfo info;
  int size;  // pictures are size x size
  float learning_rate;
  std::optional<nn::Init>
      init;  // of all weights but the output's; without it each layer's own default
  void (*encoder)(Network&);
  void (*decoder)(Network&);
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

// --- tiny: a demo on a CPU

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

// --- dfl_sae: DeepFaceLab's SAE, type df, as Faceswap has it: 42 encoder and 21 decoder channels per colour, 512 in between

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

const std::vector<Design>& designs() {
  static const std::vector<Design> all = {
      {{"original", "64 px, 82 M parameters: the classic"},
       64,
       5e-5f,
       {},
       original_encoder,
       original_decoder},
      {{"lightweight", "64 px, 51 M parameters: less memory, more arithmetic"},
       64,
       5e-5f,
       {},
       lightweight_encoder,
       lightweight_decoder},
      {{"tiny", "64 px, 2 M parameters: for demos on a CPU"},
       64,
       1e-3f,
       {},
       tiny_encoder,
       tiny_decoder},
      {{"villain", "128 px, 155 M parameters: residual blocks; for a GPU"},
       128,
       5e-5f,
       kVillainInit,
       villain_encoder,
       villain_decoder},
      {{"dfl_sae", "128 px, 130 M parameters: DeepFaceLab's SAE (df); for a GPU"},
       128,
       5e-5f,
       {},
       dfl_sae_encoder,
       dfl_sae_decoder},
  };
  return all;
}

class Autoencoder final : public Model {
 public:
  explicit Autoencoder(const Design& design)
      : Model(design.info.name, design.size, design.learning_rate),
        encoder_(build(design.encoder, "encoder", design.size, 3, design.init)),
        decoder_a_(
            build(design.decoder, "decoder_a", encoder_.side(), encoder_.channels(), design.init)),
        decoder_b_(build(design.decoder, "decoder_b", encoder_.side(), encoder_.channels(),
                         design.init)) {}

  nn::Tensor encode(const nn::Tensor& images) const override { return encoder_(images); }
  nn::Tensor decode(Side side, const nn::Tensor& code) const override {
    return side == Side::a ? decoder_a_(code) : decoder_b_(code);
  }

 private:
  Network build(void (*layers)(Network&), const char* name, int side, int channels,
                const std::optional<nn::Init>& init) {
    Network network(arena_, name, side, channels, init);
    layers(network);
    return network;
  }
  Network encoder_, decoder_a_, decoder_b_;
};

}  // namespace

const std::vector<ModelInfo>& model_list() {
  static const std::vector<ModelInfo> list = [] {
    std::vector<ModelInfo> infos;
    for (const Design& design : designs()) infos.push_back(design.info);
    return infos;
  }();
  return list;
}

std::unique_ptr<Model> make_model(const std::string& name) {
  std::string known;
  for (const Design& design : designs()) {
    if (design.info.name == name) return std::make_unique<Autoencoder>(design);
    known += fmt::format("{}{}", known.empty() ? "" : ", ", design.info.name);
  }
  throw kernels::Error(kernels::ErrorKind::usage,
                       fmt::format("model '{}' is not known: choose one of {}", name, known));
}

}  // namespace faceswap
