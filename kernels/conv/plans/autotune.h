// The choice by measurement: of several candidates that compute the same result, the
// fastest on this machine. An interface hides the candidates and the clock, so the
// rules are tested without a GPU.
#pragma once
#include <cstddef>
#include <optional>
#include <vector>

namespace kernels {

// Each function may throw Error: that candidate is out, the others go on.
class Candidates {
 public:
  virtual ~Candidates() = default;
  virtual std::size_t size() const = 0;             // the likeliest comes first
  virtual bool prepare(std::size_t candidate) = 0;  // builds it; false if that is impossible
  virtual double run(std::size_t candidate) = 0;    // once, caches cold; milliseconds
  virtual bool repeats(std::size_t candidate) = 0;  // two runs give the same bits
  virtual double elapsed_ms() = 0;                  // wall time since the beginning
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
};

double median(std::vector<double> values);

// The fastest candidate whose runs repeat bit for bit.
AutotuneResult autotune(Candidates&, const AutotuneLimits& = {});
}  // namespace kernels
