// Quantiles, and the test that decides whether pairs of timings show a slower kernel.
#pragma once
#include <cstddef>
#include <utility>
#include <vector>

namespace bench {

// Interpolated between neighbours, 0 <= q <= 1; NaN for no values.
double quantile(std::vector<double> values, double q);
inline double median(std::vector<double> values) { return quantile(std::move(values), 0.5); }

// The Hodges-Lehmann estimate, which is the median of the means of all pairs of values,
// and Tukey's bounds on it: the means within z standard deviations of Wilcoxon's
// signed-rank statistic. The noise needs a symmetric distribution only, and alternation
// makes it so; an outlier counts by its rank. Bounds are infinite for too few values;
// the estimate is NaN for none.
struct Centre {
  double low, middle, high;
};
Centre centre(const std::vector<double>& values, double z);

double normal_quantile(double p);  // z that a standard normal value is under with probability p

struct JudgeOptions {
  double detectable = 0.10;  // relative change to detect with a power of 1 - beta
  double smallest = 0.03;    // relative change too small to report
  double alpha = 0.05;       // of one false alarm, over all rows and passes (Bonferroni)
  double beta = 0.003;       // of calling a row equal in one pass that changed by `detectable`
  int fewest_processes = 4;  // before a verdict: memory placement lasts as long as a process
  int most_processes = 40;
};
enum class Verdict { equal, slower, faster, undecided };
const char* name(Verdict);
struct Judgement {
  Verdict verdict = Verdict::undecided;
  double log_ratio = 0, low = 0, high = 0;  // of new to old; bounds at alpha over rows and passes
};
// Slower or faster: the nearer bound at alpha is beyond `smallest`. Equal: both bounds
// at beta are within `detectable`. `rows`: all rows of the run, decided ones too, for
// the correction of alpha.
Judgement judge(const std::vector<double>& log_ratios, int processes, std::size_t rows,
                const JudgeOptions& options = {});
}  // namespace bench
