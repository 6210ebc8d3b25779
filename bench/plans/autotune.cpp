#include <cuda_runtime.h>
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <chrono>

#include "bench/plans/autotune.h"
#include "kernels/conv/cudnn/api.h"
#include "kernels/conv/cudnn/variants.h"
#include "kernels/conv/plans/autotuner.h"
#include "kernels/core/cuda/check.h"
#include "kernels/random.h"

namespace bench::plans {
namespace {

using namespace kernels;
using namespace kernels::cudnn;

cudnnHandle_t handle() {
  static cudnnHandle_t const made = [] {
    const CudaReport gpu = probe_cuda();
    if (!gpu.available)
      throw Error(ErrorKind::device, "no GPU to plan for: " + gpu.reason +
                                         "; --described plans for a card that is not here");
    cudnnHandle_t fresh = nullptr;
    cudnn::check(Api::open().create(&fresh), "cudnnCreate");
    return fresh;
  }();
  return made;  // lives as long as the process: at exit the driver may be gone before it
}

std::int64_t values_of(const ConvShape& s, Direction direction) {
  return direction == Direction::forward ? s.n * s.out_h() * s.out_w() * s.out_channels
         : direction == Direction::data
             ? s.n * s.h * s.w * s.in_channels
             : std::int64_t{s.out_channels} * s.kernel * s.kernel * s.in_channels;
}

// Operands of one problem, between -1 and 1: of zeros a card computes faster.
template <class T> struct Operands {
  Buffer x, w, y, bias;
  explicit Operands(Stream& stream, const ConvShape& s) {
    const auto filled = [&](std::int64_t count) {
      Buffer buffer(Device::cuda, static_cast<std::size_t>(count) * sizeof(T));
      uniform<Cuda, T>(stream, buffer.as<T>(), count, -1.f, 1.f, 1, 1);
      return buffer;
    };
    x = filled(values_of(s, Direction::data));
    w = filled(values_of(s, Direction::filter));
    y = filled(values_of(s, Direction::forward));
    bias = filled(s.out_channels);
  }
};

// One variant to compute a problem, with any of its engines.
template <class T> class VariantAutotuner final : public Autotuner {
 public:
  VariantAutotuner(Stream& stream, const Problem& wanted, Variant variant,
                   const Operands<T>& operands, bool fallback, std::size_t flush_bytes)
      : stream_(&stream),
        wanted_(wanted),
        variant_(variant),
        operands_(&operands),
        planner_(graph_of(wanted, variant), handle()),
        flush_(Device::cuda, flush_bytes) {
    engines_ = planner_.engines(fallback);
    plans_.resize(engines_.size());
    for (cudaEvent_t& event : events_) cuda::check(cudaEventCreate(&event), "cudaEventCreate");
  }
  ~VariantAutotuner() override {
    for (cudaEvent_t event : events_) cudaEventDestroy(event);
  }

  std::size_t size() const override { return engines_.size(); }
  bool prepare(std::size_t i) override {
    if (built_ >= (variant_.fused ? fused_engines_measured : engines_measured)) return false;
    plans_[i] = planner_.plan(engines_[i]);
    built_ += plans_[i].report.found;
    return plans_[i].report.found;
  }
  double run(std::size_t i) override {
    const auto raw = static_cast<cudaStream_t>(stream_->raw());
    fill_zero(*stream_, flush_.data(), flush_.bytes());
    cuda::check(cudaEventRecord(events_[0], raw), "cudaEventRecord");
    compute(plans_[i]);
    cuda::check(cudaEventRecord(events_[1], raw), "cudaEventRecord");
    stream_->synchronize();
    float ms = 0;
    cuda::check(cudaEventElapsedTime(&ms, events_[0], events_[1]), "cudaEventElapsedTime");
    return ms;
  }
  bool repeats(std::size_t) override {
    return true;
  }  // engines that do not are refused by their notes; the seam looks again
  double elapsed_ms() override {
    return std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - begin_)
        .count();
  }

  const PlanReport& report(std::size_t i) const { return plans_[i].report; }
  std::string why_not() { return planner_.first().report.why_not; }
  // From now on without our epilogue.
  void leave_out_epilogue() { epilogue_ = false; }

 private:
  void compute(const Plan& plan) {
    const ConvOperands<T> operands{operands_->x.template as<const T>(),
                                   operands_->w.template as<const T>(),
                                   wanted_.bias ? operands_->bias.template as<const T>() : nullptr,
                                   operands_->y.template as<const T>()};
    epilogue_ ? run_variant<T>(handle(), *stream_, wanted_, variant_, plan, operands)
              : run_graph<T>(handle(), *stream_, wanted_, variant_, plan, operands);
  }

