// Plans for one problem: the engines cuDNN names, the ones we accept, the plan of one.
#pragma once
#include <string>
#include <vector>

#include "kernels/conv/cudnn/graph.h"
#include "kernels/conv/plans/plan_cache.h"

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

struct Plan {
  Descriptor plan;
  PlanReport report;
};

// For the GPU behind `handle`, or for one described by JSON text (cuDNN's DEVICEPROP
// descriptor, cuDNN 9.8 or newer) on a machine without any: a model cuDNN cannot run
// fails in a test. Both throw Error(device) if cuDNN is not installed.
class Planner {
 public:
  Planner(const Problem&, cudnnHandle_t handle);
  Planner(const Problem&, const std::string& device_json);
  // Best first, without engines we refuse: other bits from run to run, sums in less
  // than float, too inexact for the math type. fallback: cuDNN's second list, slow but
  // broad.
  std::vector<Engine> engines(bool fallback);
  // Of that engine. Not found if cuDNN cannot build it or its workspace is too large.
  // compiles = false: also if it would have to be compiled now.
  Plan plan(const Engine&, bool compiles = true);
  Plan first();  // of the first engine that has one

 private:
  std::string graph_refused() const;  // empty if cuDNN accepts the graph
  std::string configure(const Engine&, const Descriptor& engine, Descriptor& configuration);

  Problem problem_;
  cudnnHandle_t handle_ = nullptr;
  Descriptor device_;
  Graph graph_;
  int offered_ = 0, refused_ = 0;
};

// This machine's GPU; both throw Error(device) without one.
PlanCache::Machine this_machine();
std::string describe_this_device();  // as JSON
}  // namespace kernels::cudnn
