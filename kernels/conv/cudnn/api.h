// cuDNN's graph interface, opened at run time: only its headers are used when building. *_cudnn.cpp files include this.
#pragma once
#include <cudnn.h>

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "kernels/conv/plans/problem.h"

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
  cudnnStatus_t try_set(cudnnBackendAttributeName_t name, cudnnBackendAttributeType_t type,
                        const V& value) {
    return Api::open().set_attribute(raw_, name, type, 1, &value);
  }
  void finalize(const std::string& what) { check(Api::open().finalize(raw_), what); }
  cudnnStatus_t try_finalize() { return Api::open().finalize(raw_); }
  cudnnBackendDescriptor_t raw() const { return raw_; }

 private:
  cudnnBackendDescriptor_t raw_ = nullptr;
};

// Names of the operands when a plan is executed.
enum Operand : std::int64_t { operand_x = 1, operand_w, operand_y, operand_bias };

// A described problem. Finished descriptors must outlive the graph that names them.
struct Graph {
  std::vector<Descriptor> operands;
  Descriptor graph;
  cudnnStatus_t status = CUDNN_STATUS_SUCCESS;  // whether cuDNN takes it
};
Graph make_graph(const Problem&, cudnnHandle_t handle /*null for a described device*/);

struct Plan {
  Descriptor plan;
  PlanReport report;
};

// Makes plans for one problem: for the GPU behind `handle`, or, with handle null, for the one that `device_json` describes.
class Planner {
 public:
  Planner(const Problem&, cudnnHandle_t handle, const std::string& device_json = {});
  // What the heuristics name, best first, without engines that we never take: those that give other bits from run to run, that
  // keep sums in less than float, or that are not exact enough for the problem's math type. fallback: cuDNN's other list, of what
  // is slow and supports much.
  std::vector<Engine> engines(bool fallback);
  Plan plan(
      const Engine&);  // of that engine, if cuDNN can build it and its workspace is small enough; else the report says why not
  Plan first();        // of the first engine that has one

 private:
  Problem problem_;
  cudnnHandle_t handle_;
  Descriptor device_;
  Graph graph_;
  int offered_ = 0, refused_ = 0;
};

}  // namespace kernels::cudnn
