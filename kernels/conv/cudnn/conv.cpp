// The convolution seam on the GPU, by cuDNN's graph interface. A convolution met first
// is tuned: its variants and engines run on its own operands, and the fastest is kept
// in memory and on disk. Making a plan may compile a kernel, so every layer must run
// once before a CUDA graph is captured. DOPPEL_MEASURE_PLANS=0 in the environment takes
// the likeliest plan unmeasured.
#include "kernels/conv/conv.h"

#include <cuda_runtime.h>
#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <map>
#include <mutex>
#include <string_view>

#include "kernels/conv/cudnn/autotuner.h"
#include "kernels/conv/plans/plan_cache.h"
#include "kernels/core/device.h"

namespace kernels {
namespace {

using namespace cudnn;

// The plans of this process. The mutex is cuDNN's handle's: it serves one thread at a
// time.
class Plans {
 public:
  static Plans& get() {
    static auto* const plans = new Plans;  // never destroyed: at exit the driver may be gone first
    return *plans;
  }

  void run(Stream& stream, const Problem& wanted, const ConvOperands& operands) {
    const std::lock_guard lock(mutex_);
    auto found = chosen_.find(wanted);
    if (found == chosen_.end()) {
      if (stream.capturing())
        throw Error(ErrorKind::failure, "cuDNN plan for " + wanted.str() +
                                            " is first needed inside a graph capture: "
                                            "run the step once before capturing it");
      found = chosen_.emplace(wanted, choose(stream, wanted, operands)).first;
    }
    run_variant(handle_, stream, wanted, found->second.variant, found->second.plan, operands);
  }

 private:
  Plans() {
    const char* const measure = std::getenv("DOPPEL_MEASURE_PLANS");
    measures_ = !measure || std::string_view(measure) != "0";
  }

  VariantPlan choose(Stream& stream, const Problem& wanted, const ConvOperands& operands) {
    const std::string key = PlanCache::make_key(wanted, machine_);
    const std::vector<Variant> all = variants(wanted, machine_.compute_capability);
    const auto cached = measures_ ? cache_.find(key) : std::nullopt;
    if (cached && std::find(all.begin(), all.end(), cached->variant) != all.end()) {
      Plan plan = Planner(graph_of(wanted, cached->variant), handle_).plan(cached->engine);
      if (plan.report.found) return {cached->variant, std::move(plan)};
    }
    std::string why_none;
    for (const bool fallback : {false, true}) {
      Autotuner autotuner(handle_, stream, wanted, operands, all, fallback);
      const AutotuneResult result = measures_ ? autotuner.fastest() : autotuner.likeliest();
      if (result.winner) {
        VariantPlan chosen = autotuner.take(*result.winner);
        if (measures_) cache_.store(key, {chosen.variant, chosen.plan.report.engine, result.ms});
        return chosen;
      }
      why_none = autotuner.why_none(result);
    }
    const bool too_old = wanted.math_type == MathType::bf16 && machine_.compute_capability < 80;
    throw Error(
        ErrorKind::failure,
        fmt::format("cuDNN {} has no engine for {} on sm_{}: {}; {}", machine_.cudnn_version,
                    wanted.str(), machine_.compute_capability, why_none,
                    too_old ? "bf16 needs sm_80 or newer, train in f32 on this card"
                            : "run with --device cpu"));
  }

  const cudnnHandle_t handle_ = process_handle();
  const PlanCache::Machine machine_ = this_machine();
  bool measures_ = true;
  std::mutex mutex_;
  std::map<Problem, VariantPlan> chosen_;
  PlanCache cache_{PlanCache::default_file()};
};

template <class T>
void run(Stream& stream, Direction direction, const ConvShape& s, const ConvOperands& o,
         const ConvEpilogue& epilogue = {}) {
  Problem p{.shape = s, .direction = direction, .math_type = MathType::bf16};
  if constexpr (std::is_same_v<T, f16>) p.math_type = MathType::f16;
  if constexpr (std::is_same_v<T, float>) p.math_type = allow_tf32 ? MathType::tf32 : MathType::f32;
  p.bias = o.bias != nullptr;
  p.activation = epilogue.activation;
  if (epilogue.activation == Activation::leaky_relu) p.slope = epilogue.slope;
  // cuDNN's vector loads want 16 bytes; a parameter may lie at less in its arena.
  std::uintptr_t bits = 16;
  for (const void* operand : {o.x, o.w, o.bias, o.y})
    bits |= reinterpret_cast<std::uintptr_t>(operand);
  p.alignment = static_cast<int>(bits & (~bits + 1));
  Plans::get().run(stream, p, o);
}
}  // namespace

template <class D, class T>
void conv_forward(Stream& stream, const ConvShape& s, const T* x, const T* w, const T* bias, T* y,
                  const ConvEpilogue& epilogue) {
  if (s.n > 0) run<T>(stream, Direction::forward, s, {x, w, bias, y}, epilogue);
}

template <class D, class T>
void conv_backward_data(Stream& stream, const ConvShape& s, const T* dy, const T* w, T* dx) {
  if (s.n > 0) run<T>(stream, Direction::data, s, {dx, w, nullptr, dy});
}

template <class D, class T>
void conv_backward_filter(Stream& stream, const ConvShape& s, const T* x, const T* dy, T* dw) {
  if (s.n > 0) return run<T>(stream, Direction::filter, s, {x, dw, nullptr, dy});
  fill_zero(stream, dw, sizeof(T) * static_cast<std::size_t>(s.w_size()));
}

#define INSTANTIATE(T)                                                        \
  template decltype(conv_forward<Cuda, T>) conv_forward<Cuda, T>;             \
  template decltype(conv_backward_data<Cuda, T>) conv_backward_data<Cuda, T>; \
  template decltype(conv_backward_filter<Cuda, T>) conv_backward_filter<Cuda, T>;
INSTANTIATE(float)
INSTANTIATE(bf16)
INSTANTIATE(f16)
#undef INSTANTIATE
}  // namespace kernels
