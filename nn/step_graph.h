// A training step captured once as a CUDA graph and replayed. The step runs eagerly
// until its convolutions have their plans and the pool its blocks, and is captured then;
// the memory of that run belongs to the graph from then on. On the host every run is
// eager.
#pragma once
#include <functional>
#include <memory>
#include <string>

#include "kernels/conv/plans/tuning.h"
#include "kernels/core/graph.h"
#include "kernels/core/memory.h"

namespace nn {

// Decides how each run of a step goes. A capture that fails is tried again: a plan that
// was new, or a block that another thread had taken, is there at the next run.
class CaptureSchedule {
 public:
  enum class Run { eager, capture, replay };
  static constexpr int kAttempts = 3;

  // tuned: the run before was on the plans that this one has.
  Run next(bool tuned);
  void captured() { state_ = State::captured; }
  void failed(std::string why);   // of a capture
  void give_up(std::string why);  // eager from now on
  bool is_captured() const { return state_ == State::captured; }
  bool gave_up() const { return state_ == State::eager; }
  const std::string& why_not() const { return why_not_; }  // of the latest failure

 private:
  enum class State { trying, captured, eager } state_ = State::trying;
  int runs_alike_ = 0;  // eager, in a row, all on the same plans
  int failures_ = 0;
  std::string why_not_;
};

class StepGraph {
 public:
  // Eager for ever with DOPPEL_GRAPH=0 or DOPPEL_SYNC_LAUNCHES=1 in the environment.
  explicit StepGraph(kernels::Device device);
  // step must do the same work on the same memory each time; all that differs is in
  // StepState.
  void run(const std::function<void()>& step);
  bool captured() const { return schedule_.is_captured(); }
  // The runs so far were of another kind than the next ones will be: do not time them.
  bool settling() const { return !captured() && !gave_up(); }
  bool gave_up() const { return schedule_.gave_up(); }  // eager from now on
  const std::string& why_not() const { return schedule_.why_not(); }
  std::size_t node_count() const { return graph_.node_count(); }

 private:
  void run_eagerly(const std::function<void()>& step);
  kernels::Device device_;
  CaptureSchedule schedule_;
  kernels::ConvTuning tuning_;
  std::unique_ptr<kernels::GraphMemory> memory_;  // outlives the graph
  kernels::Graph graph_;
};
}  // namespace nn