  Stream* stream_;
  Problem wanted_;
  Variant variant_;
  const Operands<T>* operands_;
  Planner planner_;
  Buffer flush_;
  std::vector<Engine> engines_;
  std::vector<Plan> plans_;
  std::size_t built_ = 0;
  bool epilogue_ = true;
  std::array<cudaEvent_t, 2> events_{};
  std::chrono::steady_clock::time_point begin_ = std::chrono::steady_clock::now();
};

template <class T>
VariantResult time_variant(Stream& stream, const Problem& wanted, Variant variant,
                           const Operands<T>& operands, std::size_t flush_bytes, double budget_ms) {
  VariantResult result;
  result.variant = variant;
  for (const bool fallback : {false, true}) {
    VariantAutotuner<T> autotuner(stream, wanted, variant, operands, fallback, flush_bytes);
    AutotuneLimits limits;
    limits.budget_ms = budget_ms;
    const AutotuneResult ranking = choose_fastest(autotuner, limits);
    for (std::size_t i = 0; i < autotuner.size(); ++i)
      if (autotuner.report(i).found)
        result.engines.push_back({autotuner.report(i), ranking.medians[i]});
    if (!ranking.winner) {
      result.why_not = ranking.failed > 0 ? fmt::format("{} of {} engines failed when run",
                                                        ranking.failed, autotuner.size())
                                          : autotuner.why_not();
      continue;
    }
    result.why_not.clear();
    if (wanted.direction == Direction::forward && !variant.fused) {
      autotuner.leave_out_epilogue();
      std::vector<double> times;
      for (int i = 0; i < limits.runs; ++i) times.push_back(autotuner.run(*ranking.winner));
      std::nth_element(times.begin(), times.begin() + limits.runs / 2, times.end());
      result.bare_ms = times[static_cast<std::size_t>(limits.runs / 2)];
    }
    break;
  }
  std::stable_sort(
      result.engines.begin(), result.engines.end(),
      [](const Timed& a, const Timed& b) { return a.ms >= 0 && (b.ms < 0 || a.ms < b.ms); });
  return result;
}

template <class T> std::vector<VariantResult> time_all(const Problem& wanted, double budget_ms) {
  Stream& stream = Stream::of(Device::cuda);
  int flush_bytes = 0;
  cuda::check(cudaDeviceGetAttribute(&flush_bytes, cudaDevAttrL2CacheSize, 0),
              "cudaDeviceGetAttribute");
  const Operands<T> operands(stream, wanted.shape);
  std::vector<VariantResult> results;
  for (const Variant variant : variants(wanted, probe_cuda().compute_capability)) {
    try {
      results.push_back(time_variant<T>(stream, wanted, variant, operands,
                                        static_cast<std::size_t>(flush_bytes), budget_ms));
    } catch (
        const Error&
            error) {  // cuDNN does not know an operation of this variant's graph, or the memory is full
      results.push_back({variant, {}, {}, error.what()});
    }
    release_cached(Device::cuda);
  }
  return results;
}

}  // namespace

std::string device_properties() {
  Descriptor device(CUDNN_BACKEND_DEVICEPROP_DESCRIPTOR);
  device.set(CUDNN_ATTR_DEVICEPROP_HANDLE, CUDNN_TYPE_HANDLE, handle());
  device.finalize("asking cuDNN for the card's description");
  std::string text(1 << 16, '\0');
  std::int64_t count = 0;
  cudnn::check(Api::open().get_attribute(device.raw(), CUDNN_ATTR_DEVICEPROP_JSON_REPRESENTATION,
                                         CUDNN_TYPE_CHAR, static_cast<std::int64_t>(text.size()),
                                         &count, text.data()),
               "reading the card's description");
  text.resize(std::min(text.size(), static_cast<std::size_t>(std::max<std::int64_t>(count, 0))));
  text.resize(std::min(text.size(), text.find('\0')));
  return text;
}

Machine this_machine() {
  handle();
  const CudaReport gpu = probe_cuda();
  return {gpu.reason, gpu.driver, gpu.compute_capability, Api::open().get_version()};
}

std::vector<VariantResult> time_on_this_card(const Problem& wanted, double budget_ms) {
  handle();
  switch (wanted.math_type) {
    case MathType::bf16: return time_all<bf16>(wanted, budget_ms);
    case MathType::f16: return time_all<f16>(wanted, budget_ms);
    default: return time_all<float>(wanted, budget_ms);
  }
}

std::vector<VariantResult> plan_for_description(const Problem& wanted, int compute_capability,
                                                const std::string& device_json) {
  std::vector<VariantResult> results;
  for (const Variant variant : variants(wanted, compute_capability)) {
    VariantResult result;
    result.variant = variant;
    for (const bool fallback : {false, true}) {
      const std::size_t most = variant.fused ? fused_engines_measured : engines_measured;
      for (const Engine& engine :
           engines_for_described_device(graph_of(wanted, variant), device_json, fallback)) {
        PlanReport report =
            cudnn::plan_for_described_device(graph_of(wanted, variant), device_json, engine);
        if (report.found) result.engines.push_back({std::move(report), -1});
        else result.why_not = report.why_not;
        if (result.engines.size() == most) break;
      }
      if (!result.engines.empty()) break;
    }
    if (!result.engines.empty()) result.why_not.clear();
    else if (result.why_not.empty()) result.why_not = "no engine is offered";
    results.push_back(std::move(result));
  }
  return results;
}

}  // namespace bench::plans
