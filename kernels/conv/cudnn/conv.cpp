// Convolution on the GPU: cuDNN's graph interface. When a convolution is first met, the variants to compute it (cudnn_plan.h) and the
// engines that cuDNN's heuristics name for each are run on its own operands; the fastest is kept, in memory and on disk
// (plan_cache.h). Making a plan may compile a kernel, so every layer must run once before a CUDA graph is captured.
// DOPPEL_MEASURE_PLANS=0 in the environment takes the likeliest plan unmeasured.
#include <cuda_runtime.h>
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <map>
#include <memory>
#include <mutex>

#include "kernels/conv/cudnn/variants.h"
#include "kernels/conv/plans/autotuner.h"
#include "kernels/conv/plans/plan_cache.h"
#include "kernels/core/cuda/check.h"
#include "kernels/core/math_mode.h"

namespace kernels {
namespace {

using namespace cudnn;

// How a problem is computed from now on.
struct Chosen {
  Variant variant;
  Plan plan;
};

// The autotuner between the variants and engines for one problem, on the operands of the call that met it first. Engines come from
// cuDNN's first list or from its fallback; of each variant the first few that can be built take part.
template <class T> class PlanAutotuner final : public Autotuner {
 public:
  PlanAutotuner(cudnnHandle_t handle, Stream& stream, const Problem& wanted,
                const ConvOperands<T>& operands, const std::vector<Variant>& variants,
                bool fallback, std::size_t flush_bytes)
      : handle_(handle),
        stream_(&stream),
        wanted_(wanted),
        operands_(operands),
        flush_(Device::cuda, flush_bytes) {
    for (const Variant variant : variants) {
      try {
        planners_.emplace_back(variant, Planner(graph_of(wanted, variant), handle));
      } catch (
          const Error&
              e) {  // cuDNN does not know an operation of the graph: there may be another variant
        refused_ = e.what();
      }
    }
    for (std::size_t i = 0; i < planners_.size(); ++i) {
      for (Engine& engine : planners_[i].second.engines(fallback))
        candidates_.push_back({i, std::move(engine)});
    }
    plans_.resize(candidates_.size());
    built_.resize(planners_.size());
    for (cudaEvent_t& event : events_) cuda::check(cudaEventCreate(&event), "cudaEventCreate");
  }
  ~PlanAutotuner() override {
    for (cudaEvent_t event : events_) cudaEventDestroy(event);
  }

  std::size_t size() const override { return candidates_.size(); }
  bool prepare(std::size_t i) override {
    auto& [variant, planner] = planners_[candidates_[i].planner];
    std::size_t& built = built_[candidates_[i].planner];
    if (built >= (variant.fused ? fused_engines_measured : engines_measured)) return false;
    plans_[i] = planner.plan(candidates_[i].engine);
    built += plans_[i].report.found;
    return plans_[i].report.found;
  }
  double run(std::size_t i) override {
    fill_zero(*stream_, flush_.data(),
              flush_.bytes());  // what the last run left in the cache makes room
    cuda::check(cudaEventRecord(events_[0], raw_stream()), "cudaEventRecord");
    run_variant<T>(handle_, *stream_, wanted_, variant(i), plans_[i], operands_);
    cuda::check(cudaEventRecord(events_[1], raw_stream()), "cudaEventRecord");
    stream_->synchronize();
    float ms = 0;
    cuda::check(cudaEventElapsedTime(&ms, events_[0], events_[1]), "cudaEventElapsedTime");
    return ms;
  }
  // Compares the first 16 MB of the result: an engine that adds in another order does so everywhere.
  bool repeats(std::size_t i) override {
    const ConvShape& s = wanted_.shape;
    const std::int64_t values =
        wanted_.direction == Direction::forward ? s.n * s.out_h() * s.out_w() * s.out_channels
        : wanted_.direction == Direction::data
            ? s.n * s.h * s.w * s.in_channels
            : std::int64_t{s.out_channels} * s.kernel * s.kernel * s.in_channels;
    const void* const result = wanted_.direction == Direction::forward ? operands_.y
                               : wanted_.direction == Direction::data  ? operands_.x
                                                                       : operands_.w;
    std::vector<std::byte> results[2];
    for (auto& bytes : results) {
      run_variant<T>(handle_, *stream_, wanted_, variant(i), plans_[i], operands_);
      bytes.resize(std::min<std::size_t>(sizeof(T) * static_cast<std::size_t>(values), 16 << 20));
      copy(bytes.data(), Device::host, result, Device::cuda, bytes.size());
    }
    return results[0] == results[1];
  }
  double elapsed_ms() override {
    return std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - begin_)
        .count();
  }

