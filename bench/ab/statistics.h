// Did a kernel get slower? Two runs of a benchmark, each a few samples of every row, on a machine that has other work to do.
//
// Other work makes a row slower, never faster than it is, and it does so in one round more than in the next. So what two runs of one
// program agree on is not the typical time but the shortest: on a shared machine the medians of rows differed by 4 to 8 % between equal
// runs, the shortest times by 1.2 %.
//   effect     log(shortest new / shortest old).
//   drift      a group of rows (those that hit the same ceiling) that moved together moved because the machine did. The group's median
//              change is taken off each row and reported by itself.
//   chance     if nothing changed, which round belongs to which run means nothing: the rounds of a row are dealt out anew, many times,
//              and each time gives an effect that is chance. Their standard deviation s says how far this row jumps. To it half the
//              median of the group's is added, so that a row that happened to be calm does not count as sure (Tusher, Tibshirani, Chu 2001).
//   the run    some rows keep another speed for a whole run, in every round of it: dealing cannot see that. So s also gets twice the upper
//              quartile of what the group's rows moved. It blinds the test only where more than a quarter of a group really changed.
//   test       (|effect| - smallest) / s, against the largest |effect| / s of any row in each dealing (Westfall, Young 1993): one false
//              alarm in 1/alpha runs, however many rows there are. "By more than the smallest change that we care for", not "different".
#pragma once
#include <string>
#include <vector>

namespace bench {

double quantile(std::vector<double> values,
                double q);  // 0 <= q <= 1, interpolated; NaN where there is none
inline double median(std::vector<double> values) { return quantile(std::move(values), 0.5); }

// One row of a run: seconds, a value per round.
struct Series {
  std::string name, group;
  std::vector<double> values;
};

enum class Verdict { equal, slower, faster, undecided };
const char* name(Verdict);
struct Change {
  std::string name;
  double ratio = 1;  // shortest new / shortest old, the group's own shift taken off
  double p = 1;      // of a change like this of any row, where none changed
  Verdict verdict = Verdict::equal;
};
struct GroupShift {
  std::string group;
  double ratio = 1;
  std::size_t rows = 0;
};
struct Comparison {
  std::vector<Change> changes;  // rows that both runs have, in the new run's order
  std::vector<GroupShift> shifts;
  std::vector<std::string> only_old, only_new;
};
struct CompareOptions {
  double smallest = 0.03;          // a change of less is nobody's business
  double alpha = 0.05;             // of one false alarm among all rows
  std::size_t fewest_samples = 6;  // of a row on each side
  std::size_t group_rows = 8;      // a group must have so many for its shift to be the machine's
  int dealings = 1000;
};
Comparison compare_runs(const std::vector<Series>& before, const std::vector<Series>& after,
                        const CompareOptions& options = {});

// ---- two programs that took turns (bench/ab/ab.h): pairs of timings next to each other, log(new / old) of each

// Hodges and Lehmann's estimate of the centre, the median of the means of all pairs of values, and Tukey's bounds on it: those means that Wilcoxon's
// signed ranks would not tell from it by z standard deviations. Asks of the noise only that it is as often too much as too little, which turns
// make it be; a value that is far off counts like one that is a little off. Infinite bounds where there are too few values for z,
// and no centre (NaN) where there are none.
struct Centre {
  double low, middle, high;
};
Centre centre(const std::vector<double>& values, double z);

double normal_quantile(double p);  // z that a standard normal value is under with probability p

struct JudgeOptions {
  double find = 0.10;      // the change that must not be missed
  double smallest = 0.03;  // one of less is nobody's business
  double alpha = 0.05;  // of one false alarm among all rows, all looks taken together (Bonferroni)
  double miss = 0.003;  // of letting go, at one look, a row that changed by `find`
  int fewest_processes = 4;  // before a row is accused: a process may be lucky for all of its life
  int most_processes = 40;
};
struct Judgement {
  Verdict verdict = Verdict::undecided;
  double log_ratio = 0, low = 0,
         high = 0;  // of new to old; bounds at alpha over all rows and looks
};
// After each pair of processes: slower or faster, where even the nearer bound is beyond `smallest`; equal, where the farther of two bounds at `miss`
// is within `find`; else undecided. `rows` are all that were begun with, for as many are tested.
Judgement judge(const std::vector<double>& log_ratios, int processes, std::size_t rows,
                const JudgeOptions& options = {});

}  // namespace bench
