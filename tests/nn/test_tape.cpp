// Differentiation itself: accumulation, order, release, sinks, misuse. For the
// gradients of each op see test_op_gradients.cpp.
#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>
#include <limits>
#include <thread>

#include "nn/ops.h"

namespace nn_test {
namespace {

using namespace nn;
using Tensors = std::vector<Tensor>;

Tensor leaf(std::vector<float> values, Shape shape) {
  Tensor t = Tensor::from<float>(values, shape);
  return t.set_requires_grad(true);
}
Tensor leaf(std::vector<float> values) {
  return leaf(values, {static_cast<std::int64_t>(values.size())});
}
std::vector<float> grad(const Tensor& x) {
  return x.grad().defined() ? x.grad().to_host<float>() : std::vector<float>{};
}
using Floats = std::vector<float>;

template <class F> std::string message_of(F&& f, ErrorKind expected) {
  try {
    f();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), expected) << error.what();
    return error.what();
  }
  ADD_FAILURE() << "nothing was thrown";
  return "";
}

TEST(Tape, ChainsAndDiamondsAddUp) {
  const Tensor x = leaf({1, 2, 3});
  const Tensor a = scale(x, 2), b = scale(x, 3);
  backward(sum(add(scale(add(a, b), 5), a)));  // 5 * (2 + 3) + 2
  EXPECT_EQ(grad(x), (Floats{27, 27, 27}));
}

TEST(Tape, AnOperandUsedTwiceInOneOpCountsTwice) {
  const Tensor x = leaf({1, 2});
  backward(sum(add(x, x)));
  EXPECT_EQ(grad(x), (Floats{2, 2}));
  const Tensor y = leaf({1, 2}), z = scale(y, 1);
  backward(sum(add(add(z, z), add(z, z))));
  EXPECT_EQ(grad(y), (Floats{4, 4}));
}

// add passes the same gradient tensor to both operands; ops behind it may work in place
// only if no other branch holds it.
TEST(Tape, WorkingInPlaceNeverDisturbsAnotherBranch) {
  const Tensor a = leaf({1, -1}), b = leaf({-1, 1}), c = leaf({5, 5});
  const Tensor p = leaky_relu(a, 0.5f), q = scale(b, 3), r = add(p, q);
  backward(sum(add(add(r, r), scale(c, 7))));
  EXPECT_EQ(grad(a), (Floats{2, 1}));
  EXPECT_EQ(grad(b), (Floats{6, 6}));
  EXPECT_EQ(grad(c), (Floats{7, 7}));
}

TEST(Tape, TenThousandOpsDeep) {
  const Tensor x = leaf({1, 1});
  Tensor y = x;
  for (int i = 0; i < 10000; ++i) y = add(scale(y, 0.5f), scale(y, 0.5f));
  backward(sum(y));
  EXPECT_EQ(grad(x), (Floats{1, 1}));
}

TEST(Tape, ALongChainIsDroppedWithoutRecursion) {
  Tensor y = leaf({1});
  for (int i = 0; i < 60000; ++i) y = leaky_relu(y, 0.5f);
  y = Tensor();  // overflows the stack where destructors recurse
  SUCCEED();
}

TEST(Tape, RootsAreSummed) {
  const Tensor x = leaf({1, 2});
  const Tensor first = sum(scale(x, 2)), second = sum(scale(x, 10));
  backward(Tensors{first, second});
  EXPECT_EQ(grad(x), (Floats{12, 12}));
  const Tensor y = leaf({1}), root = sum(scale(y, 4));
  backward(Tensors{root, root});
  EXPECT_EQ(grad(y), Floats{8});
  const Tensor alone = leaf({3});
  backward(alone);  // a leaf that is its own root
  EXPECT_EQ(grad(alone), Floats{1});
}

TEST(Tape, LeavesAccumulateOverCalls) {
  Tensor x = leaf({1});
  backward(sum(scale(x, 2)));
  const Tensor kept = x.grad();
  backward(sum(scale(x, 3)));
  EXPECT_EQ(grad(x), Floats{5});
  EXPECT_EQ(kept.to_host<float>(), Floats{2});  // what was handed out stays what it was
  x.set_requires_grad(true);
  EXPECT_FALSE(x.grad().defined());
}

