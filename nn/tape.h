// Reverse-mode differentiation. Running an op records a node: its inputs, and a closure
// that computes their gradients from the output's. backward() visits the nodes in
// reverse order of recording, without recursion, and frees each as it goes. With
// DOPPEL_TRAP_NAN=1 in the environment it stops at the first op whose gradient is not
// finite, and names it.
#pragma once
#include <typeindex>

#include "nn/tensor.h"

namespace nn {

struct History;  // tensor_impl.h
class Backward;

// One gradient per input, in order; an undefined Tensor for an input that needs none.
using BackwardFn = std::function<std::vector<Tensor>(Backward&)>;

// An input as the backward pass sees it. It does not hold the input's data: closures
// do, and only what they need, so activations are freed as early as possible.
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

  ~Node();  // frees a chain of any length without recursion
};

// Attaches a node to `out` if gradients are on and any input needs one; returns out.
// Inputs may be undefined. Capture out.detach() where the closure needs the output's
// data: capturing `out` itself ties it to its own node.
Tensor record(Tensor out, const char* op, std::vector<Tensor> inputs, BackwardFn backward);

// Gradients of the sum of the roots, one element each, for every leaf that requires
// one. Frees the graph. seed: the gradient of each root itself, [1] in its dtype; 1 if
// undefined. A scaled loss passes its scale, which stays on the device. seed_is_one:
// the seed holds a 1, so nothing needs to be multiplied by it.
void backward(std::span<const Tensor> roots, const Tensor& seed = {}, bool seed_is_one = false);
inline void backward(const Tensor& root) { backward(std::span(&root, 1)); }

// Work of many nodes that backward() does at once after the last of them.
struct Deferred {
  virtual ~Deferred() = default;
  virtual void finish() = 0;
};

// The argument of a backward closure, which computes the gradients of a node's inputs.
class Backward {
 public:
  Backward(const Backward&) = delete;
  Backward& operator=(const Backward&) = delete;

  const Tensor& grad();      // of the output
  bool grad_is_one() const;  // known without reading it
  // For closures that add on their way: the last summand of the gradient where it has
  // several, and grad() is then the sum of the others. Undefined where it has one.
  Tensor take_summand() { return std::move(summand_); }
  // grad() itself if nothing else holds it, else fresh memory like it. For kernels that
  // may write their result over dy.
  Tensor reuse_grad();
  // Memory to write an input's gradient to: assign all of it and return it. It is a
  // parameter's own gradient if nothing has reached that yet, fresh memory otherwise;
  // undefined if the input needs no gradient.
  Tensor target(const Tensor& input);
  // The gradient that an input has collected so far, zeros at first: add to it in place
  // and return it. For ops that return a view of the input.
  Tensor accumulated(const Tensor& input);
  // Defers the writing of `target`, from target(input), to the end of the pass: add it
  // to the pass's one Work, which is a Deferred. Null if target may be read earlier:
  // write it at once.
  template <class Work> Work* defer(const Tensor& input, const Tensor& target) {
    if (!may_defer(input, target)) return nullptr;
    std::unique_ptr<Deferred>& work = deferred(typeid(Work));
    if (!work) work = std::make_unique<Work>();
    return static_cast<Work*>(work.get());
  }
  // A closure's result.
  template <class... Each> static std::vector<Tensor> gradients(const Each&... each) {
    return {each...};
  }

 private:
  friend void backward(std::span<const Tensor>, const Tensor&, bool);
  struct Pass;
  Backward(Pass& pass, Tensor& grad, Tensor& summand)
      : pass_(pass), grad_(grad), summand_(summand) {}
  bool may_defer(const Tensor& input, const Tensor& target) const;
  std::unique_ptr<Deferred>& deferred(std::type_index);

  Pass& pass_;
  Tensor &grad_, &summand_;
};

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

// Names of all ops recorded since the program began, for a test of its op cases.
std::vector<std::string> recorded_ops();
}  // namespace nn
