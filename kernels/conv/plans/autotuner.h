// Choosing by measurement: of several variants to compute the same thing, the one that is fastest on this machine. What is
// measured, and with which clock, is the Autotuner's business; so the rules of choosing are tested without a GPU.
#pragma once
#include <cstddef>
#include <optional>
#include <vector>

namespace kernels {

// Each function may throw Error: that candidate is out, the autotuner goes on.
class Autotuner {
 public:
  virtual ~Autotuner() = default;
  virtual std::size_t size() const = 0;             // candidates, the likeliest first
  virtual bool prepare(std::size_t candidate) = 0;  // builds it; false where that is not possible
  virtual double run(std::size_t candidate) = 0;    // once, caches cold; milliseconds
  virtual bool repeats(std::size_t candidate) = 0;  // two runs give the same bits
  virtual double elapsed_ms() = 0;                  // of wall time since the autotuner began
};

struct AutotuneLimits {
  int runs = 5;  // timed runs per candidate; their median counts. One more goes before, untimed
  double hopeless =
      1.5;  // a candidate whose first run takes so many times the best median gets no further runs
  double budget_ms =
      3000;  // no further candidate is begun after that; one that works is found in any case
};

struct AutotuneResult {
  std::optional<std::size_t> winner;
  double ms = 0;                // the winner's median
  std::vector<double> medians;  // per candidate; negative where it was not timed
  int unavailable = 0, failed = 0, not_repeatable = 0, not_begun = 0;  // what became of the others
};

// The fastest candidate whose runs repeat bit for bit.
AutotuneResult choose_fastest(Autotuner&, const AutotuneLimits& = {});

}  // namespace kernels
