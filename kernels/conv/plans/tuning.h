// The time that the convolutions of one model may spend on being measured, spread over
// the first steps of a training. A convolution runs on cuDNN's likeliest plan until its
// turn comes: the first step comes in seconds, and the large convolutions, which gain
// most, are measured first. Outside of a Step nothing is measured, so a preview or a
// conversion never waits. Needs no cuDNN.
#pragma once
#include <map>
#include <set>

#include "kernels/conv/plans/problem.h"

namespace kernels {

struct TuningLimits {                        // wall time in milliseconds
  double per_conv = 1000, together = 90000;  // the budget: the smaller of both sums
  double longest = 3000, shortest = 200;     // of one convolution
  std::size_t least_per_step = 8;            // convolutions measured in one step
  std::size_t steps = 12;                    // in which all of them have their turn
};

class ConvTuning {
 public:
  explicit ConvTuning(const TuningLimits& limits = {}) : limits_(limits) {}

  // One run of the step, eager, on this thread.
  class Step {
   public:
    explicit Step(ConvTuning&);
    ~Step();
    Step(const Step&) = delete;
    Step& operator=(const Step&) = delete;
  };
  static ConvTuning* current();  // of the running Step; null outside

  // For the seam, which meets a convolution without a measured plan. Returns the
  // milliseconds it may spend now; 0: the convolution keeps its plan for this step.
  double time_for(const cudnn::Problem&);
  void finished(const cudnn::Problem&, double ms);  // however it went

  // Every convolution of the last step has its plan, or the time is spent: later steps
  // run what this one ran.
  bool settled() const;
  std::size_t waiting() const { return waiting_.size(); }  // convolutions not measured

 private:
  bool time_is_spent() const { return budget_ - spent_ < limits_.shortest; }
  void choose_due();

  TuningLimits limits_;
  std::map<cudnn::Problem, double> waiting_;  // met, not measured; with its multiply-adds
  std::set<cudnn::Problem> due_;              // of these, the ones whose turn it is
  double budget_ = 0, spent_ = 0;             // in milliseconds
  std::size_t begun_ = 0;                     // steps
};

// Runs the work until its plans are settled.
template <class F> void run_until_tuned(const F& work, const TuningLimits& limits = {}) {
  ConvTuning tuning(limits);
  while (!tuning.settled()) {
    const ConvTuning::Step step(tuning);
    work();
  }
}
}  // namespace kernels
