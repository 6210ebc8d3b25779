// The two-decoder autoencoder: one encoder that both people share, and one decoder for
// each. A decoder learns to draw its own person from a code that holds pose, expression
// and light; from the other person's code it draws its person with them.
#pragma once
#include <memory>
#include <string>
#include <vector>

#include "nn/layers.h"

namespace faceswap {

enum class Side : std::uint8_t { a, b };
inline Side other(Side side) { return side == Side::a ? Side::b : Side::a; }
inline const char* name(Side side) { return side == Side::a ? "a" : "b"; }

class Model {
 public:
  virtual ~Model() = default;
  // images: [N,size,size,3], RGB in [0,1]. The code's shape depends on the model.
  virtual nn::Tensor encode(const nn::Tensor& images) const = 0;
  virtual nn::Tensor decode(Side side, const nn::Tensor& code) const = 0;  // -> [N,size,size,3]
  // A's codes and then as many of B's, each by its own decoder -> [2N,size,size,3]. Of the
  // same bits as two calls of decode, in fewer launches.
  virtual nn::Tensor decode_both(const nn::Tensor& codes) const = 0;

  const std::string& name() const { return name_; }
  int size() const { return size_; }                      // side of the square pictures
  float learning_rate() const { return learning_rate_; }  // its default
  nn::ParameterArena& arena() { return arena_; }
  const nn::ParameterArena& arena() const { return arena_; }

 protected:
  Model(std::string name, int size, float learning_rate)
      : name_(std::move(name)), size_(size), learning_rate_(learning_rate) {}
  std::string name_;
  int size_;
  float learning_rate_;
  nn::ParameterArena arena_;
};

// A model's name and its one-line summary for help texts.
struct ModelInfo {
  std::string name, summary;
};
const std::vector<ModelInfo>& model_list();
// Declares the parameters; the caller allocates. Error(usage) for an unknown name.
std::unique_ptr<Model> make_model(const std::string& name);

// The type that a model computes in. precision: f32, tf32, bf16, f16, or auto, which is
// bf16 on a GPU from compute capability 8.0 on and f16 on an older one; on the host it
// is bf16 where kernels::host_prefers_bf16(), else f32. Also sets kernels::allow_tf32,
// for tf32 alone. Error(usage) for another name.
nn::DType choose_dtype(const std::string& precision, nn::Device device);
}  // namespace faceswap
