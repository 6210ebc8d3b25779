#include "nn/tape.h"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <map>
#include <mutex>
#include <set>
#include <utility>

#include "kernels/elementwise.h"
#include "nn/dispatch.h"
#include "nn/tensor_impl.h"

namespace nn {
namespace {

thread_local bool recording = true;
std::atomic<std::uint64_t> next_order{1};

std::mutex ops_mutex;
std::set<std::string, std::less<>> ops_seen;

void note_op(const char* op) {
  const std::lock_guard lock(ops_mutex);
  if (ops_seen.find(std::string_view(op)) == ops_seen.end()) ops_seen.emplace(op);
}

Edge edge_to(const Tensor& x) {
  if (!x.defined()) return {nullptr, Shape{}, DType::f32, Device::host};
  return {x.requires_grad() ? x.impl()->history : nullptr, x.shape(), x.dtype(), x.device()};
}

void add_into(const Tensor& sum, const Tensor& a, const Tensor& b) {
  dispatch(sum, "backward", [&]<class D, class T>(Stream& stream) {
    kernels::add<D, T>(stream, a.data<T>(), b.data<T>(), sum.data<T>(), sum.numel());
  });
}

// sum += summand, if there is one, and forgets the summand.
void add_up(Tensor& sum, Tensor& summand) {
  if (!summand.defined()) return;
  Tensor target = sum.unshared() ? sum : empty_like(sum);
  add_into(target, sum, std::exchange(summand, {}));
  sum = std::move(target);
}

void copy_into(const Tensor& destination, const Tensor& source) {
  kernels::copy(destination.raw(), destination.device(), source.raw(), source.device(),
                source.bytes());
}

bool all_finite(const Tensor& x) {
  const std::vector<double> values = x.to(Device::host).to(DType::f64).to_host<double>();
  return std::ranges::all_of(values, [](double v) { return std::isfinite(v); });
}

void check_gradient(const Node& node, std::size_t i, const Edge& input, const Tensor& gradient,
                    bool trap_nan) {
  if (gradient.shape() != input.shape || gradient.dtype() != input.dtype ||
      gradient.device() != input.device) {
    fail(ErrorKind::failure,
         "backward of {}: gradient of input {} is {} of {}, the input is {} of {}", node.op, i,
         gradient.shape().str(), name(gradient.dtype()), input.shape.str(), name(input.dtype));
  }
  if (trap_nan && !all_finite(gradient))
    fail(ErrorKind::not_finite,
         "backward of {}: the gradient of its input {} {} is not finite (DOPPEL_TRAP_NAN)", node.op,
         i, input.shape.str());
}
}  // namespace

// One run of backward().
struct Backward::Pass {
  // Gradients that wait for their node, the latest recorded first: whatever used
  // a node's output was recorded after it, so the gradient is complete by then.
  struct Waiting {
    std::shared_ptr<Node> node;
    Tensor gradient, summand;  // the latest summand is added only when it must be
  };
  std::map<std::uint64_t, Waiting, std::greater<>> waiting;
  std::vector<const History*> added_in_place;  // by the running closure, through accumulated()
  std::map<std::type_index, std::unique_ptr<Deferred>> deferred;  // sinks are incomplete until done
  Tensor one;             // the roots' own gradient if it is known to be 1
  bool trap_nan = false;  // every gradient is checked as it arrives

  // The place that collects the gradient of an op's result.
  Waiting& entry(History& to) {
    Waiting& entry = waiting[to.node->order];
    entry.node = to.node;
    return entry;
  }

  // Before anything reads or adds to a sink that a gradient has reached.
  void finish_deferred() {
    for (const auto& [type, work] : deferred) work->finish();
    deferred.clear();
  }

