// What stands behind a Tensor handle. Only tensor.cpp, tape.cpp and parameters.cpp look inside.
#pragma once
#include "nn/tensor.h"

namespace nn {

struct Node;

// What differentiation knows of a tensor. Plain data has none.
struct History {
  bool requires_grad = false;
  std::shared_ptr<Node> node;  // what recorded it; null for a leaf
  Tensor grad;                 // of a leaf without a sink: collected so far
  Tensor sink;                 // of a leaf with one: the memory its gradient lands in
  bool reached = false;        // the sink holds a gradient, so that the next one is added
  bool stale = false;          // the sink holds the gradient of an earlier step
};

struct TensorImpl {
  std::shared_ptr<kernels::Buffer> storage;
  std::size_t offset_bytes;
  Shape shape;
  DType dtype;
  std::shared_ptr<History> history;
};

}  // namespace nn