TEST(Tape, DetachAndNoGradStopGradients) {
  const Tensor x = leaf({2});
  backward(sum(add(scale(x, 3), scale(x, 5).detach())));
  EXPECT_EQ(grad(x), Floats{3});
  Tensor y;
  {
    const NoGrad no_grad;
    EXPECT_FALSE(gradients_enabled());
    const NoGrad nested;
    y = scale(x, 2);
  }
  EXPECT_TRUE(gradients_enabled());
  EXPECT_FALSE(y.requires_grad());
  EXPECT_EQ(y.node(), nullptr);
  EXPECT_FALSE(add(y, y).requires_grad());
}

TEST(Tape, NothingIsComputedForOperandsThatWantNoGradient) {
  const Tensor frozen = Tensor::from<float>(Floats{1, 2}, {2}), x = leaf({1, 2});
  backward(sum(add(scale(frozen, 2), x)));
  EXPECT_FALSE(frozen.grad().defined());
  EXPECT_EQ(scale(frozen, 2).node(), nullptr);
  EXPECT_EQ(grad(x), (Floats{1, 1}));
}

TEST(Tape, ASecondBackwardThroughAFreedGraphSaysSo) {
  const Tensor x = leaf({1}), y = scale(x, 2), loss = sum(y);
  backward(loss);
  EXPECT_EQ(message_of([&] { backward(loss); }, ErrorKind::usage),
            "backward: the graph behind this sum was freed by an earlier backward(); run the "
            "forward pass again");
  EXPECT_NE(message_of([&] { backward(sum(y)); }, ErrorKind::usage).find("behind this scale"),
            std::string::npos);
}

TEST(Tape, RefusesBadRoots) {
  const Tensor x = leaf({1, 2});
  EXPECT_EQ(message_of([&] { backward(scale(x, 2)); }, ErrorKind::usage),
            "backward: a root must have one element, got [2]");
  message_of([&] { backward(Tensor()); }, ErrorKind::usage);
  message_of([&] { backward(Tensor::zeros({1}, DType::f32, Device::host)); }, ErrorKind::usage);
  message_of([&] { scale(x, 2).set_requires_grad(true); }, ErrorKind::usage);
}

TEST(Tape, RefusesWrongGradients) {
  const Tensor x = leaf({1, 2});
  const auto with = [&](BackwardFn closure) {
    return sum(
        record(Tensor::zeros({2}, DType::f32, Device::host), "test_op", {x}, std::move(closure)));
  };
  EXPECT_EQ(message_of(
                [&] {
                  backward(with([](Backward&) -> Tensors {
                    return {Tensor::zeros({3}, DType::f32, Device::host)};
                  }));
                },
                ErrorKind::failure),
            "backward of test_op: gradient of input 0 is [3] of f32, the input is [2] of f32");
  message_of(
      [&] {
        backward(with(
            [](Backward&) -> Tensors { return {Tensor::zeros({2}, DType::f64, Device::host)}; }));
      },
      ErrorKind::failure);
  EXPECT_EQ(message_of([&] { backward(with([](Backward&) -> Tensors { return {}; })); },
                       ErrorKind::failure),
            "backward of test_op: 0 gradients returned for 1 inputs");
  // Only backward() makes a Backward, so nothing outside a closure can take a target.
  static_assert(!std::is_default_constructible_v<Backward> &&
                !std::is_copy_constructible_v<Backward>);
}

TEST(Tape, AThrowingClosureLeavesTheTapeUsable) {
  const Tensor x = leaf({1});
  const Tensor bad = record(Tensor::zeros({1}, DType::f32, Device::host), "test_op", {x},
                            [](Backward&) -> Tensors { throw std::runtime_error("no"); });
  EXPECT_THROW(backward(bad), std::runtime_error);
  EXPECT_TRUE(gradients_enabled());
  backward(sum(scale(x, 2)));
  EXPECT_EQ(grad(x), Floats{2});
}

