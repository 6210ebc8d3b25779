#include "kernels/conv/plans/autotuner.h"

#include <algorithm>

#include "kernels/core/error.h"

namespace kernels {
namespace {

// The median of the runs, or of the first alone where that is hopeless.
double measure(Contest& contest, std::size_t candidate, double best, const ContestLimits& limits) {
  contest.run(candidate);  // the first run may load code
  std::vector<double> ms;
  for (int i = 0; i < limits.runs; ++i) {
    ms.push_back(contest.run(candidate));
    if (i == 0 && best >= 0 && ms[0] > limits.hopeless * best) return ms[0];
  }
  std::nth_element(ms.begin(), ms.begin() + static_cast<std::ptrdiff_t>(ms.size() / 2), ms.end());
  return ms[ms.size() / 2];
}

}  // namespace

ContestResult choose_fastest(Contest& contest, const ContestLimits& limits) {
  ContestResult result;
  result.medians.assign(contest.size(), -1.0);
  double best = -1;
  std::vector<std::size_t> timed;
  for (std::size_t i = 0; i < contest.size(); ++i) {
    if (!timed.empty() && contest.elapsed_ms() > limits.budget_ms) {
      result.not_begun = static_cast<int>(contest.size() - i);
      break;
    }
    try {
      if (!contest.prepare(i)) {
        ++result.unavailable;
        continue;
      }
      result.medians[i] = measure(contest, i, best, limits);
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
      if (contest.repeats(i)) {
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
