#include "bench/plans/tune.h"

#include <algorithm>

#include "kernels/conv/cudnn/autotuner.h"
#include "kernels/random.h"

namespace bench::plans {
namespace {

using namespace kernels;
using namespace kernels::cudnn;

// Values between -1 and 1: a card computes faster on zeros.
Buffer random_operand(Stream& stream, MathType math_type, std::int64_t count) {
  Buffer buffer(Device::cuda, static_cast<std::size_t>(count * bytes_per_value(math_type)));
  on_type(math_type,
          [&]<class T>() { uniform<Cuda, T>(stream, buffer.as<T>(), count, -1.f, 1.f, 1, 1); });
  return buffer;
}

VariantResult time_variant(Stream& stream, const Problem& wanted, Variant variant,
                           const ConvOperands& operands, const AutotuneLimits& limits) {
  VariantResult result;
  result.variant = variant;
  for (const bool fallback : {false, true}) {
    Autotuner autotuner(process_handle(), stream, wanted, operands, {variant}, fallback);
    const AutotuneResult ranking = autotuner.fastest(limits);
    for (std::size_t i = 0; i < autotuner.size(); ++i)
      if (autotuner.report(i).found)
        result.engines.push_back({autotuner.report(i), ranking.medians[i]});
    result.why_not = ranking.winner ? "" : autotuner.why_none(ranking);
    if (!ranking.winner) continue;
    if (wanted.direction == Direction::forward && !variant.fused)
      result.bare_ms = autotuner.time_without_epilogue(*ranking.winner, limits.runs);
    break;
  }
  std::stable_sort(
      result.engines.begin(), result.engines.end(),
      [](const Timed& a, const Timed& b) { return a.ms >= 0 && (b.ms < 0 || a.ms < b.ms); });
  return result;
}
}  // namespace

std::vector<VariantResult> time_on_this_card(const Problem& wanted, double budget_ms) {
  Stream& stream = Stream::of(Device::cuda);
  const ConvShape& s = wanted.shape;
  const auto operand = [&](std::int64_t count) {
    return random_operand(stream, wanted.math_type, count);
  };
  const Buffer x = operand(s.x_size()), w = operand(s.w_size()), y = operand(s.y_size()),
               bias = operand(s.out_channels);
  const ConvOperands operands{x.data(), w.data(), wanted.bias ? bias.data() : nullptr, y.data()};
  std::vector<VariantResult> results;
  for (const Variant variant : variants(wanted, probe_cuda().compute_capability)) {
    try {
      results.push_back(time_variant(stream, wanted, variant, operands, {.budget_ms = budget_ms}));
    } catch (const Error& error) {  // the memory is full
      results.push_back({variant, {}, {}, error.what()});
    }
  }
  return results;
}

std::vector<VariantResult> plan_for_description(const Problem& wanted, int compute_capability,
                                                const std::string& device_json) {
  std::vector<VariantResult> results;
  for (const Variant variant : variants(wanted, compute_capability)) {
    const Problem graph = graph_of(wanted, variant);
    VariantResult result;
    result.variant = variant;
    result.why_not = "no engine is offered";
    for (const bool fallback : {false, true}) {
      for (const Engine& engine : Planner(graph, device_json).engines(fallback)) {
        PlanReport report = Planner(graph, device_json).plan(engine).report;
        if (report.found) result.engines.push_back({std::move(report), -1});
        else result.why_not = report.why_not;
        if (result.engines.size() == most_engines(variant)) break;
      }
      if (!result.engines.empty()) break;
    }
    if (!result.engines.empty()) result.why_not.clear();
    results.push_back(std::move(result));
  }
  return results;
}
}  // namespace bench::plans
