// The budget of a model's convolutions, with steps and measurements that only pretend.
#include "kernels/conv/plans/tuning.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

using kernels::ConvTuning;
using kernels::Direction;
using kernels::same_padding;
using kernels::TuningLimits;
using kernels::cudnn::MathType;
using kernels::cudnn::Problem;

namespace {

// `count` convolutions, the smallest first, as an encoder's are not.
std::vector<Problem> problems(int count) {
  std::vector<Problem> all;
  for (int i = 0; i < count; ++i)
    all.push_back(
        {same_padding(16, 16, 16, 8 * (i + 1), 64, 3, 1), Direction::forward, MathType::bf16});
  return all;
}

// A training whose convolutions each take `need_ms` to be measured to the end.
struct Training {
  std::vector<Problem> convs;
  double need_ms = 400;
  TuningLimits limits = {};
  ConvTuning tuning{limits};
  std::vector<std::vector<int>> measured = {};  // by step: indices into convs
  double spent = 0, first_step_ms = 0;

  void step() {
    const ConvTuning::Step running(tuning);
    measured.emplace_back();
    for (std::size_t i = 0; i < convs.size(); ++i) {
      ConvTuning* const current = ConvTuning::current();
      if (done(static_cast<int>(i))) continue;
      const double ms = current->time_for(convs[i]);
      if (ms <= 0) continue;
      const double took = std::min(ms, need_ms);
      spent += took;
      current->finished(convs[i], took);
      measured.back().push_back(static_cast<int>(i));
    }
    if (measured.size() == 1) first_step_ms = spent;
  }
  bool done(int i) const {
    return std::ranges::any_of(measured,
                               [&](const auto& step) { return std::ranges::count(step, i) > 0; });
  }
  int run() {  // until it is settled; the number of steps
    int steps = 0;
    while (!tuning.settled() && steps < 1000) step(), ++steps;
    return steps;
  }
};

TEST(ConvTuning, TheFirstStepMeasuresNothing) {
  Training training{problems(33)};
  EXPECT_FALSE(training.tuning.settled());
  training.step();
  EXPECT_EQ(training.spent, 0);
  EXPECT_FALSE(training.tuning.settled());
  EXPECT_EQ(training.tuning.waiting(), 33u);
}

TEST(ConvTuning, TheLargestComeFirst) {
  Training training{problems(33)};
  training.run();
  int smallest_before = 33;
  for (std::size_t step = 1; step < training.measured.size(); ++step) {
    const std::vector<int>& now = training.measured[step];
    ASSERT_FALSE(now.empty());
    EXPECT_LT(*std::ranges::max_element(now), smallest_before);
    smallest_before = *std::ranges::min_element(now);
  }
  EXPECT_EQ(smallest_before, 0) << "all had their turn";
}

// `original` has 33 convolutions, villain about 100. Together with the first step their
// measurements end in the time that a start may take, however long one would run.
TEST(ConvTuning, TheBudgetIsTheModels) {
  for (const double need_ms : {50.0, 400.0, 1500.0, 1e6}) {
    for (const auto& [count, most_ms] : {std::pair{33, 36000.0}, std::pair{110, 93000.0}}) {
      Training training{problems(count), need_ms};
      const int steps = training.run();
      EXPECT_LE(training.spent, most_ms) << need_ms;
      EXPECT_LE(steps, 14) << need_ms;
      EXPECT_TRUE(training.done(count - 1)) << "the largest";
      if (need_ms < 800) { EXPECT_EQ(training.tuning.waiting(), 0u) << need_ms; }
    }
  }
}

TEST(ConvTuning, WhatIsLeftOverKeepsItsPlan) {
  Training training{problems(20), 1e6, {.together = 5000}};
  training.run();
  EXPECT_GT(training.tuning.waiting(), 0u);
  EXPECT_FALSE(training.done(0)) << "the smallest";
  for (int i = 12; i < 20; ++i) EXPECT_TRUE(training.done(i)) << i;
  training.step();
  EXPECT_TRUE(training.measured.back().empty());
  EXPECT_TRUE(training.tuning.settled());
}

TEST(ConvTuning, NoConvolutionsWaitForNothing) {
  Training training{{}};
  EXPECT_EQ(training.run(), 1);
}

TEST(ConvTuning, AConvolutionMetLateIsMeasured) {
  Training training{problems(4)};
  training.run();
  training.convs = problems(5);
  training.step();
  EXPECT_FALSE(training.tuning.settled());
  training.run();
  EXPECT_TRUE(training.done(4));
}

// A preview between two steps, or a conversion, has nothing to wait for.
TEST(ConvTuning, OutsideOfAStepThereIsNone) {
  EXPECT_EQ(ConvTuning::current(), nullptr);
  ConvTuning tuning;
  {
    const ConvTuning::Step step(tuning);
    EXPECT_EQ(ConvTuning::current(), &tuning);
  }
  EXPECT_EQ(ConvTuning::current(), nullptr);
}

TEST(ConvTuning, RunUntilTuned) {
  const std::vector<Problem> convs = problems(3);
  std::vector<Problem> left = convs;
  int runs = 0;
  kernels::run_until_tuned([&] {
    ++runs;
    for (const Problem& conv : convs)
      if (ConvTuning::current()->time_for(conv) > 0) {
        ConvTuning::current()->finished(conv, 1);
        std::erase(left, conv);
      }
  });
  EXPECT_EQ(runs, 2);
  EXPECT_TRUE(left.empty());
}
}  // namespace
