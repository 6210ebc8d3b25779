#include "kernels/conv/cudnn/autotuner.h"

#include <cuda_runtime.h>
#include <fmt/format.h>

#include <algorithm>

#include "kernels/core/cuda/check.h"
#include "kernels/core/graph.h"

namespace kernels::cudnn {

Autotuner::Autotuner(cudnnHandle_t handle, Stream& stream, const Problem& wanted,
                     const ConvOperands& operands, const std::vector<Variant>& variants,
                     bool fallback)
    : handle_(handle), stream_(stream), wanted_(wanted), operands_(operands) {
  for (const Variant variant : variants) {
    try {
      planners_.push_back({variant, Planner(graph_of(wanted, variant), handle)});
    } catch (const Error& e) {  // cuDNN lacks an operation of this variant's graph
      refused_ = e.what();
    }
  }
  for (std::size_t i = 0; i < planners_.size(); ++i) {
    for (Engine& engine : planners_[i].planner.engines(fallback))
      candidates_.push_back({i, std::move(engine), {}});
  }
  for (cudaEvent_t& event : events_) cuda::check(cudaEventCreate(&event), "cudaEventCreate");
}

Autotuner::~Autotuner() {
  for (cudaEvent_t event : events_) cudaEventDestroy(event);
}

AutotuneResult Autotuner::fastest(const AutotuneLimits& limits) {
  int cache_bytes = 0;
  cuda::check(cudaDeviceGetAttribute(&cache_bytes, cudaDevAttrL2CacheSize, 0),
              "cudaDeviceGetAttribute");
  flush_ = Buffer(Device::cuda, static_cast<std::size_t>(cache_bytes));
  return autotune(*this, limits);
}

AutotuneResult Autotuner::likeliest() {
  AutotuneResult result;
  for (const bool compiles : {false, true}) {
    compiles_ = compiles;
    result = kernels::likeliest(*this);
    if (result.winner) break;
  }
  return result;
}

std::string Autotuner::why_none(const AutotuneResult& result) {
  if (result.failed > 0)
    return fmt::format("{} of {} engines failed when run, the first with: {}", result.failed,
                       size(), result.first_error);
  return planners_.empty() ? refused_ : planners_.front().planner.first().report.why_not;
}

VariantPlan Autotuner::take(std::size_t i) {
  return {planners_[candidates_[i].planner].variant, std::move(candidates_[i].plan)};
}

double Autotuner::time_without_epilogue(std::size_t i, int runs) {
  Problem bare = wanted_;
  bare.activation = Activation::none;
  std::vector<double> ms;
  for (int run = 0; run < runs; ++run)
    ms.push_back(time(i, bare, {operands_.x, operands_.w, nullptr, operands_.y}));
  return median(std::move(ms));
}

bool Autotuner::prepare(std::size_t i) {
  auto& [planner, engine, plan] = candidates_[i];
  auto& [variant, maker, built] = planners_[planner];
  if (built >= most_engines(variant)) return false;
  plan = maker.plan(engine, compiles_);
  built += plan.report.found;
  return plan.report.found;
}

// Compares 16 MB of the result: an engine with another order of sums differs
// everywhere.
bool Autotuner::repeats(std::size_t i) {
  const ConvShape& s = wanted_.shape;
  const auto [result, values] =
      std::array{std::pair(operands_.y, s.y_size()), std::pair(operands_.x, s.x_size()),
                 std::pair(operands_.w, s.w_size())}[static_cast<std::size_t>(wanted_.direction)];
  const std::int64_t bytes =
      std::min<std::int64_t>(values * bytes_per_value(wanted_.math_type), 16 << 20);
  std::vector<std::byte> results[2];
  for (auto& bits : results) {
    compute(i, wanted_, operands_);
    bits.resize(static_cast<std::size_t>(bytes));
    copy(bits.data(), Device::host, result, Device::cuda, bits.size());
  }
  return results[0] == results[1];
}

void Autotuner::capture(std::size_t i) {
  kernels::Graph graph;
  graph.begin(stream_);
  try {
    compute(i, wanted_, operands_);
    graph.end(stream_);
  } catch (...) {
    graph.abandon(stream_);
    throw;
  }
}

double Autotuner::elapsed_ms() {
  return std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - begin_)
      .count();
}

double Autotuner::time(std::size_t i, const Problem& wanted, const ConvOperands& operands) {
  const auto raw = static_cast<cudaStream_t>(stream_.raw());
  fill_zero(stream_, flush_.data(), flush_.bytes());  // evicts the last run's operands
  cuda::check(cudaEventRecord(events_[0], raw), "cudaEventRecord");
  compute(i, wanted, operands);
  cuda::check(cudaEventRecord(events_[1], raw), "cudaEventRecord");
  stream_.synchronize();
  float ms = 0;
  cuda::check(cudaEventElapsedTime(&ms, events_[0], events_[1]), "cudaEventElapsedTime");
  return ms;
}

void Autotuner::compute(std::size_t i, const Problem& wanted, const ConvOperands& operands) {
  const Candidate& c = candidates_[i];
  run_variant(handle_, stream_, wanted, planners_[c.planner].variant, c.plan, operands);
}
}  // namespace kernels::cudnn
