// cuDNN's backend interface, opened at run time: the build needs only its headers.
#pragma once
#include <cudnn.h>

#include <cstdint>
#include <string>
#include <utility>

#include "kernels/core/library.h"

namespace kernels::cudnn {

// The entry points of libcudnn.so.9. open() throws Error(device) without that library.
struct Api {
  static const Api& open();
  Library library = open_cudnn();
  decltype(cudnnGetVersion)* get_version = library.symbol("cudnnGetVersion");
  decltype(cudnnGetErrorString)* get_error_string = library.symbol("cudnnGetErrorString");
  decltype(cudnnGetLastErrorString)* get_last_error_string =
      library.symbol("cudnnGetLastErrorString");
  decltype(cudnnCreate)* create = library.symbol("cudnnCreate");
  decltype(cudnnSetStream)* set_stream = library.symbol("cudnnSetStream");
  decltype(cudnnBackendCreateDescriptor)* create_descriptor =
      library.symbol("cudnnBackendCreateDescriptor");
  decltype(cudnnBackendDestroyDescriptor)* destroy_descriptor =
      library.symbol("cudnnBackendDestroyDescriptor");
  decltype(cudnnBackendSetAttribute)* set_attribute = library.symbol("cudnnBackendSetAttribute");
  decltype(cudnnBackendGetAttribute)* get_attribute = library.symbol("cudnnBackendGetAttribute");
  decltype(cudnnBackendFinalize)* finalize = library.symbol("cudnnBackendFinalize");
  decltype(cudnnBackendExecute)* execute = library.symbol("cudnnBackendExecute");
};

void check(cudnnStatus_t status, const std::string& what);

// The process's handle, for one thread at a time. Throws Error(device) without a GPU.
cudnnHandle_t process_handle();

// Reads up to `most` values of an attribute. Returns their number, -1 if cuDNN refuses.
template <class V>
std::int64_t get(cudnnBackendDescriptor_t from, cudnnBackendAttributeName_t name,
                 cudnnBackendAttributeType_t type, V* values, std::int64_t most = 1) {
  std::int64_t count = 0;
  const cudnnStatus_t status = Api::open().get_attribute(from, name, type, most, &count, values);
  return status == CUDNN_STATUS_SUCCESS ? count : -1;
}

// Owns one backend descriptor.
class Descriptor {
 public:
  Descriptor() = default;
  explicit Descriptor(cudnnBackendDescriptorType_t type) {
    check(Api::open().create_descriptor(type, &raw_), "creating a cuDNN descriptor");
  }
  ~Descriptor() {
    if (raw_) Api::open().destroy_descriptor(raw_);
  }
  Descriptor(Descriptor&& other) noexcept : raw_(std::exchange(other.raw_, nullptr)) {}
  Descriptor& operator=(Descriptor&& other) noexcept {
    std::swap(raw_, other.raw_);
    return *this;
  }

  template <class V>
  void set(cudnnBackendAttributeName_t name, cudnnBackendAttributeType_t type, const V* values,
           std::int64_t count) {
    check(Api::open().set_attribute(raw_, name, type, count, values), "setting a cuDNN attribute");
  }
  template <class V>
  void set(cudnnBackendAttributeName_t name, cudnnBackendAttributeType_t type, const V& value) {
    set(name, type, &value, 1);
  }
  void set(cudnnBackendAttributeName_t name, const Descriptor& other) {
    set(name, CUDNN_TYPE_BACKEND_DESCRIPTOR, other.raw_);
  }
  template <class V>
  bool try_set(cudnnBackendAttributeName_t name, cudnnBackendAttributeType_t type, const V* values,
               std::int64_t count = 1) {
    return Api::open().set_attribute(raw_, name, type, count, values) == CUDNN_STATUS_SUCCESS;
  }
  void finalize(const std::string& what) { check(Api::open().finalize(raw_), what); }
  cudnnStatus_t try_finalize() { return Api::open().finalize(raw_); }
  cudnnBackendDescriptor_t raw() const { return raw_; }

 private:
  cudnnBackendDescriptor_t raw_ = nullptr;
};
}  // namespace kernels::cudnn
