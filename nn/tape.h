// Reverse-mode differentiation. Running an op records a node that holds its inputs and a closure computing their gradients
// from the output's. backward() visits the nodes in reverse order of recording, iteratively, adds up what arrives at each
// tensor in one place, and lets go of every node as it is consumed.
#pragma once
#include "nn/tensor.h"

namespace nn {

// One gradient per input, in order; an undefined Tensor for an input that needs none.
using BackwardFn = std::function<std::vector<Tensor>(const Tensor& grad_out)>;

struct Node {
  const char* op;
  std::uint64_t order;           // counts up with every record
  std::vector<Tensor> inputs;
  BackwardFn backward;           // empty once consumed
};

// Attaches a node to `out` if gradients are on and any input needs one; returns out.
Tensor record(Tensor out, const char* op, std::vector<Tensor> inputs, BackwardFn backward);

// Gradients of the sum of the roots (each one element) with respect to every leaf that requires one. Frees the graph.
void backward(std::span<const Tensor> roots);
inline void backward(const Tensor& root) { backward(std::span(&root, 1)); }

// Inside a backward closure: where the gradient of this input should be written. The arena's memory for a parameter that
// nothing has reached yet (no copy follows), fresh memory otherwise.
Tensor gradient_target(const Tensor& input);

bool gradients_enabled();
class NoGrad {  // no recording in this scope
 public:
  NoGrad();
  ~NoGrad();
  NoGrad(const NoGrad&) = delete;
  NoGrad& operator=(const NoGrad&) = delete;

 private:
  bool previous_;
};

std::vector<std::string> recorded_ops();  // names of all ops recorded since the program began (a test compares it with the op cases)

}  // namespace nn