TEST(Tape, MemoryIsReleasedAsNodesAreConsumed) {
  const auto live = [] { return kernels::pool_stats(Device::host).live_bytes; };
  const std::int64_t n = 1 << 20;  // 4 MiB a tensor
  Tensor x = Tensor::zeros({n}, DType::f32, Device::host);
  x.set_requires_grad(true);
  const std::size_t before = live();
  const Tensor loss = sum(scale(scale(scale(x, 2), 3), 4));
  EXPECT_LT(live() - before, 4096u)
      << "scale and sum need no activation for their gradient, yet one is kept";
  const Tensor other = sum(leaky_relu(leaky_relu(x, 0.1f), 0.2f));
  EXPECT_LT(live() - before, 2u * n * 4 + 4096) << "leaky_relu needs its output only";
  backward(Tensors{loss, other});
  EXPECT_LT(live() - before, 1u * n * 4 + 4096)
      << "only x's gradient is left, though the losses are still held";
}

TEST(Tape, ThreadsHaveGraphsOfTheirOwn) {
  const Tensor outer = leaf({1});
  const NoGrad here;
  std::vector<std::thread> threads;
  std::vector<Floats> results(4);
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&results, t] {
      const Tensor x = leaf({1, 1});
      for (int i = 0; i < 50; ++i) backward(sum(scale(scale(x, 2), static_cast<float>(t))));
      results[static_cast<std::size_t>(t)] = grad(x);
    });
  }
  for (std::thread& thread : threads) thread.join();
  for (int t = 0; t < 4; ++t)
    EXPECT_EQ(results[static_cast<std::size_t>(t)], Floats(2, 100.f * static_cast<float>(t)));
}

// --- rows of a tensor

TEST(Rows, PartsAddIntoOneGradientOfTheWhole) {
  const Tensor x = leaf({1, 2, 3, 4, 5, 6}, {3, 2});
  const Tensor y = scale(x, 1);
  backward(Tensors{sum(scale(y.rows(0, 1), 2)), sum(scale(y.rows(1, 3), 3)), sum(y.rows(0, 2)),
                   sum(scale(y, 10))});
  EXPECT_EQ(grad(x), (Floats{13, 13, 14, 14, 13, 13}));
}

TEST(Rows, OfALeaf) {
  const Tensor x = leaf({1, 2, 3, 4}, {4, 1});
  backward(Tensors{sum(scale(x.rows(3, 4), 2)), sum(x)});
  EXPECT_EQ(grad(x), (Floats{1, 1, 1, 3}));
  const Tensor kept = x.grad();
  backward(sum(x.rows(0, 1)));
  EXPECT_EQ(grad(x), (Floats{2, 1, 1, 3}));
  EXPECT_EQ(kept.to_host<float>(), (Floats{1, 1, 1, 3}))
      << "a gradient that was handed out changed";
}

TEST(Rows, OfALeafWithASink) {
  Tensor x = leaf({1, 2}, {2, 1});
  const Tensor sink = Tensor::from<float>(Floats{77, 77}, {2, 1});
  x.set_grad_sink(sink);
  backward(sum(scale(x.rows(1, 2), 4)));
  EXPECT_EQ(sink.to_host<float>(), (Floats{0, 4}));
}

// Another branch may hold the gradient so far: it must be copied before rows are added
// to it.
TEST(Rows, AddToAGradientThatIsShared) {
  const Tensor a = leaf({1, 2}, {2, 1}), b = leaf({1, 2}, {2, 1}), x = scale(a, 1), z = scale(b, 1);
  const Tensor part =
      sum(scale(x.rows(0, 1), 5));  // recorded before add, so its gradient arrives after add's
  backward(Tensors{part, sum(add(x, z))});
  EXPECT_EQ(grad(a), (Floats{6, 1}));
  EXPECT_EQ(grad(b), (Floats{1, 1}));
}

TEST(Rows, ManyPartsTakeOneGradientOfTheWhole) {
  const std::int64_t n = 1 << 21;  // 8 MiB
  Tensor x = Tensor::zeros({16, n / 16}, DType::f32, Device::host);
  x.set_requires_grad(true);
  const Tensor y = scale(x, 2);
  std::vector<Tensor> roots;
  for (int i = 0; i < 16; ++i) roots.push_back(sum(y.rows(i, i + 1)));
  const std::size_t before = kernels::pool_stats(Device::host).live_bytes,
                    peak = kernels::pool_stats(Device::host).peak_bytes;
  backward(roots);
  EXPECT_LE(kernels::pool_stats(Device::host).peak_bytes, std::max(peak, before + 3u * n * 4))
      << "16 parts made 16 gradients of the whole";
}

