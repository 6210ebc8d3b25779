// A training step captured once as a CUDA graph and replayed. The step runs eagerly
// twice (plans chosen, pool warm) and its third run is captured; the memory of that run
// belongs to the graph from then on. On the host every run is eager.
#pragma once
#include <functional>
#include <memory>
#include <string>

#include "kernels/core/graph.h"
#include "kernels/core/memory.h"

namespace nn {

class StepGraph {
 public:
  explicit StepGraph(kernels::Device device) : device_(device) {}
  // step must do the same work on the same memory each time; all that differs is in
  // StepState.
  void run(const std::function<void()>& step);
  bool captured() const { return graph_.ready(); }
  const std::string& why_not() const { return why_not_; }  // the reason for running eagerly
  std::size_t node_count() const { return graph_.node_count(); }

 private:
  kernels::Device device_;
  std::unique_ptr<kernels::GraphMemory> memory_;  // outlives the graph
  kernels::Graph graph_;
  int runs_ = 0;
  std::string why_not_;
};
}  // namespace nn
