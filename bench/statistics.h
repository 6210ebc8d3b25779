// Did a kernel get slower? Two runs of a benchmark, each a few samples of every row, on a machine that has other work to do.
//
//   effect     Hodges-Lehmann: the median of all differences new - old of log(time). Half of the samples may be nonsense.
//   test       Mann-Whitney's U, one-sided, of new against old * (1 + smallest): "slower by more than the smallest change that we
//              care for", not "different", which two runs on one machine always are. Ranks only: heavy tails do not matter.
//   many rows  Holm's correction over all rows and both directions: one false alarm in 1/alpha runs, however many rows there are.
//   drift      a group of rows (those that hit the same ceiling) that moved together moved because the machine did. The group's median
//              change is taken off each row and reported by itself.
#pragma once
#include <string>
#include <vector>

namespace bench {

double quantile(std::vector<double> values, double q);  // 0 <= q <= 1, interpolated; NaN where there is none
inline double median(std::vector<double> values) { return quantile(std::move(values), 0.5); }

// Median of all y - x.
double shift_estimate(const std::vector<double>& x, const std::vector<double>& y);

// The probability of ranks at least as extreme as these if y were not larger than x. Exact up to 40 values without ties, else normal
// with the correction for ties. 1 where a side is empty.
double mann_whitney_larger(const std::vector<double>& x, const std::vector<double>& y);

// Holm 1979: p-values that may all be held against one alpha.
std::vector<double> holm(const std::vector<double>& p);

// One row of a run: a value per round, each a time divided by that of a probe of the machine taken beside it.
struct Series { std::string name, group; std::vector<double> values; };

enum class Verdict { equal, slower, faster, too_few };
struct Change {
  std::string name;
  double ratio = 1;            // new / old, the group's own shift taken off
  double p = 1;                // corrected for the number of rows
  Verdict verdict = Verdict::equal;
};
struct GroupShift { std::string group; double ratio = 1; std::size_t rows = 0; };
struct Comparison {
  std::vector<Change> changes;       // rows that both runs have, in the new run's order
  std::vector<GroupShift> shifts;
  std::vector<std::string> only_old, only_new;
};
struct CompareOptions {
  double smallest = 0.03;            // a change of less is nobody's business
  double alpha = 0.05;               // of one false alarm among all rows
  std::size_t fewest_samples = 6;    // of a row on each side
  std::size_t group_rows = 8;        // a group must have so many for its shift to be the machine's
};
Comparison compare_runs(const std::vector<Series>& before, const std::vector<Series>& after, const CompareOptions& options = {});

}  // namespace bench
