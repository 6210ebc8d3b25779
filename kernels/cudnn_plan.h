// cuDNN plans for the three directions of a convolution, through the graph interface: a graph of operations is described, a
// heuristic ranks engines that can run it, and the first acceptable one becomes a plan. The older cudnnConvolution* calls are
// deprecated and have one pad value per side, so they cannot express Keras's 'same' padding at stride 2.
// Compiled only with CUDA; cuDNN itself is opened at run time. Plans can be built for a described device, without any GPU.
#pragma once
#include <cudnn.h>

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "kernels/conv.h"

namespace kernels::cudnn {

// The entry points of libcudnn.so.9. open() throws Error(device) where it is not installed.
struct Api {
  static const Api& open();
  decltype(cudnnGetVersion)* get_version;
  decltype(cudnnGetErrorString)* get_error_string;
  decltype(cudnnGetLastErrorString)* get_last_error_string;
  decltype(cudnnCreate)* create;
  decltype(cudnnSetStream)* set_stream;
  decltype(cudnnBackendCreateDescriptor)* create_descriptor;
  decltype(cudnnBackendDestroyDescriptor)* destroy_descriptor;
  decltype(cudnnBackendSetAttribute)* set_attribute;
  decltype(cudnnBackendGetAttribute)* get_attribute;
  decltype(cudnnBackendFinalize)* finalize;
  decltype(cudnnBackendExecute)* execute;
};

void check(cudnnStatus_t status, const std::string& what);

// Owns one backend descriptor.
class Descriptor {
 public:
  Descriptor() = default;
  explicit Descriptor(cudnnBackendDescriptorType_t type) { check(Api::open().create_descriptor(type, &raw_), "creating a cuDNN descriptor"); }
  ~Descriptor() { if (raw_) Api::open().destroy_descriptor(raw_); }
  Descriptor(Descriptor&& other) noexcept : raw_(std::exchange(other.raw_, nullptr)) {}
  Descriptor& operator=(Descriptor&& other) noexcept { std::swap(raw_, other.raw_); return *this; }

  template <class V> void set(cudnnBackendAttributeName_t name, cudnnBackendAttributeType_t type, const V* values, std::int64_t count) {
    check(Api::open().set_attribute(raw_, name, type, count, values), "setting a cuDNN attribute");
  }
  template <class V> void set(cudnnBackendAttributeName_t name, cudnnBackendAttributeType_t type, const V& value) { set(name, type, &value, 1); }
  void set(cudnnBackendAttributeName_t name, const Descriptor& other) { set(name, CUDNN_TYPE_BACKEND_DESCRIPTOR, other.raw_); }
  void finalize(const std::string& what) { check(Api::open().finalize(raw_), what); }
  cudnnStatus_t try_finalize() { return Api::open().finalize(raw_); }
  cudnnBackendDescriptor_t raw() const { return raw_; }

 private:
  cudnnBackendDescriptor_t raw_ = nullptr;
};

enum class Direction : std::uint8_t { forward, data, filter };
enum class Number : std::uint8_t { f32, tf32, bf16 };  // f32 is strict: no engine that rounds its inputs

// What a plan is made for; also its key in the cache.
struct Problem {
  ConvShape shape;
  Direction direction = Direction::forward;
  Number number = Number::f32;
  bool fused = false;         // forward: bias and activation inside the same kernel
  bool bias = false;
  Activation activation = Activation::none;
  float slope = 0.f;
  int alignment = 16;         // bytes that every operand's address is a multiple of
  std::string str() const;
};

// Names of the operands when a plan is executed.
enum Operand : std::int64_t { operand_x = 1, operand_w, operand_y, operand_bias };

inline constexpr std::int64_t workspace_cap = 256ll << 20;

struct Plan {
  Descriptor plan;
  std::int64_t workspace = 0;   // bytes
  std::int64_t engine = -1;     // cuDNN's number of it
  bool runtime_compiled = false;
  int offered = 0;              // configurations that the heuristics named
  std::string why_not;          // where there is no plan: what became of them
  bool found() const { return plan.raw() != nullptr; }
};

// For the GPU behind `handle`, or, with handle null, for the one that `device_json` describes (cuDNN's DEVICEPROP descriptor;
// cuDNN 9.8 or newer). A graph that no engine takes gives a plan that is not found().
Plan make_plan(const Problem&, cudnnHandle_t handle, const std::string& device_json = {});

}  // namespace kernels::cudnn
