// All engines of all variants for one convolution, each timed: what kernels/conv/cudnn/conv.cpp does for the winner's sake, for people to read.
#pragma once
#include <optional>
#include <string>
#include <vector>

#include "kernels/conv/plans/problem.h"

namespace bench::plans {

struct Timed {
  kernels::cudnn::PlanReport report;
  double ms =
      -1;  // of the whole variant, caches cold, median; negative: not timed (hopeless, or time was over)
};

struct VariantResult {
  kernels::cudnn::Variant variant;
  std::vector<Timed>
      engines;  // that could be built: the fastest first, on a described card in cuDNN's order
  std::optional<double>
      bare_ms;  // forward, variant not fused: the best engine without our bias and activation after it
  std::string why_not;  // where there is no engine
};

// The card's description as cuDNN gives it: what tests/plans reads. Throws Error(device) without cuDNN or a card.
std::string device_properties();

struct Machine {
  std::string card, driver;
  int compute_capability = 0;
  std::size_t cudnn = 0;
};
Machine this_machine();  // throws Error(device) where there is no card

// The variants of `wanted` (bias and activation set as the model wants them), each with its engines, on random operands. budget_ms: of wall
// time for each variant.
std::vector<VariantResult> time_on_this_card(const kernels::cudnn::Problem& wanted,
                                             double budget_ms);
// Without times: for a card that is described, and is not here.
std::vector<VariantResult> plan_for_description(const kernels::cudnn::Problem& wanted,
                                                int compute_capability,
                                                const std::string& device_json);

}  // namespace bench::plans
