// The object behind a Tensor handle. Private to tensor, tape and parameters.
#pragma once
#include "nn/tensor.h"

namespace nn {

struct Node;

// A tensor's place in differentiation. Plain data has none.
struct History {
  bool requires_grad = false;
  std::shared_ptr<Node> node;  // of the op that recorded it; null for a leaf
  Tensor grad;                 // of a leaf without a sink: the sum so far
  Tensor sink;                 // of a leaf: memory for its gradient
  bool reached = false;        // the sink holds a gradient, so the next one is added
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
