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

double quantile(std::vector<double> values, double q);  // 0 <= q <= 1, interpolated; NaN where there is none
inline double median(std::vector<double> values) { return quantile(std::move(values), 0.5); }

// One row of a run: seconds, a value per round.
struct Series { std::string name, group; std::vector<double> values; };

enum class Verdict { equal, slower, faster, too_few };
struct Change {
  std::string name;
  double ratio = 1;            // shortest new / shortest old, the group's own shift taken off
  double p = 1;                // of a change like this of any row, where none changed
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
  int dealings = 1000;
};
Comparison compare_runs(const std::vector<Series>& before, const std::vector<Series>& after, const CompareOptions& options = {});

// Two looks, where both programs are at hand. The first look at all rows only says which are worth a second: those that changed by more than
// `smallest`, the largest changes first. The second look is at these alone, with fresh samples, one from each of many short processes, so that
// a process that is lucky for all of its life is one sample, not a run. It alone decides: chance has to fool a handful of rows anew, not
// one of hundreds, and so a small change shows.
std::vector<std::string> suspects(const Comparison& first, double smallest = 0.03, std::size_t most = 60);
Comparison after_second_look(const Comparison& first, const std::vector<Series>& before, const std::vector<Series>& after, CompareOptions options = {});

}  // namespace bench
