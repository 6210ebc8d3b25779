// The optimizer, its guard against gradients that are not finite, and random numbers.
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "bench/cases/reference.h"
#include "kernels/adam.h"
#include "kernels/random.h"
#include "kernels/reduce.h"
#include "tests/kernels/device_array.h"

namespace {

using namespace kernels;
using tests::host;
using tests::uniform_vector;

// Ten steps of the training loop (advance, norm, update, finish), some of them clipped,
// against the papers' formulas in double.
TEST(Adam, FollowsTheFormulaForTenSteps) {
  const std::int64_t n = 1000;
  const AdamOptions options{0.5f, 0.999f, 1e-7f, 0.01f};
  std::vector<double> reference = uniform_vector(n, -1, 1, 1), ref_m(n, 0.0), ref_v(n, 0.0);
  std::vector<float> weights(reference.begin(), reference.end()), m(n, 0.f), v(n, 0.f);
  for (std::size_t i = 0; i < weights.size(); ++i) reference[i] = double{weights[i]};
  std::vector<bf16> working(n);
  StepState state;
  state.learning_rate = 1e-3f;
  for (int step = 1; step <= 10; ++step) {
    const std::vector<double> drawn =
        uniform_vector(n, -0.1 * step, 0.1 * step, 100 + static_cast<unsigned>(step));
    std::vector<bf16> gradients(n);
    std::vector<double> exact(n);
    double squares = 0;
    for (std::size_t i = 0; i < drawn.size(); ++i) {
      gradients[i] = bf16(static_cast<float>(drawn[i]));
      exact[i] = double{static_cast<float>(gradients[i])};
      squares += exact[i] * exact[i];
    }
    advance_step<Host>(host(), &state, options);
    gradient_norm<Host, bf16>(host(), gradients.data(), n, 10.f, &state);
    adam_step<Host, bf16>(host(), weights.data(), working.data(), gradients.data(), m.data(),
                          v.data(), n, &state, options);
    finish_step<Host>(host(), &state);
    const double norm = std::sqrt(squares), clip = norm > 10 ? 10 / norm : 1;
    EXPECT_NEAR(state.gradient_norm, norm, 1e-5 * norm);
    EXPECT_NEAR(state.clip_factor, clip, 1e-5);
    bench::cases::reference::adam(
        {double{options.beta1}, double{options.beta2}, double{options.epsilon},
         double{options.weight_decay}, double{state.learning_rate}, clip,
         1 - std::pow(double{options.beta1}, step),
         std::sqrt(1 - std::pow(double{options.beta2}, step))},
        exact, reference, ref_m, ref_v);
  }
  EXPECT_EQ(state.step, 10u);
  EXPECT_EQ(state.skipped, 0u);
  for (std::size_t i = 0; i < weights.size(); ++i) {
    EXPECT_NEAR(weights[i], reference[i], 2e-6) << i;
    EXPECT_EQ(working[i].bits, bf16(weights[i]).bits) << i;
  }
}

// The first step moves every weight by the learning rate at any size of the gradient. A bias
// correction with a careless 1 - beta^t loses its digits at t = 1.
TEST(Adam, FirstStepIsTheLearningRate) {
  std::vector<float> weights(4, 1.f), m(4, 0.f), v(4, 0.f);
  const std::vector<float> gradients{1e-3f, -1e-3f, 10.f, -1e4f};
  StepState state;
  state.learning_rate = 0.25f;
  advance_step<Host>(host(), &state, {});
  adam_step<Host, float>(host(), weights.data(), nullptr, gradients.data(), m.data(), v.data(), 4,
                         &state, {});
  for (std::size_t i = 0; i < 4; ++i)
    EXPECT_NEAR(weights[i], gradients[i] > 0 ? 0.75f : 1.25f, 0.25f * (1e-7f / 1e-3f + 1e-5f));
}

TEST(Adam, LeavesEverythingAloneWhereAGradientIsNotFinite) {
  const float infinity = std::numeric_limits<float>::infinity();
  // The square of the last one overflows.
  for (const float bad : {infinity, -infinity, std::numeric_limits<float>::quiet_NaN(), 1e30f}) {
    const std::int64_t n = 70000;
    std::vector<float> gradients(n, 0.5f), weights(n, 1.f), m(n, 0.25f), v(n, 0.125f);
    gradients[69999] = bad;
    StepState state;
    advance_step<Host>(host(), &state, {});
    gradient_norm<Host, float>(host(), gradients.data(), n, 1.f, &state);
    adam_step<Host, float>(host(), weights.data(), nullptr, gradients.data(), m.data(), v.data(), n,
                           &state, {});
    finish_step<Host>(host(), &state);
    EXPECT_EQ(state.finite, 0u) << bad;
    EXPECT_EQ(state.skipped, 1u) << bad;
    EXPECT_EQ(weights, std::vector<float>(n, 1.f));
    EXPECT_EQ(m, std::vector<float>(n, 0.25f));
    EXPECT_EQ(v, std::vector<float>(n, 0.125f));
    gradients[69999] = 0.f;  // the next step is a fresh start
    advance_step<Host>(host(), &state, {});
    gradient_norm<Host, float>(host(), gradients.data(), n, 0.f, &state);
    finish_step<Host>(host(), &state);
    EXPECT_EQ(state.finite, 1u);
    EXPECT_EQ(state.skipped, 1u);
    EXPECT_EQ(state.step, 2u);
  }
}

// Known answers from the authors' distribution (Random123, kat_vectors).
TEST(Philox, KnownAnswers) {
  const auto expect = [](Philox::Block got, std::uint32_t a, std::uint32_t b, std::uint32_t c,
                         std::uint32_t d) {
    EXPECT_EQ(got.v[0], a);
    EXPECT_EQ(got.v[1], b);
    EXPECT_EQ(got.v[2], c);
    EXPECT_EQ(got.v[3], d);
  };
  expect(Philox::draw(0, 0, 0, 0, 0), 0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8);
  expect(Philox::draw(0xffffffffffffffffull, 0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff),
         0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd);
  expect(Philox::draw(0x299f31d0a4093822ull, 0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344),
         0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1);
}

struct Statistics {
  double mean, variance, skew, kurtosis, low, high;
};
Statistics statistics(const std::vector<float>& x) {
  Statistics s{0, 0, 0, 0, 1e9, -1e9};
  const double n = static_cast<double>(x.size());
  for (float v : x)
    s.mean += double{v} / n, s.low = std::min(s.low, double{v}),
                             s.high = std::max(s.high, double{v});
  for (float v : x) s.variance += std::pow(double{v} - s.mean, 2) / n;
  for (float v : x)
    s.skew += std::pow((double{v} - s.mean) / std::sqrt(s.variance), 3) / n,
        s.kurtosis += std::pow((double{v} - s.mean) / std::sqrt(s.variance), 4) / n;
  return s;
}

TEST(Random, HasTheRightMoments) {
  const std::int64_t n = 400000;
  std::vector<float> x(n);
  uniform<Host, float>(host(), x.data(), n, -1.f, 3.f, 5, 6);
  Statistics s = statistics(x);
  EXPECT_NEAR(s.mean, 1, 0.01);  // standard error 0.0018
  EXPECT_NEAR(s.variance, 16.0 / 12, 0.01);
  EXPECT_NEAR(s.kurtosis, 1.8, 0.02);
  EXPECT_GE(s.low, -1);
  EXPECT_LT(s.high, 3);
  normal<Host, float>(host(), x.data(), n, 2.f, 0.5f, 5, 7);
  s = statistics(x);
  EXPECT_NEAR(s.mean, 2, 0.005);
  EXPECT_NEAR(s.variance, 0.25, 0.003);
  EXPECT_NEAR(s.skew, 0, 0.03);
  EXPECT_NEAR(s.kurtosis, 3, 0.06);
}

// Each value depends on seed, stream and index alone: a longer array begins like a shorter one.
TEST(Random, CountersNotState) {
  std::vector<float> shorter(1001), longer(5000), other_stream(1001), other_seed(1001);
  normal<Host, float>(host(), shorter.data(), 1001, 0.f, 1.f, 11, 3);
  normal<Host, float>(host(), longer.data(), 5000, 0.f, 1.f, 11, 3);
  normal<Host, float>(host(), other_stream.data(), 1001, 0.f, 1.f, 11, 4);
  normal<Host, float>(host(), other_seed.data(), 1001, 0.f, 1.f, 12, 3);
  longer.resize(1001);
  EXPECT_EQ(shorter, longer);
  EXPECT_NE(shorter, other_stream);
  EXPECT_NE(shorter, other_seed);
  double correlation = 0;
  for (std::size_t i = 0; i < shorter.size(); ++i)
    correlation += double{shorter[i]} * double{other_stream[i]} / 1001;
  EXPECT_NEAR(correlation, 0, 0.15);
}
}  // namespace
