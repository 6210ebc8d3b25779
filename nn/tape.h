// Reverse-mode differentiation. Running an op records a node that holds its inputs and a closure computing their gradients
// from the output's. backward() visits the nodes in reverse order of recording, iteratively, adds up what arrives at each
// tensor in one place, and lets go of every node as it is consumed. With DOPPEL_TRAP_NAN=1 in the environment, backward()
// stops at the first op that returns a gradient which is not finite, and names it.
#pragma once
#include "kernels/epilogue.h"
#include "nn/tensor.h"

namespace nn {

struct History;  // tensor_impl.h

// One gradient per input, in order; an undefined Tensor for an input that needs none.
using BackwardFn = std::function<std::vector<Tensor>(const Tensor& grad_out)>;

// An input as the backward pass sees it: where its gradient goes and what it must look like. It does not hold the input's
// data: only closures do, and only what they need, so that activations are freed as early as the mathematics allows.
struct Edge {
  std::shared_ptr<History> to;  // null for an input that needs no gradient
  Shape shape;
  DType dtype;
  Device device;
};

struct Node {
  const char* op;
  std::uint64_t order;  // counts up with every record
  std::vector<Edge> inputs;
  BackwardFn backward;  // empty once consumed

  ~Node();  // lets go of a chain of any length without recursion
};

// Attaches a node to `out` if gradients are on and any input needs one; returns out. Undefined inputs are allowed.
// A closure that needs the output's data must capture out.detach(): capturing `out` would tie it to itself.
Tensor record(Tensor out, const char* op, std::vector<Tensor> inputs, BackwardFn backward);

// Gradients of the sum of the roots (each one element) with respect to every leaf that requires one. Frees the graph.
// seed: what each root's own gradient is, [1] in its dtype; undefined: 1. A scaled loss passes its scale, which stays on the device.
// seed_is_one: the caller knows that it holds a 1, so that nobody needs to multiply by it.
void backward(std::span<const Tensor> roots, const Tensor& seed = {}, bool seed_is_one = false);
inline void backward(const Tensor& root) { backward(std::span(&root, 1)); }

// Inside a backward closure: this gradient is a root's own and known to be 1.
bool known_to_be_one(const Tensor& dy);

// Inside a backward closure: where the gradient of this input should be written. The arena's memory for a parameter that
// nothing has reached yet (no copy follows), fresh memory otherwise. The closure must assign all of it and return it.
Tensor gradient_target(const Tensor& input);

// Inside a backward closure: where column sums into `target`, which gradient_target(input) gave, may wait for their second stage until
// backward() has been through every node: one launch then finishes all of them. Null where somebody may read them earlier.
kernels::PendingSums* pending_sums(const Tensor& input, const Tensor& target);

// Inside a backward closure of an op whose output is a part of its input: the gradient of the whole input collected so far
// (zeros where nothing has arrived), free to be added to in place. The closure returns it as that input's gradient.
Tensor gradient_so_far(const Tensor& input);

// Inside a backward closure: dy itself where the tape is its only owner, fresh memory of the same kind otherwise. For
// kernels that may write their result over dy.
Tensor reuse_gradient(const Tensor& dy);

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

std::vector<std::string>
recorded_ops();  // names of all ops recorded since the program began (a test compares it with the op cases)

}  // namespace nn