  // Adds up all that arrives at a tensor; nothing else does.
  void receive(History& to, Tensor gradient) {
    if (std::erase(added_in_place, &to) > 0) return;
    if (to.sink.defined()) {
      if (gradient.raw() == to.sink.raw()) return;  // written in place through target()
      if (to.reached) {
        finish_deferred();
        add_into(to.sink, to.sink, gradient);
      } else {
        copy_into(to.sink, gradient);
      }
      to.reached = true;
      return;
    }
    Tensor& sum = to.node ? entry(to).gradient : to.grad;
    if (!sum.defined()) return void(sum = std::move(gradient));
    if (!to.node) return add_up(sum, gradient);
    Tensor& summand = entry(to).summand;
    add_up(sum, summand);
    summand = std::move(gradient);
  }
};

Node::~Node() {
  struct Remains {
    std::vector<Edge> inputs;
    BackwardFn backward;
  };
  // Freeing the inputs may destroy the nodes behind them, whose destructors run inside
  // this one. They only queue what they held and the outermost call frees it, so the
  // stack stays flat.
  static thread_local std::vector<Remains>* queue = nullptr;
  if (queue != nullptr) {
    queue->push_back({std::move(inputs), std::move(backward)});
    return;
  }
  std::vector<Remains> remains;
  queue = &remains;
  remains.push_back({std::move(inputs), std::move(backward)});
  while (!remains.empty()) {
    Remains last = std::move(remains.back());
    remains.pop_back();
    last = {};
  }
  queue = nullptr;
}

Tensor record(Tensor out, const char* op, std::vector<Tensor> inputs, BackwardFn backward) {
  note_op(op);
  if (!recording || std::ranges::none_of(inputs, &Tensor::requires_grad)) return out;
  auto node = std::make_shared<Node>();
  node->op = op;
  node->order = next_order++;
  for (const Tensor& input : inputs) node->inputs.push_back(edge_to(input));
  node->backward = std::move(backward);
  out.impl()->history = std::make_shared<History>();
  out.impl()->history->requires_grad = true;
  out.impl()->history->node = std::move(node);
  return out;
}

void backward(std::span<const Tensor> roots, const Tensor& seed, bool seed_is_one) {
  const char* trap = std::getenv("DOPPEL_TRAP_NAN");
  const NoGrad no_grad;  // closures compute, they do not record
  Backward::Pass pass;
  pass.trap_nan = trap != nullptr && *trap != '\0' && std::strcmp(trap, "0") != 0;
  if (seed_is_one) pass.one = seed;
  for (const Tensor& root : roots) {
    check(root.defined() && root.numel() == 1, "backward: a root must have one element, got {}",
          root.defined() ? root.shape().str() : "an undefined tensor");
    check(root.requires_grad(),
          "backward: nothing that the root was computed from requires a gradient");
    Tensor first = seed.defined() ? seed : pass.one;
    if (!first.defined()) {
      first = empty_like(root);
      dispatch(first, "backward", [&]<class D, class T>(Stream& stream) {
        kernels::fill<D, T>(stream, first.data<T>(), 1.f, 1);
      });
      pass.one = first;
    }
    check(first.shape() == root.shape() && first.dtype() == root.dtype() &&
              first.device() == root.device(),
          "backward: the seed {} of {} does not fit the root, {} of {}", first.shape().str(),
          name(first.dtype()), root.shape().str(), name(root.dtype()));
    pass.receive(*root.impl()->history, std::move(first));
  }
  while (!pass.waiting.empty()) {
    auto [node, gradient, summand] = std::move(pass.waiting.begin()->second);
    pass.waiting.erase(pass.waiting.begin());
    check(static_cast<bool>(node->backward),
          "backward: the graph behind this {} was freed by an earlier backward(); run the forward "
          "pass again",
          node->op);
    // Consumed: all that the closure holds is freed with this iteration.
    const BackwardFn closure = std::exchange(node->backward, nullptr);
    const std::vector<Edge> inputs = std::exchange(node->inputs, {});
    Backward context(pass, gradient, summand);
    std::vector<Tensor> gradients = closure(context);
    if (gradients.size() != inputs.size())
      fail(ErrorKind::failure, "backward of {}: {} gradients returned for {} inputs", node->op,
           gradients.size(), inputs.size());
    gradient = summand = Tensor();
    for (std::size_t i = 0; i < inputs.size(); ++i) {
      if (!inputs[i].to || !gradients[i].defined()) continue;
      check_gradient(*node, i, inputs[i], gradients[i], pass.trap_nan);
      pass.receive(*inputs[i].to, std::move(gradients[i]));
    }
  }
  pass.finish_deferred();
}

const Tensor& Backward::grad() {
  add_up(grad_, summand_);
  return grad_;
}

bool Backward::grad_is_one() const {
  return pass_.one.defined() && !summand_.defined() && grad_.raw() == pass_.one.raw();
}

Tensor Backward::reuse_grad() { return grad().unshared() ? grad_ : empty_like(grad_); }

Tensor Backward::target(const Tensor& input) {
  if (!input.requires_grad()) return {};
  History& history = *input.impl()->history;
  if (!history.sink.defined() || history.reached) return empty_like(input);
  history.reached = true;  // by the closure, which will write it; all that comes later is added
  return history.sink;
}

bool Backward::may_defer(const Tensor& input, const Tensor& target) const {
  if (pass_.trap_nan || !input.requires_grad()) return false;
  const Tensor& sink = input.impl()->history->sink;
  return sink.defined() && sink.raw() == target.raw();
}

std::unique_ptr<Deferred>& Backward::deferred(std::type_index type) { return pass_.deferred[type]; }

Tensor Backward::accumulated(const Tensor& input) {
  History& history = *input.impl()->history;
  pass_.added_in_place.push_back(&history);
  if (history.sink.defined()) {
    pass_.finish_deferred();
    if (!std::exchange(history.reached, true)) fill_zero(history.sink);
    return history.sink;
  }
  Tensor none;
  Tensor &sum = history.node ? pass_.entry(history).gradient : history.grad,
         &summand = history.node ? pass_.entry(history).summand : none;
  add_up(sum, summand);
  if (!sum.defined()) {
    sum = Tensor::zeros(input.shape(), input.dtype(), input.device());
  } else if (!sum.unshared()) {
    Tensor own = empty_like(sum);
    copy_into(own, sum);
    sum = std::move(own);
  }
  return sum;
}

bool gradients_enabled() { return recording; }
NoGrad::NoGrad() : previous_(std::exchange(recording, false)) {}
NoGrad::~NoGrad() { recording = previous_; }

std::vector<std::string> recorded_ops() {
  const std::lock_guard lock(ops_mutex);
  return {ops_seen.begin(), ops_seen.end()};
}
}  // namespace nn
