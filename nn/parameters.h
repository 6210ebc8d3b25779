// All parameters of a model in flat arenas: master weights (f32), working copy (bf16 or
// f16, or the master itself), gradients, and the optimizer's two moments. Optimizer,
// clipping and checkpoint are each one pass over one buffer.
#pragma once
#include <string>
#include <vector>

#include "nn/tensor.h"

namespace nn {

// Initial values. Fan counts are those of Keras, for OHWI weights K*K*I and K*K*O.
struct Init {
  enum Kind : std::uint8_t { zeros, he_uniform, glorot_uniform, normal, fan_in_uniform };
  Kind kind = zeros;
  // Deviation of normal; variance * fan_in of fan_in_uniform (he_uniform's is 2).
  float value = 0.02f;
};

struct Parameter {   // one named piece of the arenas
  std::string name;  // "encoder.conv0.weight"
  Shape shape;
  Init init;
  std::int64_t offset = 0;  // in elements; pieces begin on multiples of 64
  Tensor value;  // of the working copy, which the model uses; a leaf with the sink `gradient`
  Tensor master, gradient, moment1, moment2;  // views of the arenas
};

class ParameterArena {
 public:
  // Declares a parameter and returns its index.
  std::size_t add(std::string name, Shape shape, Init init);
  // Allocates everything and draws the initial weights (Philox of seed and index: the
  // same on any device). working: f32, bf16, f16, or f64 (host, for tests; then all
  // arenas are f64). Inference has no gradients and no moments, a quarter of the
  // memory.
  enum class Use { training, inference };
  void allocate(Device device, DType working, std::uint64_t seed, Use use = Use::training);

  const Tensor& value(std::size_t index) const { return parameters_.at(index).value; }
  const std::vector<Parameter>& parameters() const { return parameters_; }
  const Parameter* find(const std::string& name) const;
  std::int64_t size() const { return size_; }  // in elements, with padding, which is zero
  std::int64_t count() const;                  // in elements, without padding
  Tensor master() const { return master_; }    // whole arenas, [size]
  Tensor working() const { return working_; }
  Tensor gradients() const { return gradients_; }
  Tensor moment1() const { return moment1_; }
  Tensor moment2() const { return moment2_; }
  Device device() const { return device_; }
  void zero_gradients();
  // The same for a training step without a pass over the arena: the next gradient of a
  // parameter replaces the last one. finish_gradients(), called by Adam::step, zeroes
  // the gradients of the parameters that none has reached since.
  void begin_gradients();
  void finish_gradients();
  // For 16-bit gradients of several micro-batches, whose small parts a 16-bit sum would
  // lose: after the backward pass of each, adds them to `sum`, [size] in f32 (assigns
  // for the first), so the next pass may begin_gradients() again.
  void add_gradients_to(const Tensor& sum, bool first);
  void take_gradients_from(const Tensor& sum);  // rounded once
  void refresh_working();                       // working copy := master (after loading)

 private:
  std::vector<Parameter> parameters_;
  std::int64_t size_ = 0;
  Device device_ = Device::host;
  Tensor master_, working_, gradients_, moment1_, moment2_;
};
}  // namespace nn
