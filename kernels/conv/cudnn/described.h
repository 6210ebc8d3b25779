// Plans for a GPU described by JSON text (cuDNN's DEVICEPROP descriptor, cuDNN 9.8 or
// newer), on a machine without any GPU: a model cuDNN cannot run fails in a test. Plans
// are made and dropped. These functions throw Error(device) if cuDNN is not installed.
#pragma once
#include <string>
#include <vector>

#include "kernels/conv/plans/plan_cache.h"
#include "kernels/conv/plans/problem.h"

namespace kernels::cudnn {

struct PlanReport {
  bool found = false;
  Engine engine;
  std::int64_t workspace = 0;     // bytes, at most workspace_cap
  bool runtime_compiled = false;  // compiled when the plan is made, about a second
  bool tensor_cores = false;
  int offered = 0;      // configurations named by the heuristics
  std::string why_not;  // if none was found
};

// Of the first acceptable engine, or of the given one.
PlanReport plan_for_described_device(const Problem&, const std::string& device_json);
PlanReport plan_for_described_device(const Problem&, const std::string& device_json, const Engine&);

// The acceptable engines, best first.
std::vector<Engine> engines_for_described_device(const Problem&, const std::string& device_json,
                                                 bool fallback);

// This machine's GPU; both throw Error(device) without one.
PlanCache::Machine this_machine();
std::string describe_this_device();  // as JSON

}  // namespace kernels::cudnn
