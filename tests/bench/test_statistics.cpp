// The comparison of two benchmark runs on made-up noise that is worse than a machine's: heavy tails, spikes, drift. Seeds are fixed:
// the shares below are counts, not chances.
#include <gtest/gtest.h>

#include <cmath>
#include <random>

#include "bench/statistics.h"

namespace {

using namespace bench;

TEST(Statistics, QuantilesInterpolate) {
  EXPECT_DOUBLE_EQ(median({3, 1, 2}), 2);
  EXPECT_DOUBLE_EQ(median({4, 1, 2, 3}), 2.5);
  EXPECT_DOUBLE_EQ(quantile({1, 2, 3, 4, 5}, 0.95), 4.8);
  EXPECT_TRUE(std::isnan(median({})));
}

TEST(Statistics, ShiftIsTheMedianDifference) {
  EXPECT_DOUBLE_EQ(shift_estimate({1, 2, 3}, {11, 12, 13}), 10);
  EXPECT_DOUBLE_EQ(shift_estimate({1, 2, 3, 1000}, {2, 3, 4, 1000000}), 1) << "a wild value on each side moves it";
}

// Against all orders of the values, counted one by one.
double by_counting(const std::vector<double>& x, const std::vector<double>& y) {
  std::vector<double> all(x);
  all.insert(all.end(), y.begin(), y.end());
  const auto u_of = [&](unsigned chosen) {
    double u = 0;
    for (std::size_t i = 0; i < all.size(); ++i)
      for (std::size_t j = 0; j < all.size(); ++j)
        if ((chosen >> i & 1u) && !(chosen >> j & 1u)) u += all[i] > all[j];
    return u;
  };
  const double seen = u_of(((1u << y.size()) - 1u) << x.size());
  double as_extreme = 0, total = 0;
  for (unsigned chosen = 0; chosen < 1u << all.size(); ++chosen) {
    if (__builtin_popcount(chosen) != static_cast<int>(y.size())) continue;
    ++total;
    as_extreme += u_of(chosen) >= seen;
  }
  return as_extreme / total;
}

TEST(Statistics, MannWhitneyCountsOrders) {
  std::mt19937 random(3);
  std::normal_distribution<double> normal;
  for (int trial = 0; trial < 30; ++trial) {
    std::vector<double> x(2 + trial % 4), y(1 + trial % 5);
    for (double& v : x) v = normal(random);
    for (double& v : y) v = normal(random) + 0.1 * trial;
    EXPECT_NEAR(mann_whitney_larger(x, y), by_counting(x, y), 1e-12);
  }
  EXPECT_NEAR(mann_whitney_larger({1, 2, 3, 4, 5}, {6, 7, 8, 9, 10}), 1.0 / 252, 1e-12);
  EXPECT_NEAR(mann_whitney_larger({6, 7, 8, 9, 10}, {1, 2, 3, 4, 5}), 1, 1e-12);
  EXPECT_EQ(mann_whitney_larger({}, {1}), 1);
  EXPECT_EQ(mann_whitney_larger({2, 2, 2}, {2, 2, 2}), 1) << "nothing but ties says nothing";
}

TEST(Statistics, MannWhitneyOfManyIsTheNormalOne) {
  std::vector<double> x, y;
  for (int i = 0; i < 40; ++i) x.push_back(i), y.push_back(i + 0.5);  // U = 820 of 1600: half of the values is expected
  EXPECT_NEAR(mann_whitney_larger(x, y), 0.426, 0.01);
}

TEST(Statistics, HolmKeepsOrderAndCorrects) {
  const std::vector<double> p = holm({0.01, 0.04, 0.03, 0.9});
  EXPECT_NEAR(p[0], 0.04, 1e-12);
  EXPECT_NEAR(p[2], 0.09, 1e-12);
  EXPECT_NEAR(p[1], 0.09, 1e-12) << "not below that of a smaller p";
  EXPECT_NEAR(p[3], 0.9, 1e-12);
}

// A run of `rows` kernels over `rounds` rounds. Beside each time stands a probe, which feels the machine as the kernel does.
// Noise: 2 % ordinary; one value in twenty up to twice as long (a sample is the best of several timings); and the machine's speed wanders,
// which only the probe cancels.
struct Noise { double ordinary = 0.02, spikes = 0.05, drift = 0.05; };
std::vector<Series> made_up_run(std::mt19937& random, int rows, int rounds, const std::vector<double>& factors = {}, const Noise& noise = {}) {
  std::normal_distribution<double> normal;
  std::uniform_real_distribution<double> uniform(0, 1);
  std::vector<Series> run;
  for (int r = 0; r < rows; ++r) run.push_back({"row" + std::to_string(r), "memory", {}});
  double machine = 0;
  for (int round = 0; round < rounds; ++round) {
    for (int r = 0; r < rows; ++r) {
      machine += noise.drift / 10 * normal(random);
      double seconds = std::exp(machine + noise.ordinary * normal(random)) * (1 + r);
      if (uniform(random) < noise.spikes) seconds *= 1 + uniform(random);
      double probe = std::exp(machine + 0.01 * normal(random));
      if (uniform(random) < noise.spikes / 2) probe *= 1 + 0.5 * uniform(random);
      run[static_cast<std::size_t>(r)].values.push_back(seconds * (static_cast<std::size_t>(r) < factors.size() ? factors[static_cast<std::size_t>(r)] : 1.0) / probe);
    }
  }
  return run;
}

int alarms(const Comparison& c) {
  int count = 0;
  for (const Change& change : c.changes) count += change.verdict != Verdict::equal;
  return count;
}

TEST(Compare, EqualRunsAreEqual) {
  std::mt19937 random(11);
  int quiet = 0;
  for (int trial = 0; trial < 100; ++trial) quiet += alarms(compare_runs(made_up_run(random, 120, 10), made_up_run(random, 120, 10))) == 0;
  EXPECT_GE(quiet, 97);
}

TEST(Compare, EqualRunsAreEqualUnderHeavyTails) {
  std::mt19937 random(12);
  const Noise wild{0.06, 0.3, 0.2};
  int quiet = 0;
  for (int trial = 0; trial < 100; ++trial) quiet += alarms(compare_runs(made_up_run(random, 120, 10, {}, wild), made_up_run(random, 120, 10, {}, wild))) == 0;
  EXPECT_GE(quiet, 97);
}

TEST(Compare, FindsOneKernelSlowedByTenPercent) {
  std::mt19937 random(13);
  int found = 0, alone = 0;
  std::vector<double> factors(120, 1.0);
  factors[7] = 1.1;
  for (int trial = 0; trial < 100; ++trial) {
    const Comparison c = compare_runs(made_up_run(random, 120, 20), made_up_run(random, 120, 20, factors));
    found += c.changes[7].verdict == Verdict::slower;
    alone += alarms(c) == 1;
    EXPECT_NEAR(c.changes[7].ratio, 1.1, 0.06);
  }
  EXPECT_GE(found, 90);
  EXPECT_GE(alone, 88);
}

TEST(Compare, FindsAFasterKernel) {
  std::mt19937 random(14);
  const Comparison c = compare_runs(made_up_run(random, 20, 12), made_up_run(random, 20, 12, {0.8}));
  EXPECT_EQ(c.changes[0].verdict, Verdict::faster);
  EXPECT_EQ(alarms(c), 1);
}

TEST(Compare, AChangeTooSmallToMatterIsEqualHoweverSure) {
  std::mt19937 random(15);
  const Noise none{0.001, 0, 0};
  EXPECT_EQ(alarms(compare_runs(made_up_run(random, 20, 15, {}, none), made_up_run(random, 20, 15, {1.02, 0.985}, none))), 0);
  EXPECT_EQ(alarms(compare_runs(made_up_run(random, 20, 15, {}, none), made_up_run(random, 20, 15, {1.06}, none))), 1);
}

TEST(Compare, AMachineThatSlowedDownAsAWholeIsNamedAndTakenOff) {
  std::mt19937 random(16);
  std::vector<double> factors(30, 1.25);
  factors[3] = 1.25 * 1.15;
  const Comparison c = compare_runs(made_up_run(random, 30, 20), made_up_run(random, 30, 20, factors));
  ASSERT_EQ(c.shifts.size(), 1u);
  EXPECT_NEAR(c.shifts[0].ratio, 1.25, 0.02);
  EXPECT_EQ(alarms(c), 1);
  EXPECT_EQ(c.changes[3].verdict, Verdict::slower);
  EXPECT_NEAR(c.changes[3].ratio, 1.15, 0.06);
}

TEST(Compare, FewSamplesGiveNoVerdict) {
  std::mt19937 random(17);
  const Comparison c = compare_runs(made_up_run(random, 3, 4), made_up_run(random, 3, 4, {2, 2, 2}));
  for (const Change& change : c.changes) EXPECT_EQ(change.verdict, Verdict::too_few);
}

TEST(Compare, RowsOfOneSideAreListed) {
  const Comparison c = compare_runs({{"a", "g", {1, 1}}, {"b", "g", {1, 1}}}, {{"b", "g", {1, 1}}, {"c", "g", {1, 1}}});
  EXPECT_EQ(c.only_old, std::vector<std::string>{"a"});
  EXPECT_EQ(c.only_new, std::vector<std::string>{"c"});
  ASSERT_EQ(c.changes.size(), 1u);
  EXPECT_EQ(c.changes[0].name, "b");
}

}  // namespace
