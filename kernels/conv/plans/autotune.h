// The choice by measurement: of several candidates that compute the same result, the
// fastest on this machine. An interface hides the candidates and the clock, so the
// rules are tested without a GPU.
#pragma once
#include <cstddef>
#include <optional>
#include <string>
#include <vector>

namespace kernels {

// prepare, run, repeats and capture may throw Error: that candidate is out, the others
// go on.
class Candidates {
 public:
  virtual ~Candidates() = default;
  virtual std::size_t size() const = 0;             // the likeliest comes first
  virtual bool prepare(std::size_t candidate) = 0;  // builds it; false if that is impossible
  virtual double run(std::size_t candidate) = 0;    // once, caches cold; milliseconds
  virtual bool repeats(std::size_t candidate) = 0;  // two runs give the same bits
  // Records a run into a CUDA graph that is dropped; throws if that is impossible.
  virtual void capture(std::size_t candidate) = 0;
  // Throws if the device takes no more work at all; called after each failure. Its error
  // ends the search: the next candidates would only fail with it.
  virtual void check_device() = 0;
  virtual double elapsed_ms() = 0;  // wall time since the beginning
};

struct AutotuneLimits {
  int runs = 5;             // timed per candidate, after an untimed one; their median counts
  double hopeless = 1.5;    // no further runs if the first takes this many times the best median
  double budget_ms = 3000;  // no further candidate after that, once one works
};

struct AutotuneResult {
  std::optional<std::size_t> winner;
  double ms = 0;                // the winner's median
  std::vector<double> medians;  // per candidate; negative: not timed
  int unavailable = 0, failed = 0, not_repeatable = 0, not_begun = 0;  // of the other candidates
  std::string first_error;                                             // of those that failed
};

double median(std::vector<double> values);

// The fastest candidate whose runs repeat bit for bit and can be captured.
AutotuneResult autotune(Candidates&, const AutotuneLimits& = {});
// Unmeasured: the first candidate that can be built, run and captured.
AutotuneResult likeliest(Candidates&);
}  // namespace kernels
