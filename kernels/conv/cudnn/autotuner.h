// Finds the fastest cuDNN plan for a problem by runs on the operands of a call. Shared
// by the seam (conv.cpp) and bench/plans.
#pragma once
#include <array>
#include <chrono>
#include <string>
#include <vector>

#include "kernels/conv/cudnn/variants.h"
#include "kernels/conv/plans/autotune.h"
#include "kernels/core/memory.h"

struct CUevent_st;

namespace kernels::cudnn {

// The candidates are the engines of each variant, from cuDNN's first list or from its
// fallback. Of each variant the first most_engines() that can be built take part.
class Autotuner final : Candidates {
 public:
  Autotuner(cudnnHandle_t, Stream&, const Problem& wanted, const ConvOperands&,
            const std::vector<Variant>&, bool fallback);
  ~Autotuner() override;

  AutotuneResult fastest(const AutotuneLimits& = {});
  // Unmeasured: the first that works, if possible one that need not be compiled.
  AutotuneResult likeliest();
  std::string why_none(const AutotuneResult&);

  std::size_t size() const override { return candidates_.size(); }
  const PlanReport& report(std::size_t i) const { return candidates_[i].plan.report; }
  VariantPlan take(std::size_t i);
  // The median of a forward candidate without our bias and activation; after fastest().
  double time_without_epilogue(std::size_t i, int runs);

 private:
  struct VariantPlanner {
    Variant variant;
    Planner planner;
    std::size_t built = 0;  // plans so far
  };
  struct Candidate {
    std::size_t planner;
    Engine engine;
    Plan plan;
  };
  bool prepare(std::size_t i) override;
  double run(std::size_t i) override { return time(i, wanted_, operands_); }
  bool repeats(std::size_t i) override;
  void capture(std::size_t i) override;
  void check_device() override { stream_.synchronize(); }
  double elapsed_ms() override;
  double time(std::size_t i, const Problem&, const ConvOperands&);
  void compute(std::size_t i, const Problem&, const ConvOperands&);

  ScratchMemory scratch_{Device::cuda};  // first: workspaces and flush_ go back with it
  cudnnHandle_t handle_;
  Stream& stream_;
  Problem wanted_;
  ConvOperands operands_;
  std::vector<VariantPlanner> planners_;
  std::vector<Candidate> candidates_;
  std::string refused_;   // cuDNN's reason for the last variant without a planner
  bool compiles_ = true;  // engines compiled when they are built are candidates, too
  Buffer flush_;          // as large as the card's L2 cache
  std::array<CUevent_st*, 2> events_{};
  std::chrono::steady_clock::time_point begin_ = std::chrono::steady_clock::now();
};
}  // namespace kernels::cudnn
