// The comparison of two benchmark runs on made-up noise like that of real records: heavy tails, spikes, bad rounds. Seeds are fixed: the
// shares below are counts, not chances.
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

// A run of `rows` kernels over `rounds` rounds, with the noise of real records of a shared machine: time is added, never taken away
// (1.5 degrees of freedom: the shortest of a few is close to the floor, the median is not); some rows are much wilder than others; one value in
// ten is up to twice as long; in one round of ten everything is slower; and the whole run may be.
struct Noise {
  double typical = 0.06, spikes = 0.1, bad_rounds = 0.1, run = 0.05;
};
std::vector<Series> made_up_run(std::mt19937& random, int rows, int rounds,
                                const std::vector<double>& factors = {}, const Noise& noise = {}) {
  std::normal_distribution<double> normal;
  std::uniform_real_distribution<double> uniform(0, 1);
  std::gamma_distribution<double> added(1.5);
  std::vector<Series> run;
  const double whole = noise.run * normal(random);
  std::mt19937 of_row(99);  // a row is as wild in one run as in the other
  for (int r = 0; r < rows; ++r) run.push_back({"row" + std::to_string(r), "memory", {}});
  std::vector<double> wild;
  for (int r = 0; r < rows; ++r) wild.push_back(noise.typical * std::exp(0.6 * normal(of_row)));
  for (int round = 0; round < rounds; ++round) {
    const double bad = uniform(random) < noise.bad_rounds ? 0.3 * uniform(random) : 0;
    for (std::size_t r = 0; r < run.size(); ++r) {
      double seconds = std::exp(whole + bad + wild[r] * added(random)) * static_cast<double>(1 + r);
      if (uniform(random) < noise.spikes) seconds *= 1 + uniform(random);
      run[r].values.push_back(seconds * (r < factors.size() ? factors[r] : 1.0));
    }
  }
  return run;
}

CompareOptions quick() {
  CompareOptions options;
  options.dealings = 100;
  return options;
}

int alarms(const Comparison& c) {
  int count = 0;
  for (const Change& change : c.changes) count += change.verdict != Verdict::equal;
  return count;
}

int quiet_pairs(unsigned seed, int rounds_before, int rounds_after, const Noise& noise) {
  std::mt19937 random(seed);
  int quiet = 0;
  for (int trial = 0; trial < 100; ++trial) {
    const std::vector<Series> before = made_up_run(random, 120, rounds_before, {}, noise);
    quiet += alarms(compare_runs(before, made_up_run(random, 120, rounds_after, {}, noise),
                                 quick())) == 0;
  }
  return quiet;
}

TEST(Compare, EqualRunsAreEqual) { EXPECT_GE(quiet_pairs(11, 10, 10, {}), 95); }
TEST(Compare, EqualRunsAreEqualWithMoreRounds) { EXPECT_GE(quiet_pairs(12, 24, 24, {}), 95); }

// A row in twenty is up to 6 % slower or faster for a whole run, the others 1 %, as on a machine whose neighbour works through all of it.
TEST(Compare, RowsWithAnotherSpeedForAWholeRunAreForgiven) {
  std::mt19937 random(18);
  std::uniform_real_distribution<double> uniform(-0.06, 0.06);
  int quiet = 0;
  for (int trial = 0; trial < 100; ++trial) {
    std::vector<double> factors[2] = {std::vector<double>(120, 1.0), std::vector<double>(120, 1.0)};
    for (std::vector<double>& of_run : factors)
      for (double& factor : of_run)
        factor = std::exp(random() % 20 == 0 ? uniform(random) : 0.2 * uniform(random));
    const std::vector<Series> before = made_up_run(random, 120, 16, factors[0]);
    quiet += alarms(compare_runs(before, made_up_run(random, 120, 16, factors[1]), quick())) == 0;
  }
  EXPECT_GE(quiet, 95);
}

