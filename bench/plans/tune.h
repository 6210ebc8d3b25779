// Every engine of every variant for one convolution, timed. The seam keeps the fastest.
#pragma once
#include <optional>
#include <string>
#include <vector>

#include "kernels/conv/cudnn/planner.h"

namespace bench::plans {

struct Timed {
  kernels::cudnn::PlanReport report;
  double ms = -1;  // median of the whole variant, caches cold; negative: not timed
};

struct VariantResult {
  kernels::cudnn::Variant variant;
  std::vector<Timed> engines;     // fastest first; of a described card, in cuDNN's order
  std::optional<double> bare_ms;  // forward, not fused: the best engine without our epilogue
  std::string why_not;            // if there is no engine
};

// The variants of `wanted`, which has the model's bias and activation, on random
// operands. budget_ms is wall time for each variant.
std::vector<VariantResult> time_on_this_card(const kernels::cudnn::Problem& wanted,
                                             double budget_ms);
// Without times, for a card described by JSON text.
std::vector<VariantResult> plan_for_description(const kernels::cudnn::Problem& wanted,
                                                int compute_capability,
                                                const std::string& device_json);
}  // namespace bench::plans
