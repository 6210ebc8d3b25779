#include "bench/ab/statistics.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace bench {

double quantile(std::vector<double> values, double q) {
  if (values.empty()) return std::numeric_limits<double>::quiet_NaN();
  std::sort(values.begin(), values.end());
  const double at = q * static_cast<double>(values.size() - 1);
  const auto low = static_cast<std::size_t>(at);
  const std::size_t high = std::min(low + 1, values.size() - 1);
  return values[low] + (at - static_cast<double>(low)) * (values[high] - values[low]);
}

const char* name(Verdict verdict) {
  constexpr const char* names[] = {"equal", "slower", "faster", "undecided"};
  return names[static_cast<int>(verdict)];
}

Centre centre(const std::vector<double>& values, double z) {
  constexpr double infinity = std::numeric_limits<double>::infinity();
  std::vector<double> means;  // Walsh averages: each value with each, itself included
  for (std::size_t i = 0; i < values.size(); ++i)
    for (std::size_t j = i; j < values.size(); ++j) means.push_back((values[i] + values[j]) / 2);
  if (means.empty()) return {-infinity, std::numeric_limits<double>::quiet_NaN(), infinity};
  std::sort(means.begin(), means.end());
  // The sum of the signed ranks of values above c is the number of means above c.
  const double n = static_cast<double>(values.size());
  const double expected = n * (n + 1) / 4, deviation = std::sqrt(n * (n + 1) * (2 * n + 1) / 24);
  const double outside = std::floor(expected - z * deviation);  // means beyond each bound
  const double middle = median(means);
  if (outside < 0) return {-infinity, middle, infinity};
  const auto k = static_cast<std::size_t>(outside);
  return {means[k], middle, means[means.size() - 1 - k]};
}

double normal_quantile(double p) {
  double low = -40, high = 40;
  for (int i = 0; i < 80; ++i) {
    const double z = (low + high) / 2;
    (std::erfc(-z / std::sqrt(2.0)) / 2 < p ? low : high) = z;
  }
  return low;
}

Judgement judge(const std::vector<double>& log_ratios, int processes, std::size_t rows,
                const JudgeOptions& options) {
  const double tests = static_cast<double>(rows) * options.most_processes;
  const Centre wide = centre(log_ratios, -normal_quantile(options.alpha / 2 / tests)),
               narrow = centre(log_ratios, -normal_quantile(options.beta));
  Judgement j{Verdict::undecided, wide.middle, wide.low, wide.high};
  const double smallest = std::log1p(options.smallest), detectable = std::log1p(options.detectable);
  if (narrow.low > -detectable && narrow.high < detectable) j.verdict = Verdict::equal;
  if (processes >= options.fewest_processes && wide.low > smallest) j.verdict = Verdict::slower;
  if (processes >= options.fewest_processes && wide.high < -smallest) j.verdict = Verdict::faster;
  return j;
}
}  // namespace bench