// --- sinks

struct Sinks : testing::Test {
  Tensor weight = leaf({1, 2, 3, 4}, {2, 2}),
         sink = Tensor::from<float>(Floats{9, 9, 9, 9}, {2, 2});
  Tensor x = Tensor::from<float>(Floats{1, 2}, {1, 2});
  void SetUp() override { weight.set_grad_sink(sink); }
};

TEST_F(Sinks, TheFirstContributionIsWrittenInPlaceAndTheNextAreAdded) {
  EXPECT_FALSE(weight.grad().defined()) << "nothing has reached it";
  backward(sum(dense(x, weight, {})));
  EXPECT_EQ(sink.to_host<float>(), (Floats{1, 2, 1, 2}));
  EXPECT_EQ(weight.grad().raw(), sink.raw());
  backward(Tensors{sum(dense(x, weight, {})), sum(dense(x, weight, {}))});
  EXPECT_EQ(sink.to_host<float>(), (Floats{3, 6, 3, 6}));
}

TEST_F(Sinks, TargetIsTheSinkOnceAndFreshMemoryAfterwards) {
  std::vector<void*> targets;
  const auto op = [&] {
    return sum(record(
        Tensor::zeros({2, 2}, DType::f32, Device::host), "test_op", {weight}, [&](Backward& ctx) {
          const Tensor target = ctx.target(weight);
          targets.push_back(target.raw());
          kernels::copy(target.raw(), Device::host, ctx.grad().raw(), Device::host, 16);
          return ctx.gradients(target);
        }));
  };
  backward(Tensors{op(), op()});
  ASSERT_EQ(targets.size(), 2u);
  EXPECT_EQ(targets[0], sink.raw()) << "no copy for the first";
  EXPECT_NE(targets[1], sink.raw());
  EXPECT_EQ(sink.to_host<float>(), (Floats{2, 2, 2, 2}));
}

TEST_F(Sinks, OneTensorAsTwoOperands) {  // y = W W' of a square W: both gradients go to one place
  Tensor square = leaf({1, 2, 3, 4}, {2, 2}), plain = leaf({1, 2, 3, 4}, {2, 2});
  const Tensor place = Tensor::from<float>(Floats{9, 9, 9, 9}, {2, 2});
  square.set_grad_sink(place);
  backward(sum(dense(square, square, {})));
  backward(sum(dense(plain, plain, {})));
  EXPECT_EQ(place.to_host<float>(), grad(plain));
  EXPECT_EQ(grad(plain), (Floats{8, 12, 8, 12}));
}

TEST_F(Sinks, GradientsThatWereNotWrittenInPlaceAreCopied) {
  backward(sum(scale(weight, 3)));
  EXPECT_EQ(sink.to_host<float>(), (Floats{3, 3, 3, 3}));
  backward(sum(scale(weight, 3)));
  EXPECT_EQ(sink.to_host<float>(), (Floats{6, 6, 6, 6}));
}

TEST_F(Sinks, MustMatchTheirLeaf) {
  message_of([&] { weight.set_grad_sink(Tensor::zeros({4}, DType::f32, Device::host)); },
             ErrorKind::usage);
  message_of(
      [&] {
        weight.set_grad_sink(Tensor::zeros({2, 2}, DType::bf16, Device::host));
      },
      ErrorKind::usage);
  message_of([&] { x.set_grad_sink(x); }, ErrorKind::usage);
}

// --- deferred work

// Writes its gradients when it finishes, and counts how often it does.
struct LateCopies final : Deferred {
  std::vector<std::pair<Tensor, Tensor>> pairs;  // from, to
  static inline int finished = 0;
  void finish() override {
    for (const auto& [from, to] : pairs)
      kernels::copy(to.raw(), Device::host, from.raw(), Device::host, 16);
    ++finished;
  }
};