TEST(Compare, EqualRunsAreEqualUnderHeavyTails) {
  EXPECT_GE(quiet_pairs(13, 10, 10, {0.2, 0.4, 0.3, 0.2}), 94);
}
TEST(Compare, EqualRunsOfDifferentLengthAreEqual) { EXPECT_GE(quiet_pairs(14, 8, 20, {}), 95); }

// The counts are what docs/benchmarks.md quotes.
int found_pairs(unsigned seed, int rounds, int* alone) {
  std::mt19937 random(seed);
  int found = 0;
  std::vector<double> factors(120, 1.0);
  for (int trial = 0; trial < 100; ++trial) {
    const std::size_t slow = random() % 120;
    factors.assign(120, 1.0);
    factors[slow] = 1.1;
    const std::vector<Series> before = made_up_run(random, 120, rounds);
    const Comparison c = compare_runs(before, made_up_run(random, 120, rounds, factors), quick());
    found += c.changes[slow].verdict == Verdict::slower;
    *alone += alarms(c) == (c.changes[slow].verdict == Verdict::slower);
  }
  return found;
}

TEST(Compare, FindsOneKernelSlowedByTenPercent) {
  int alone = 0;
  EXPECT_GE(found_pairs(15, 24, &alone), 40);
  EXPECT_GE(found_pairs(16, 48, &alone), 65);
  EXPECT_GE(alone, 2 * 95);
}

TEST(Compare, FindsAFasterKernel) {
  std::mt19937 random(14);
  const Comparison c =
      compare_runs(made_up_run(random, 20, 12), made_up_run(random, 20, 12, {0.8}), quick());
  EXPECT_EQ(c.changes[0].verdict, Verdict::faster);
  EXPECT_EQ(alarms(c), 1);
}

TEST(Compare, AChangeTooSmallToMatterIsEqualHoweverSure) {
  std::mt19937 random(15);
  const Noise none{0.001, 0, 0, 0};
  EXPECT_EQ(alarms(compare_runs(made_up_run(random, 20, 15, {}, none),
                                made_up_run(random, 20, 15, {1.02, 0.985}, none))),
            0);
  EXPECT_EQ(alarms(compare_runs(made_up_run(random, 20, 15, {}, none),
                                made_up_run(random, 20, 15, {1.06}, none))),
            1);
}

TEST(Compare, AMachineThatSlowedDownAsAWholeIsNamedAndTakenOff) {
  std::mt19937 random(16);
  std::vector<double> factors(30, 1.25);
  factors[3] = 1.25 * 1.15;
  const Comparison c =
      compare_runs(made_up_run(random, 30, 20), made_up_run(random, 30, 20, factors));
  ASSERT_EQ(c.shifts.size(), 1u);
  EXPECT_NEAR(c.shifts[0].ratio, 1.25, 0.02);
  EXPECT_EQ(alarms(c), 1);
  EXPECT_EQ(c.changes[3].verdict, Verdict::slower);
  EXPECT_NEAR(c.changes[3].ratio, 1.15, 0.06);
}

TEST(Compare, FewSamplesGiveNoVerdict) {
  std::mt19937 random(17);
  const Comparison c =
      compare_runs(made_up_run(random, 3, 4), made_up_run(random, 3, 4, {2, 2, 2}));
  for (const Change& change : c.changes) EXPECT_EQ(change.verdict, Verdict::undecided);
}

TEST(Compare, RowsOfOneSideAreListed) {
  const Comparison c = compare_runs({{"a", "g", {1, 1}}, {"b", "g", {1, 1}}},
                                    {{"b", "g", {1, 1}}, {"c", "g", {1, 1}}});
  EXPECT_EQ(c.only_old, std::vector<std::string>{"a"});
  EXPECT_EQ(c.only_new, std::vector<std::string>{"c"});
  ASSERT_EQ(c.changes.size(), 1u);
  EXPECT_EQ(c.changes[0].name, "b");
}

}  // namespace
