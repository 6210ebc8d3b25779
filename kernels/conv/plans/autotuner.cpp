#include "kernels/conv/plans/autotuner.h"

#include <algorithm>

#include "kernels/core/error.h"

namespace kernels {
namespace {

// The median of the runs, or of the first alone where that is hopeless.
double measure(Autotuner& autotuner, std::size_t candidate, double best,
               const AutotuneLimits& limits) {
  autotuner.run(candidate);  // the first run may load code
  std::vector<double> ms;
  for (int i = 0; i < limits.runs; ++i) {
    ms.push_back(autotuner.run(candidate));
    if (i == 0 && best >= 0 && ms[0] > limits.hopeless * best) return ms[0];
  }
  std::nth_element(ms.begin(), ms.begin() + static_cast<std::ptrdiff_t>(ms.size() / 2), ms.end());
  return ms[ms.size() / 2];
}

}  // namespace

AutotuneResult choose_fastest(Autotuner& autotuner, const AutotuneLimits& limits) {
  AutotuneResult result;
  result.medians.assign(autotuner.size(), -1.0);
  double best = -1;
  std::vector<std::size_t> timed;
  for (std::size_t i = 0; i < autotuner.size(); ++i) {
    if (!timed.empty() && autotuner.elapsed_ms() > limits.budget_ms) {
      result.not_begun = static_cast<int>(autotuner.size() - i);
      break;
    }
    try {
      if (!autotuner.prepare(i)) {
        ++result.unavailable;
        continue;
      }
      result.medians[i] = measure(autotuner, i, best, limits);
      timed.push_back(i);
      if (best < 0 || result.medians[i] < best) best = result.medians[i];
    } catch (const Error&) { ++result.failed; }
  }
  // Stable: of two that are as fast, the one that the heuristics put first.
  std::stable_sort(timed.begin(), timed.end(), [&](std::size_t a, std::size_t b) {
    return result.medians[a] < result.medians[b];
  });
  for (const std::size_t i : timed) {
    try {
      if (autotuner.repeats(i)) {
        result.winner = i;
        result.ms = result.medians[i];
        break;
      }
      ++result.not_repeatable;
    } catch (const Error&) { ++result.failed; }
  }
  return result;
}

}  // namespace kernels