struct DeferredWork : Sinks {
  Tensor other = leaf({1, 2, 3, 4}, {2, 2}),
         other_sink = Tensor::from<float>(Floats{9, 9, 9, 9}, {2, 2});
  std::vector<bool> deferred;
  void SetUp() override {
    Sinks::SetUp();
    other.set_grad_sink(other_sink);
    LateCopies::finished = 0;
  }
  // The identity; its gradient is written late if allowed.
  Tensor late(const Tensor& of) {
    return record(of.detach(), "test_late", {of}, [this, of](Backward& ctx) {
      const Tensor target = ctx.target(of);
      LateCopies* work = ctx.defer<LateCopies>(of, target);
      deferred.push_back(work != nullptr);
      if (work != nullptr) work->pairs.emplace_back(ctx.grad(), target);
      else kernels::copy(target.raw(), Device::host, ctx.grad().raw(), Device::host, 16);
      return ctx.gradients(target);
    });
  }
};

TEST_F(DeferredWork, OfManyNodesIsFinishedOnce) {
  backward(sum(add(late(weight), scale(late(other), 3))));
  EXPECT_EQ(LateCopies::finished, 1);
  EXPECT_EQ(sink.to_host<float>(), (Floats{1, 1, 1, 1}));
  EXPECT_EQ(other_sink.to_host<float>(), (Floats{3, 3, 3, 3}));
}

TEST_F(DeferredWork, IsFinishedBeforeAnythingIsAdded) {
  backward(sum(add(late(weight), scale(late(weight), 3))));  // the second is fresh memory, added
  EXPECT_EQ(deferred, (std::vector<bool>{true, false}));
  EXPECT_EQ(LateCopies::finished, 1);
  EXPECT_EQ(sink.to_host<float>(), (Floats{4, 4, 4, 4}));
  backward(sum(add(weight.rows(0, 2), late(other))));
  EXPECT_EQ(sink.to_host<float>(), (Floats{5, 5, 5, 5}));
}

TEST_F(DeferredWork, IsFinishedBeforeRowsAddToIt) {
  const Tensor rows = weight.rows(0, 1);  // recorded first, so its gradient arrives last
  backward(Tensors{sum(rows), sum(late(weight))});
  EXPECT_EQ(deferred, std::vector<bool>{true});
  EXPECT_EQ(sink.to_host<float>(), (Floats{2, 2, 1, 1}));
}

TEST_F(DeferredWork, IsRefusedWithoutASinkAndUnderTheNanTrap) {
  const Tensor plain = leaf({1, 2, 3, 4}, {2, 2});
  backward(sum(late(plain)));
  ::setenv("DOPPEL_TRAP_NAN", "1", 1);
  backward(sum(late(weight)));
  ::unsetenv("DOPPEL_TRAP_NAN");
  EXPECT_EQ(deferred, (std::vector<bool>{false, false}));
  EXPECT_EQ(grad(plain), (Floats{1, 1, 1, 1}));
  EXPECT_EQ(sink.to_host<float>(), (Floats{1, 1, 1, 1}));
}

// --- the NaN trap

struct TrapNan : testing::Test {
  void SetUp() override { ::setenv("DOPPEL_TRAP_NAN", "1", 1); }
  void TearDown() override { ::unsetenv("DOPPEL_TRAP_NAN"); }
};

TEST_F(TrapNan, NamesTheFirstOpThatReturnsOne) {
  const Tensor x = leaf({1, 2});
  const auto loss = [&] {
    const Tensor y = scale(x, std::numeric_limits<float>::infinity());  // its gradient is infinite
    return sum(leaky_relu(scale(y, 2), 0.1f));
  };
  const std::string message = message_of([&] { backward(loss()); }, ErrorKind::not_finite);
  EXPECT_EQ(message,
            "backward of scale: the gradient of its input 0 [2] is not finite (DOPPEL_TRAP_NAN)");
  ::setenv("DOPPEL_TRAP_NAN", "0", 1);
  EXPECT_NO_THROW(backward(loss()));
  ::setenv("DOPPEL_TRAP_NAN", "1", 1);
  const Tensor fine = leaf({1, 2});
  EXPECT_NO_THROW(backward(sum(scale(fine, 2))));
}
}  // namespace
}  // namespace nn_test