  Variant variant(std::size_t i) const { return planners_[candidates_[i].planner].first; }
  Plan take(std::size_t i) { return std::move(plans_[i]); }
  std::string why_not() {
    return planners_.empty() ? refused_ : planners_.front().second.first().report.why_not;
  }

 private:
  struct Candidate {
    std::size_t planner;
    Engine engine;
  };
  cudaStream_t raw_stream() const { return static_cast<cudaStream_t>(stream_->raw()); }

  cudnnHandle_t handle_;
  Stream* stream_;
  Problem wanted_;
  ConvOperands<T> operands_;
  Buffer flush_;
  std::vector<std::pair<Variant, Planner>> planners_;
  std::string refused_;
  std::vector<Candidate> candidates_;
  std::vector<Plan> plans_;
  std::vector<std::size_t> built_;  // plans of each variant so far
  std::array<cudaEvent_t, 2> events_{};
  std::chrono::steady_clock::time_point begin_ = std::chrono::steady_clock::now();
};

// cuDNN's state for this process. A handle serves one thread at a time, hence the mutex.
class Context {
 public:
  static Context& get() {
    static auto* const context =
        new Context;  // never destroyed: at exit the driver may be gone before it
    return *context;
  }

  template <class T>
  void run(Stream& stream, const Problem& wanted, const ConvOperands<T>& operands) {
    const std::lock_guard lock(mutex_);
    std::unique_ptr<Chosen>& slot = chosen_[wanted];
    if (!slot) {
      if (stream.capturing())
        throw Error(
            ErrorKind::failure,
            "cuDNN plan for " + wanted.str() +
                " is first needed inside a graph capture: run the step once before capturing it");
      slot = std::make_unique<Chosen>(choose<T>(stream, wanted, operands));
    }
    run_variant<T>(handle_, stream, wanted, slot->variant, slot->plan, operands);
  }

 private:
  Context() {
    const CudaReport gpu = probe_cuda();
    if (!gpu.available)
      throw Error(ErrorKind::device,
                  "no GPU to run cuDNN on: " + gpu.reason);  // before 300 MB are loaded
    check(Api::open().create(&handle_), "cudnnCreate");
    int multiprocessors = 0;
    cuda::check(cudaDeviceGetAttribute(&multiprocessors, cudaDevAttrMultiProcessorCount, 0),
                "cudaDeviceGetAttribute");
    cuda::check(cudaDeviceGetAttribute(&cache_bytes_, cudaDevAttrL2CacheSize, 0),
                "cudaDeviceGetAttribute");
    machine_ = {gpu.reason, gpu.compute_capability, multiprocessors, Api::open().get_version(),
                gpu.driver};
    const char* const measure = std::getenv("DOPPEL_MEASURE_PLANS");
    measures_ = !measure || std::strcmp(measure, "0") != 0;
  }

  template <class T>
  Chosen choose(Stream& stream, const Problem& wanted, const ConvOperands<T>& operands) {
    const std::string key = PlanCache::make_key(wanted, machine_);
    const std::vector<Variant> all = variants(wanted, machine_.compute_capability);
    if (const auto cached = measures_ ? cache_.find(key) : std::nullopt;
        cached && std::find(all.begin(), all.end(), cached->variant) != all.end()) {
      Plan plan = Planner(graph_of(wanted, cached->variant), handle_).plan(cached->engine);
      if (plan.report.found) return {cached->variant, std::move(plan)};
    }
    if (!measures_) return likeliest<T>(stream, wanted, operands, all);
    Chosen chosen = fastest<T>(stream, wanted, operands, all, key);
    release_cached(Device::cuda);  // the losers' workspaces
    return chosen;
  }

  template <class T>
  Chosen likeliest(Stream& stream, const Problem& wanted, const ConvOperands<T>& operands,
                   const std::vector<Variant>& all) {
    std::string why_not;
    for (const bool fallback : {false, true}) {
      PlanAutotuner<T> autotuner(handle_, stream, wanted, operands, all, fallback, 0);
      for (std::size_t i = 0; i < autotuner.size(); ++i) {
        if (autotuner.prepare(i)) return {autotuner.variant(i), autotuner.take(i)};
      }
      why_not = autotuner.why_not();
    }
    no_plan(wanted, why_not);
  }

