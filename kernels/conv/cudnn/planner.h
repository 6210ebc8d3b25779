// Plans for one problem: the engines cuDNN names, the ones we accept, the plan of one.
#pragma once
#include <string>
#include <vector>

#include "kernels/conv/cudnn/described.h"
#include "kernels/conv/cudnn/graph.h"

namespace kernels::cudnn {

struct Plan {
  Descriptor plan;
  PlanReport report;
};

// For the GPU behind `handle`, or, if that is null, for the described one.
class Planner {
 public:
  Planner(const Problem&, cudnnHandle_t handle, const std::string& device_json = {});
  // Best first, without engines we refuse: other bits from run to run, sums in less
  // than float, too inexact for the math type. fallback: cuDNN's second list, slow but
  // broad.
  std::vector<Engine> engines(bool fallback);
  // Of that engine. Not found if cuDNN cannot build it or its workspace is too large.
  Plan plan(const Engine&);
  Plan first();  // of the first engine that has one

 private:
  std::string graph_refused() const;  // empty if cuDNN accepts the graph
  std::string configure(const Engine&, const Descriptor& engine, Descriptor& configuration);

  Problem problem_;
  cudnnHandle_t handle_;
  Descriptor device_;
  Graph graph_;
  int offered_ = 0, refused_ = 0;
};

}  // namespace kernels::cudnn
