// A training step recorded once as a CUDA graph and replayed. The step runs eagerly twice (plans chosen, pool warm), then the
// third run is captured; the memory that it worked on belongs to the graph from then on. On the host every run is eager: there is nothing to capture.
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
  // step must do the same work on the same memory each time; what differs lives in StepState.
  void run(const std::function<void()>& step);
  bool captured() const { return graph_.ready(); }
  const std::string& why_not() const { return why_not_; }  // why it runs eagerly
  std::size_t node_count() const { return graph_.node_count(); }

 private:
  kernels::Device device_;
  std::unique_ptr<kernels::GraphMemory> memory_;  // outlives the graph
  kernels::Graph graph_;
  int runs_ = 0;
  std::string why_not_;
};

}  // namespace nn
