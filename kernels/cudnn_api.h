// cuDNN's graph interface, opened at run time: only its headers are used when building. *_cudnn.cpp files include this.
#pragma once
#include <cudnn.h>

#include <cstdint>
#include <string>
#include <utility>

#include "kernels/cudnn_plan.h"

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

// Names of the operands when a plan is executed.
enum Operand : std::int64_t { operand_x = 1, operand_w, operand_y, operand_bias };

struct Plan {
  Descriptor plan;
  PlanReport report;
};

// For the GPU behind `handle`, or, with handle null, for the one that `device_json` describes. Where no engine takes the graph
// the report says so.
Plan make_plan(const Problem&, cudnnHandle_t handle, const std::string& device_json = {});

}  // namespace kernels::cudnn
