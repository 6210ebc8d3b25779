// The judgement of pairs of timings, against definitions and simulated noise with fixed
// seeds.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <random>

#include "bench/ab/statistics.h"

namespace {

using namespace bench;

TEST(Statistics, QuantilesInterpolate) {
  EXPECT_DOUBLE_EQ(median({3, 1, 2}), 2);
  EXPECT_DOUBLE_EQ(median({4, 1, 2, 3}), 2.5);
  EXPECT_DOUBLE_EQ(quantile({1, 2, 3, 4, 5}, 0.95), 4.8);
  EXPECT_TRUE(std::isnan(median({})));
}

TEST(Centre, IsTheMedianOfAllMeans) {
  const Centre c = centre({1, 2, 4}, 1);  // means 1 1.5 2 2.5 3 4
  EXPECT_DOUBLE_EQ(c.middle, 2.25);
  EXPECT_DOUBLE_EQ(c.low, 1.5);  // 3 - 1 x 1.87 means beyond each bound: one
  EXPECT_DOUBLE_EQ(c.high, 3);
  EXPECT_TRUE(std::isinf(centre({1, 2, 4}, 2).low));
  EXPECT_TRUE(std::isinf(centre({}, 1).high));
  EXPECT_TRUE(std::isnan(centre({}, 1).middle));
}

// Wilcoxon's statistic by its definition: the sum of the ranks of |values - c| of
// values above c.
double signed_rank_sum(std::vector<double> values, double c) {
  for (double& v : values) v -= c;
  std::sort(values.begin(), values.end(),
            [](double a, double b) { return std::fabs(a) < std::fabs(b); });
  double sum = 0;
  for (std::size_t i = 0; i < values.size(); ++i)
    sum += values[i] > 0 ? static_cast<double>(i + 1) : 0.0;
  return sum;
}

TEST(Centre, BoundsAreWhereTheSignedRanksReachZ) {
  std::mt19937 random(31);
  std::normal_distribution<double> normal;
  std::vector<double> values(20);
  for (double& v : values) v = normal(random);
  const double n = 20, expected = n * (n + 1) / 4,
               deviation = std::sqrt(n * (n + 1) * (2 * n + 1) / 24);
  for (const double z : {1.0, 2.0, 3.0}) {
    const Centre c = centre(values, z);
    const auto deviations = [&](double at) {
      return std::fabs(signed_rank_sum(values, at) - expected) / deviation;
    };
    EXPECT_GE(deviations(c.low - 1e-9), z);
    EXPECT_LT(deviations(c.low + 1e-9), z);
    EXPECT_GE(deviations(c.high + 1e-9), z);
    EXPECT_LT(deviations(c.high - 1e-9), z);
  }
}

TEST(Centre, BoundsCoverTheTruthAtTheirLevel) {
  std::mt19937 random(32);
  std::cauchy_distribution<double> wild;  // has no mean
  int held = 0;
  for (int trial = 0; trial < 2000; ++trial) {
    std::vector<double> values(24);
    for (double& v : values) v = 5 + wild(random);
    const Centre c = centre(values, normal_quantile(0.975));
    held += c.low <= 5 && 5 <= c.high;
  }
  EXPECT_NEAR(held, 1900, 35);
}

TEST(Centre, NormalQuantiles) {
  EXPECT_NEAR(normal_quantile(0.975), 1.959964, 1e-6);
  EXPECT_NEAR(normal_quantile(0.5), 0, 1e-9);
  EXPECT_NEAR(normal_quantile(1e-6), -4.753424, 1e-6);
}

// Pairs like those of a shared machine: ratios of neighbours scatter by 10 %, of some
// rows far more; one timing in twenty is up to four times as long, on either side; each
// process is 1.5 % fast or slow for all of its life.
constexpr int kPairs = 8;  // per process
struct Verdicts {
  int slower = 0, faster = 0, equal = 0, open = 0, changed_found = 0;
  double pairs = 0;
};
Verdicts simulate(std::mt19937& random, int rows, int changed, double factor) {
  const JudgeOptions options;
  std::normal_distribution<double> normal;
  std::uniform_real_distribution<double> uniform(0, 1);
  std::mt19937 of_row(99);
  Verdicts count;
  for (int r = 0; r < rows; ++r) {
    const double scatter = 0.1 * std::exp(0.4 * normal(of_row)),
                 effect = r == changed ? std::log(factor) : 0;
    std::vector<double> log_ratios;
    Judgement j;
    for (int processes = 1; processes <= options.most_processes && j.verdict == Verdict::undecided;
         ++processes) {
      const double luck = 0.015 * std::sqrt(2.0) * normal(random);
      for (int k = 0; k < kPairs; ++k) {
        double value = effect + luck + scatter * normal(random);
        if (uniform(random) < 0.05) value += std::log(1 + 3 * uniform(random));
        if (uniform(random) < 0.05) value -= std::log(1 + 3 * uniform(random));
        log_ratios.push_back(value);
      }
      j = judge(log_ratios, processes, static_cast<std::size_t>(rows), options);
    }
    count.slower += j.verdict == Verdict::slower, count.faster += j.verdict == Verdict::faster;
    count.equal += j.verdict == Verdict::equal, count.open += j.verdict == Verdict::undecided;
    count.changed_found +=
        r == changed && j.verdict == (factor > 1 ? Verdict::slower : Verdict::faster);
    count.pairs += static_cast<double>(log_ratios.size()) / rows;
  }
  return count;
}

TEST(Judge, EqualProgramsAreEqual) {
  std::mt19937 random(33);
  int quiet = 0, open = 0;
  double pairs = 0;
  for (int trial = 0; trial < 10; ++trial) {
    const Verdicts v = simulate(random, 200, -1, 1);
    quiet += v.slower + v.faster == 0;
    open += v.open;
    pairs += v.pairs / 10;
  }
  EXPECT_EQ(quiet, 10);
  EXPECT_LE(open, 10 * 2) << "one row in a hundred may stay open";
  EXPECT_LT(pairs, 50) << "most rows are decided after a few processes";
}

TEST(Judge, FindsTenPercent) {
  std::mt19937 random(34);
  int slower = 0, faster = 0;
  for (int trial = 0; trial < 40; ++trial) {
    slower += simulate(random, 20, trial % 20, 1.1).changed_found;
    faster += simulate(random, 20, trial % 20, 1 / 1.1).changed_found;
  }
  EXPECT_GE(slower, 36);
  EXPECT_GE(faster, 36);
}

TEST(Judge, AChangeTooSmallToMatterIsEqual) {
  std::vector<double> log_ratios;
  std::mt19937 random(35);
  std::normal_distribution<double> noise(std::log(1.025), 0.01);
  for (int i = 0; i < 64; ++i) log_ratios.push_back(noise(random));
  EXPECT_EQ(judge(log_ratios, 8, 200).verdict, Verdict::equal);
  JudgeOptions finer;
  finer.detectable = 0.05, finer.smallest = 0.015;
  EXPECT_EQ(judge(log_ratios, 8, 200, finer).verdict, Verdict::slower);
  for (double& v : log_ratios) v = -v;
  EXPECT_EQ(judge(log_ratios, 8, 200).verdict, Verdict::equal);
  EXPECT_EQ(judge(log_ratios, 8, 200, finer).verdict, Verdict::faster);
}

TEST(Judge, ManyRowsNeedMoreEvidence) {
  std::vector<double> log_ratios;
  std::mt19937 random(36);
  std::normal_distribution<double> noise(0, 0.05);
  for (int i = 0; i < 64; ++i) log_ratios.push_back(noise(random));
  const Judgement one = judge(log_ratios, 8, 1), many = judge(log_ratios, 8, 1000);
  EXPECT_LT(many.low, one.low);
  EXPECT_GT(many.high, one.high);
  EXPECT_EQ(many.log_ratio, one.log_ratio);
}

TEST(Judge, OneProcessIsNotEnough) {
  const std::vector<double> longer(60, std::log(1.5)), shorter(60, -std::log(1.5));
  EXPECT_EQ(judge(longer, 3, 1).verdict, Verdict::undecided);
  EXPECT_EQ(judge(longer, 4, 1).verdict, Verdict::slower);
  EXPECT_EQ(judge(shorter, 3, 1).verdict, Verdict::undecided);
  EXPECT_EQ(judge(shorter, 4, 1).verdict, Verdict::faster);
  EXPECT_EQ(judge({}, 0, 1).verdict, Verdict::undecided);
}
}  // namespace