  template <class T>
  Chosen fastest(Stream& stream, const Problem& wanted, const ConvOperands<T>& operands,
                 const std::vector<Variant>& all, const std::string& key) {
    std::string why_not;
    for (const bool fallback : {false, true}) {
      PlanAutotuner<T> autotuner(handle_, stream, wanted, operands, all, fallback,
                                 static_cast<std::size_t>(cache_bytes_));
      const AutotuneResult result = choose_fastest(autotuner);
      if (result.winner) {
        Chosen chosen{autotuner.variant(*result.winner), autotuner.take(*result.winner)};
        cache_.store(key, {chosen.variant, chosen.plan.report.engine, result.ms});
        return chosen;
      }
      why_not = result.failed > 0 ? fmt::format("{} of {} engines failed when run", result.failed,
                                                autotuner.size())
                                  : autotuner.why_not();
    }
    no_plan(wanted, why_not);
  }

  [[noreturn]] void no_plan(const Problem& p, const std::string& why_not) const {
    const bool bf16_too_new = p.math_type == MathType::bf16 && machine_.compute_capability < 80;
    throw Error(ErrorKind::failure,
                fmt::format("cuDNN {} has no engine for {} on sm_{}: {}; {}",
                            machine_.cudnn_version, p.str(), machine_.compute_capability, why_not,
                            bf16_too_new ? "bf16 needs sm_80 or newer, train in f32 on this card"
                                         : "run with --device cpu"));
  }

  cudnnHandle_t handle_ = nullptr;
  std::mutex mutex_;
  std::map<Problem, std::unique_ptr<Chosen>> chosen_;
  PlanCache cache_{PlanCache::default_file()};
  PlanCache::Machine machine_;
  int cache_bytes_ = 0;
  bool measures_ = true;
};

template <class T>
Problem problem(const ConvShape& s, Direction direction,
                std::initializer_list<const void*> operands) {
  Problem p{.shape = s, .direction = direction, .math_type = MathType::bf16};
  if constexpr (std::is_same_v<T, f16>) p.math_type = MathType::f16;
  if constexpr (std::is_same_v<T, float>) p.math_type = allow_tf32 ? MathType::tf32 : MathType::f32;
  std::uintptr_t bits =
      16;  // cuDNN's vector loads want 16 bytes; a parameter may lie lower in its arena
  for (const void* operand : operands) bits |= reinterpret_cast<std::uintptr_t>(operand);
  p.alignment = static_cast<int>(bits & (~bits + 1));
  return p;
}

}  // namespace

template <class D, class T>
void conv_forward(Stream& stream, const ConvShape& s, const T* x, const T* w, const T* bias, T* y,
                  const ConvEpilogue& epilogue) {
  if (s.n == 0) return;
  Problem p = problem<T>(s, Direction::forward, {x, w, y, bias});
  p.bias = bias != nullptr;
  p.activation = epilogue.activation;
  p.slope = epilogue.activation == Activation::leaky_relu ? epilogue.slope : 0.f;
  Context::get().run<T>(stream, p, {x, w, bias, y});
}

template <class D, class T>
void conv_backward_data(Stream& stream, const ConvShape& s, const T* dy, const T* w, T* dx) {
  if (s.n == 0) return;
  Context::get().run<T>(stream, problem<T>(s, Direction::data, {dx, w, dy}), {dx, w, nullptr, dy});
}

template <class D, class T>
void conv_backward_filter(Stream& stream, const ConvShape& s, const T* x, const T* dy, T* dw) {
  if (s.n == 0)
    return fill_zero(
        stream, dw,
        sizeof(T) * static_cast<std::size_t>(s.out_channels) * s.kernel * s.kernel * s.in_channels);
  Context::get().run<T>(stream, problem<T>(s, Direction::filter, {x, dw, dy}),
                        {x, dw, nullptr, dy});
}

#define INSTANTIATE(T)                                                                             \
  template void conv_forward<Cuda, T>(Stream&, const ConvShape&, const T*, const T*, const T*, T*, \
                                      const ConvEpilogue&);                                        \
  template void conv_backward_data<Cuda, T>(Stream&, const ConvShape&, const T*, const T*, T*);    \
  template void conv_backward_filter<Cuda, T>(Stream&, const ConvShape&, const T*, const T*, T*);
INSTANTIATE(float)
INSTANTIATE(bf16)
INSTANTIATE(f16)
#undef INSTANTIATE

}  // namespace kernels
