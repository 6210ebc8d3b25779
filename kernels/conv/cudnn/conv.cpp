// The convolution seam on the GPU, by cuDNN's graph interface. A convolution met first
// gets its plan from the cache on disk, else cuDNN's likeliest one; when its turn in a
// ConvTuning comes, its variants and engines run on its own operands, and the fastest is
// kept in memory and on disk. Making a plan may wait or allocate, so every layer must
// run once before a CUDA graph is captured. With DOPPEL_MEASURE_PLANS=0 in the
// environment nothing is measured and nothing read from disk.
#include "kernels/conv/conv.h"

#include <cuda_runtime.h>
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <map>
#include <mutex>
#include <optional>

#include "kernels/conv/cudnn/autotuner.h"
#include "kernels/conv/plans/plan_cache.h"
#include "kernels/conv/plans/tuning.h"
#include "kernels/core/cuda/backend.h"
#include "kernels/core/device.h"
#include "kernels/core/environment.h"

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
      found = chosen_.emplace(wanted, first_choice(stream, wanted, operands)).first;
    }
    Choice& choice = found->second;
    if (measures_ && !choice.settled && ConvTuning::current())
      measure_if_due(*ConvTuning::current(), stream, wanted, operands, choice);
    run_variant(handle_, stream, wanted, choice.variant, choice.plan, operands);
    cuda::finish_launch(stream.raw(), "a convolution by cuDNN");
  }

 private:
  struct Choice : VariantPlan {
    bool settled = false;                // measured, or from the cache
    std::optional<CachedPlan> compiled;  // from the cache, to be compiled when its turn comes
  };

  Choice first_choice(Stream& stream, const Problem& wanted, const ConvOperands& operands) {
    const std::vector<Variant> all = variants(wanted, machine_.compute_capability);
    std::optional<CachedPlan> cached = measures_ ? cache_.find(key(wanted)) : std::nullopt;
    if (cached && std::find(all.begin(), all.end(), cached->variant) == all.end()) cached.reset();
    if (cached) {
      Plan plan = make(wanted, *cached, /*compiles=*/false);
      if (plan.report.found) return {{cached->variant, std::move(plan)}, true, {}};
      if (!plan.report.runtime_compiled) cached.reset();
    }
    stream.synchronize();  // a fault of earlier work is not a failure of cuDNN's engines
    std::string why_none;
    for (const bool fallback : {false, true}) {
      for (const bool fused : {false, true}) {  // the fused are compiled: a second each
        std::vector<Variant> some = all;
        std::erase_if(some, [&](Variant variant) { return variant.fused != fused; });
        if (some.empty()) continue;
        Autotuner autotuner(handle_, stream, wanted, operands, some, fallback);
        const AutotuneResult result = autotuner.likeliest();
        if (result.winner) return {autotuner.take(*result.winner), false, cached};
        if (!fused) why_none = autotuner.why_none(result);
      }
    }
    const bool too_old = wanted.math_type == MathType::bf16 && machine_.compute_capability < 80;
    throw Error(
        ErrorKind::failure,
        fmt::format("cuDNN {} has no engine for {} on sm_{}: {}; {}", machine_.cudnn_version,
                    wanted.str(), machine_.compute_capability, why_none,
                    too_old ? "bf16 needs sm_80 or newer, train in f32 on this card"
                            : "run with --device cpu"));
  }

  // The first choice stays if no measured candidate may win or memory for trials is
  // missing.
  void measure_if_due(ConvTuning& tuning, Stream& stream, const Problem& wanted,
                      const ConvOperands& operands, Choice& choice) {
    const double budget_ms = tuning.time_for(wanted);
    if (budget_ms <= 0) return;
    stream.synchronize();
    const auto begin = std::chrono::steady_clock::now();
    try {
      improve(stream, wanted, operands, budget_ms, choice);
    } catch (const Error& error) {
      if (error.kind() != ErrorKind::memory) throw;
    }
    choice.settled = true;
    const std::chrono::duration<double, std::milli> spent =
        std::chrono::steady_clock::now() - begin;
    tuning.finished(wanted, spent.count());
  }

  void improve(Stream& stream, const Problem& wanted, const ConvOperands& operands,
               double budget_ms, Choice& choice) {
    VariantPlan& chosen = choice;
    if (choice.compiled) {
      Plan plan = make(wanted, *choice.compiled, /*compiles=*/true);
      if (plan.report.found) {
        chosen = {choice.compiled->variant, std::move(plan)};
        return;
      }
    }
    Autotuner autotuner(handle_, stream, wanted, operands,
                        variants(wanted, machine_.compute_capability), /*fallback=*/false);
    const AutotuneResult result = autotuner.fastest({.budget_ms = budget_ms});
    if (!result.winner) return;
    chosen = autotuner.take(*result.winner);
    cache_.store(key(wanted), {chosen.variant, chosen.plan.report.engine, result.ms});
  }

  Plan make(const Problem& wanted, const CachedPlan& cached, bool compiles) const {
    return Planner(graph_of(wanted, cached.variant), handle_).plan(cached.engine, compiles);
  }

  std::string key(const Problem& wanted) const { return PlanCache::make_key(wanted, machine_); }

  const cudnnHandle_t handle_ = process_handle();
  const PlanCache::Machine machine_ = this_machine();
  const bool measures_ = !switched_off("DOPPEL_MEASURE_PLANS");
  std::mutex mutex_;
  std::map<Problem, Choice> chosen_;
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
