// The flat arenas, initial values, and the optimizer on top of them.
#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>
#include <limits>

#include "kernels/core/memory.h"
#include "nn/layers.h"
#include "nn/optimizer.h"
#include "nn/step_graph.h"

namespace nn_test {
namespace {

using namespace nn;
using Floats = std::vector<float>;

struct Model {
  ParameterArena arena;
  Conv2d conv{arena, "encoder.conv0", 3, 8, 5, {2, Activation::leaky_relu, 0.1f}};
  Dense dense{arena, "inter.dense", 32, 5};
  SeparableConv2d separable{
      arena, "encoder.separable0", 20, 12, 5, {2, Activation::leaky_relu, 0.f}, {Init::he_uniform}};
  std::size_t correction = arena.add("correction", {8, 3, 3, 24}, {Init::fan_in_uniform, 0.2f});
  std::size_t noise = arena.add("noise", {1000, 3}, {Init::normal, 0.25f});
};

TEST(Parameters, PiecesAreAlignedAndShareTheArenas) {
  Model model;
  model.arena.allocate(Device::host, DType::bf16, 7);
  std::int64_t end = 0, count = 0;
  for (const Parameter& p : model.arena.parameters()) {
    EXPECT_EQ(p.offset % 64, 0) << p.name;
    EXPECT_GE(p.offset, end) << p.name;
    end = p.offset + p.shape.numel();
    count += p.shape.numel();
    EXPECT_EQ(p.master.data<float>(), model.arena.master().data<float>() + p.offset);
    EXPECT_EQ(p.value.data<kernels::bf16>(),
              model.arena.working().data<kernels::bf16>() + p.offset);
    EXPECT_EQ(p.gradient.data<kernels::bf16>(),
              model.arena.gradients().data<kernels::bf16>() + p.offset);
    EXPECT_EQ(p.moment1.data<float>(), model.arena.moment1().data<float>() + p.offset);
    EXPECT_EQ(p.moment2.data<float>(), model.arena.moment2().data<float>() + p.offset);
    EXPECT_TRUE(p.value.requires_grad());
  }
  EXPECT_LE(end, model.arena.size());
  EXPECT_EQ(model.arena.size() % 64, 0);
  EXPECT_EQ(model.arena.count(), count);
  EXPECT_EQ(model.arena.find("inter.dense.weight")->shape, (Shape{5, 32}));
  EXPECT_EQ(model.arena.find("encoder.conv0.weight")->shape, (Shape{8, 5, 5, 3}));
  EXPECT_EQ(model.arena.find("nobody"), nullptr);
}

TEST(Parameters, F32WorksOnTheMasterItself) {
  Model model;
  model.arena.allocate(Device::host, DType::f32, 7);
  EXPECT_EQ(model.arena.working().raw(), model.arena.master().raw());
}

TEST(Parameters, BeginAsKerasHasThem) {
  Model model;
  model.arena.allocate(Device::host, DType::f32, 7);
  const auto values = [&](const char* name) {
    return model.arena.find(name)->master.to_host<float>();
  };
  const auto check_uniform = [](const Floats& v, double limit) {
    double low = 0, high = 0, squares = 0;
    for (const float x : v) {
      low = std::min<double>(low, x);
      high = std::max<double>(high, x);
      squares += double(x) * x;
    }
    EXPECT_LE(std::max(-low, high), limit);
    EXPECT_GT(std::min(-low, high), 0.9 * limit);
    EXPECT_NEAR(std::sqrt(squares / static_cast<double>(v.size())), limit / std::sqrt(3),
                0.15 * limit);
  };
  check_uniform(values("encoder.conv0.weight"), std::sqrt(6.0 / (25 * 3)));  // He: fan_in = K*K*I
  check_uniform(values("inter.dense.weight"), std::sqrt(6.0 / (32 + 5)));    // Glorot
  check_uniform(values("encoder.separable0.depthwise.weight"),
                std::sqrt(6.0 / (25 * 20)));  // Keras counts all channels of the filter as inputs
  check_uniform(values("encoder.separable0.pointwise.weight"), std::sqrt(6.0 / 20));
  check_uniform(values("correction"),
                std::sqrt(3 * 0.2 / (9 * 24)));  // VarianceScaling(0.2, fan_in, uniform)
  EXPECT_EQ(values("encoder.conv0.bias"), Floats(8, 0.f));
  double sum = 0, squares = 0;
  for (const float x : values("noise")) {
    sum += x;
    squares += double(x) * x;
  }
  EXPECT_NEAR(sum / 3000, 0, 0.02);
  EXPECT_NEAR(std::sqrt(squares / 3000), 0.25, 0.01);
}

TEST(Parameters, ArePinnedBySeedAndIndexInEveryDtype) {
  const auto master = [](DType dtype, std::uint64_t seed) {
    Model model;
    model.arena.allocate(Device::host, dtype, seed);
    return model.arena.master().to(DType::f32).to_host<float>();
  };
  const Floats first = master(DType::f32, 7);
  EXPECT_EQ(master(DType::f32, 7), first);
  EXPECT_EQ(master(DType::bf16, 7), first);
  EXPECT_EQ(master(DType::f64, 7), first);
  EXPECT_NE(master(DType::f32, 8), first);
  Model model;
  model.arena.allocate(Device::host, DType::bf16, 7);
  for (const Parameter& p : model.arena.parameters())
    for (std::int64_t i = 0; i < p.shape.numel(); ++i)
      ASSERT_EQ(p.value.data<kernels::bf16>()[i].bits,
                kernels::bf16(p.master.data<float>()[i]).bits);
}

TEST(Parameters, PaddingAndMomentsAreZero) {
  Model model;
  model.arena.allocate(Device::host, DType::f32, 7);
  std::vector<bool> used(static_cast<std::size_t>(model.arena.size()));
  for (const Parameter& p : model.arena.parameters())
    for (std::int64_t i = 0; i < p.shape.numel(); ++i)
      used[static_cast<std::size_t>(p.offset + i)] = true;
  for (const Tensor& arena : {model.arena.master(), model.arena.gradients()}) {
    const Floats v = arena.to_host<float>();
    for (std::size_t i = 0; i < v.size(); ++i) ASSERT_TRUE(used[i] || v[i] == 0);
  }
  EXPECT_EQ(model.arena.moment1().to_host<float>(), Floats(used.size(), 0.f));
  EXPECT_EQ(model.arena.moment2().to_host<float>(), Floats(used.size(), 0.f));
}

TEST(Parameters, GradientsLandInTheArenaAndStartAnewAfterZeroing) {
  Model model;
  model.arena.allocate(Device::host, DType::f32, 7);
  const Tensor x = Tensor::from<float>(Floats(32, 1.f), {1, 32});
  const Parameter& weight = *model.arena.find("inter.dense.weight");
  for (int round = 0; round < 2; ++round) {
    model.arena.zero_gradients();
    EXPECT_EQ(weight.gradient.to_host<float>(), Floats(5 * 32, 0.f));
    backward(sum(model.dense(x)));
    EXPECT_EQ(weight.gradient.to_host<float>(), Floats(5 * 32, 1.f));
    EXPECT_EQ(model.arena.find("inter.dense.bias")->gradient.to_host<float>(), Floats(5, 1.f));
    EXPECT_EQ(model.arena.find("encoder.conv0.weight")->gradient.to_host<float>(),
              Floats(8 * 25 * 3, 0.f))
        << "nothing reached it";
  }
  backward(sum(model.dense(x)));  // without zeroing: added
  EXPECT_EQ(weight.gradient.to_host<float>(), Floats(5 * 32, 2.f));
}

TEST(Parameters, AStepReplacesGradientsAndZeroesWhatNothingReached) {
  Model model;
  model.arena.allocate(Device::host, DType::f32, 7);
  Adam adam(model.arena, {}, 0.f);
  StepStateBlock state(Device::host, {});
  const Parameter& dense = *model.arena.find("inter.dense.weight");
  const Parameter& conv = *model.arena.find("encoder.conv0.weight");
  const Tensor row = Tensor::from<float>(Floats(32, 1.f), {1, 32}),
               image = Tensor::from<float>(Floats(8 * 8 * 3, 1.f), {1, 8, 8, 3});
  const auto step = [&](const Tensor& loss) {
    model.arena.begin_gradients();
    backward(loss);
    adam.begin_step(state);
    adam.step(state);
  };
  for (int round = 0; round < 2; ++round) {
    step(sum(model.dense(row)));
    EXPECT_EQ(dense.gradient.to_host<float>(), Floats(5 * 32, 1.f)) << "replaced, not added";
    EXPECT_EQ(conv.gradient.to_host<float>(), Floats(8 * 25 * 3, 0.f))
        << "the conv's turn was before";
    step(sum(model.conv(image)));
    EXPECT_EQ(dense.gradient.to_host<float>(), Floats(5 * 32, 0.f));
    EXPECT_NE(conv.gradient.to_host<float>(), Floats(8 * 25 * 3, 0.f));
  }
}

// --- Adam, against a loop in double

struct AdamCase {
  DType dtype;
  float weight_decay, max_norm;
};
class AdamTest : public testing::TestWithParam<AdamCase> {};
INSTANTIATE_TEST_SUITE_P(Cases, AdamTest,
                         testing::Values(AdamCase{DType::f32, 0, 0},
                                         AdamCase{DType::f32, 0.01f, 0.5f},
                                         AdamCase{DType::bf16, 0.01f, 0.5f},
                                         AdamCase{DType::f64, 0, 0.5f}));

TEST_P(AdamTest, EqualsALoopInDouble) {
  const AdamCase& c = GetParam();
  ParameterArena arena;
  arena.add("p", {100}, {Init::normal, 1.f});
  arena.allocate(Device::host, c.dtype, 3);
  const AdamOptions options{0.9f, 0.99f, 1e-7f, c.weight_decay};
  Adam adam(arena, options, c.max_norm);
  StepStateBlock state(Device::host, {.learning_rate = 0.01f});

  std::vector<double> w(100), m(100), v(100);
  const Floats start = arena.master().to(DType::f32).to_host<float>();
  std::copy_n(start.begin(), 100, w.begin());
  for (int step = 1; step <= 10; ++step) {
    Floats gradient(100);
    double squares = 0;
    for (std::size_t i = 0; i < 100; ++i) {
      gradient[i] = static_cast<float>(
          kernels::bf16(std::sin(static_cast<float>(i) * 0.7f + static_cast<float>(step))));
      squares += double(gradient[i]) * gradient[i];
    }
    const Tensor converted = Tensor::from<float>(gradient, {100}).to(c.dtype);
    kernels::copy(arena.gradients().raw(), Device::host, converted.raw(), Device::host,
                  100 * size_of(c.dtype));
    adam.begin_step(state);
    adam.step(state);

    const double norm = std::sqrt(squares),
                 clip = c.max_norm > 0 ? std::min(1.0, c.max_norm / norm) : 1.0;
    EXPECT_NEAR(state.read().gradient_norm, norm, 1e-5 * norm);
    EXPECT_NEAR(state.read().clip_factor, clip, 1e-5);
    EXPECT_EQ(state.read().step, static_cast<std::uint64_t>(step));
    for (std::size_t i = 0; i < 100; ++i) {
      const double g = clip * gradient[i], b1 = options.beta1, b2 = options.beta2;
      m[i] = b1 * m[i] + (1 - b1) * g;
      v[i] = b2 * v[i] + (1 - b2) * g * g;
      const double mean = m[i] / (1 - std::pow(b1, step)), square = v[i] / (1 - std::pow(b2, step));
      w[i] -= 0.01f * (mean / (std::sqrt(square) + options.epsilon) + c.weight_decay * w[i]);
    }
  }
  const Floats master = arena.master().to(DType::f32).to_host<float>(),
               working = arena.working().to(DType::f32).to_host<float>();
  for (std::size_t i = 0; i < 100; ++i) {
    EXPECT_NEAR(master[i], w[i], 2e-6) << i;
    const float copy =
        c.dtype == DType::bf16 ? static_cast<float>(kernels::bf16(master[i])) : master[i];
    EXPECT_EQ(working[i], copy);
  }
}

TEST(Adam, LeavesEverythingAloneWhereAGradientIsNotFinite) {
  for (const float bad :
       {std::numeric_limits<float>::infinity(), std::numeric_limits<float>::quiet_NaN()}) {
    ParameterArena arena;
    arena.add("p", {300}, {Init::normal, 1.f});
    arena.allocate(Device::host, DType::f32, 3);
    const Floats before = arena.master().to_host<float>();
    arena.gradients().data<float>()[177] = bad;
    Adam adam(arena, {}, 1.f);
    StepStateBlock state(Device::host, {});
    adam.begin_step(state);
    adam.step(state);
    EXPECT_EQ(arena.master().to_host<float>(), before);
    EXPECT_EQ(arena.moment1().to_host<float>(), Floats(before.size(), 0.f));
    EXPECT_EQ(state.read().finite, 0u);
    EXPECT_EQ(state.read().skipped, 1u);
    arena.zero_gradients();
    arena.gradients().data<float>()[3] = 1;
    adam.begin_step(state);
    adam.step(state);
    EXPECT_EQ(state.read().finite, 1u);
    EXPECT_EQ(state.read().skipped, 1u);
    EXPECT_NE(arena.master().to_host<float>()[3], before[3]);
  }
}

TEST(StepGraph, RunsEagerlyOnTheHost) {
  StepGraph graph(Device::host);
  int runs = 0;
  for (int i = 0; i < 5; ++i) graph.run([&] { ++runs; });
  EXPECT_EQ(runs, 5);
  EXPECT_FALSE(graph.captured());
  EXPECT_EQ(graph.why_not(), "on the host there is nothing to capture");
}

TEST(StepGraph, ReplaysOnTheGpu) {
  if (!kernels::probe_cuda().available) GTEST_SKIP() << "no GPU: " << kernels::probe_cuda().reason;
  Model model;
  model.arena.allocate(Device::cuda, DType::f32, 7);
  Adam adam(model.arena, {}, 1.f);
  StepStateBlock state(Device::cuda, {.learning_rate = 0.01f});
  const Tensor x = Tensor::from<float>(Floats(32, 0.5f), {1, 32}, Device::cuda);
  StepGraph graph(Device::cuda);
  int runs = 0;
  for (int i = 0; i < 6; ++i) {
    graph.run([&] {
      ++runs;
      adam.begin_step(state);
      model.arena.zero_gradients();
      backward(sum(model.dense(x)));
      adam.step(state);
    });
  }
  EXPECT_TRUE(graph.captured()) << graph.why_not();
  EXPECT_EQ(runs, 3) << "two eager runs and one that is captured";
  EXPECT_EQ(state.read().step, 6u);
}

TEST(Parameters, ForInferenceThereAreWeightsOnly) {
  const auto bytes_of = [](ParameterArena::Use use, DType working) {
    const std::size_t before = kernels::pool_stats(Device::meta).live_bytes;
    ParameterArena arena;
    const std::size_t weight = arena.add("weight", {1024, 1024}, {Init::he_uniform});
    arena.allocate(Device::meta, working, 1, use);
    EXPECT_EQ(arena.value(weight).requires_grad(), use == ParameterArena::Use::training);
    EXPECT_EQ(arena.gradients().defined(), use == ParameterArena::Use::training);
    return kernels::pool_stats(Device::meta).live_bytes - before;
  };
  EXPECT_EQ(bytes_of(ParameterArena::Use::training, DType::f32),
            4 * bytes_of(ParameterArena::Use::inference, DType::f32));
  EXPECT_EQ(bytes_of(ParameterArena::Use::inference, DType::bf16), 6u << 20);
}

// Bias gradients wait for one launch at the end of backward(), but are complete before
// anything is added to them: a bias of two convolutions, two passes in a row, rows() of
// a bias.
struct WaitingSums : testing::TestWithParam<bool> {
  void SetUp() override {
    if (GetParam()) ::setenv("DOPPEL_TRAP_NAN", "1", 1);
  }
  void TearDown() override { ::unsetenv("DOPPEL_TRAP_NAN"); }
};

TEST_P(WaitingSums, AreCompleteBeforeTheyAreReadOrAddedTo) {
  ParameterArena arena;
  const std::size_t weight = arena.add("weight", {8, 3, 3, 3}, {Init::he_uniform}),
                    bias = arena.add("bias", {8}, {Init::he_uniform}),
                    other = arena.add("other", {8}, {Init::he_uniform});
  arena.allocate(Device::host, DType::f64, 3);
  const Tensor x = Tensor::from<double>(std::vector<double>(2 * 5 * 5 * 3, 0.5), {2, 5, 5, 3});
  const auto loss = [&](const Tensor& w, const Tensor& b, const Tensor& c) {
    const Conv2dOptions leaky{1, Activation::leaky_relu, 0.1f, 2}, sigmoid{1, Activation::sigmoid};
    // The backward pass goes from right to left: a waiting gradient is added to, then
    // read.
    const Tensor part = sum(b.rows(2, 5)), once = sum(conv2d(x, w, b, leaky)),
                 twice = sum(conv2d(x, w, b, sigmoid));
    const Tensor part_of_other = sum(c.rows(0, 3)), apart = sum(conv2d(x, w, c, leaky));
    return add(add(add(once, twice), add(apart, part)), part_of_other);
  };
  const auto leaf_like = [](const Tensor& t) {
    return t.detach().to(DType::f64).set_requires_grad(true);
  };
  const Tensor w = leaf_like(arena.value(weight)), b = leaf_like(arena.value(bias)),
               c = leaf_like(arena.value(other));
  arena.begin_gradients();
  for (int pass = 0; pass < 2; ++pass) {
    backward(loss(arena.value(weight), arena.value(bias), arena.value(other)));
    backward(loss(w, b, c));
  }
  arena.finish_gradients();
  const auto expect_equal = [](const Tensor& got, const Tensor& want) {
    const std::vector<double> g = got.to_host<double>(), v = want.to_host<double>();
    ASSERT_EQ(g.size(), v.size());
    for (std::size_t i = 0; i < g.size(); ++i) EXPECT_NEAR(g[i], v[i], 1e-12) << i;
  };
  expect_equal(arena.parameters()[weight].gradient, w.grad());
  expect_equal(arena.parameters()[bias].gradient, b.grad());
  expect_equal(arena.parameters()[other].gradient, c.grad());
}

INSTANTIATE_TEST_SUITE_P(Nn, WaitingSums, testing::Bool(),
                         [](const auto& trapped) { return trapped.param ? "Trapped" : "Plain"; });
}  // namespace
}  // namespace nn_test
