#include "kernels/conv/plans/autotune.h"

#include <algorithm>

#include "kernels/core/error.h"

namespace kernels {
namespace {

// The median of the runs, or the first run alone if it is hopeless.
double measure(Candidates& candidates, std::size_t i, double best, const AutotuneLimits& limits) {
  candidates.run(i);  // the first run may load code
  std::vector<double> ms;
  for (int run = 0; run < limits.runs; ++run) {
    ms.push_back(candidates.run(i));
    if (run == 0 && best >= 0 && ms[0] > limits.hopeless * best) return ms[0];
  }
  return median(std::move(ms));
}

void note_failure(AutotuneResult& result, Candidates& candidates, const Error& error) {
  if (result.failed++ == 0) result.first_error = error.what();
  candidates.check_device();
}
}  // namespace

double median(std::vector<double> values) {
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

AutotuneResult likeliest(Candidates& candidates) {
  AutotuneResult result;
  result.medians.assign(candidates.size(), -1.0);
  for (std::size_t i = 0; i < candidates.size() && !result.winner; ++i) {
    try {
      if (!candidates.prepare(i)) {
        ++result.unavailable;
        continue;
      }
      candidates.run(i);
      candidates.capture(i);
      result.winner = i;
    } catch (const Error& error) { note_failure(result, candidates, error); }
  }
  return result;
}

AutotuneResult autotune(Candidates& candidates, const AutotuneLimits& limits) {
  AutotuneResult result;
  result.medians.assign(candidates.size(), -1.0);
  double best = -1;
  std::vector<std::size_t> timed;
  for (std::size_t i = 0; i < candidates.size(); ++i) {
    if (!timed.empty() && candidates.elapsed_ms() > limits.budget_ms) {
      result.not_begun = static_cast<int>(candidates.size() - i);
      break;
    }
    try {
      if (!candidates.prepare(i)) {
        ++result.unavailable;
        continue;
      }
      result.medians[i] = measure(candidates, i, best, limits);
      timed.push_back(i);
      if (best < 0 || result.medians[i] < best) best = result.medians[i];
    } catch (const Error& error) { note_failure(result, candidates, error); }
  }
  // Stable: of two equally fast candidates, the likelier one.
  std::stable_sort(timed.begin(), timed.end(), [&](std::size_t a, std::size_t b) {
    return result.medians[a] < result.medians[b];
  });
  for (const std::size_t i : timed) {
    try {
      if (!candidates.repeats(i)) {
        ++result.not_repeatable;
        continue;
      }
      candidates.capture(i);
      result.winner = i;
      result.ms = result.medians[i];
      break;
    } catch (const Error& error) { note_failure(result, candidates, error); }
  }
  return result;
}
}  // namespace kernels
