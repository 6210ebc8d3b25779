#include "kernels/conv/cudnn/planner.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

namespace kernels::cudnn {
namespace {

template <class Note>
std::vector<Note> notes(cudnnBackendDescriptor_t engine, cudnnBackendAttributeName_t name,
                        cudnnBackendAttributeType_t type) {
  std::array<Note, 32> values;
  std::int64_t count = 0;
  if (Api::open().get_attribute(engine, name, type, values.size(), &count, values.data()) !=
      CUDNN_STATUS_SUCCESS)
    return {};
  return {values.begin(), values.begin() + std::clamp<std::int64_t>(
                                               count, 0, static_cast<std::int64_t>(values.size()))};
}

// Refused: other bits from run to run, sums kept in less than float; for strict float also inputs
// rounded for the tensor cores and transforms that cancel (Winograd, FFT).
bool refused(MathType math_type, const std::vector<cudnnBackendNumericalNote_t>& engine_notes) {
  return std::any_of(engine_notes.begin(), engine_notes.end(),
                     [&](cudnnBackendNumericalNote_t note) {
                       switch (note) {
                         case CUDNN_NUMERICAL_NOTE_NONDETERMINISTIC:
                         case CUDNN_NUMERICAL_NOTE_REDUCED_PRECISION_REDUCTION: return true;
                         case CUDNN_NUMERICAL_NOTE_TENSOR_CORE:
                         case CUDNN_NUMERICAL_NOTE_DOWN_CONVERT_INPUTS:
                         case CUDNN_NUMERICAL_NOTE_FFT:
                         case CUDNN_NUMERICAL_NOTE_WINOGRAD:
                         case CUDNN_NUMERICAL_NOTE_WINOGRAD_TILE_4x4:
                         case CUDNN_NUMERICAL_NOTE_WINOGRAD_TILE_6x6:
                         case CUDNN_NUMERICAL_NOTE_WINOGRAD_TILE_13x13:
                           return math_type == MathType::f32;
                         default: return false;
                       }
                     });
}

std::vector<Descriptor> ranked_configurations(const Descriptor& graph, cudnnBackendHeurMode_t mode,
                                              const Descriptor* device) {
  Descriptor heuristics(CUDNN_BACKEND_ENGINEHEUR_DESCRIPTOR);
  heuristics.set(CUDNN_ATTR_ENGINEHEUR_OPERATION_GRAPH, graph);
  heuristics.set(CUDNN_ATTR_ENGINEHEUR_MODE, CUDNN_TYPE_HEUR_MODE, mode);
  if (device) heuristics.set(CUDNN_ATTR_ENGINEHEUR_DEVICEPROP, *device);
  if (heuristics.try_finalize() != CUDNN_STATUS_SUCCESS) return {};
  std::int64_t count = 0;
  if (Api::open().get_attribute(heuristics.raw(), CUDNN_ATTR_ENGINEHEUR_RESULTS,
                                CUDNN_TYPE_BACKEND_DESCRIPTOR, 0, &count,
                                nullptr) != CUDNN_STATUS_SUCCESS)
    return {};
  std::vector<Descriptor> configurations;
  std::vector<cudnnBackendDescriptor_t> raw;
  for (std::int64_t i = 0; i < count; ++i)
    raw.push_back(configurations.emplace_back(CUDNN_BACKEND_ENGINECFG_DESCRIPTOR).raw());
  std::int64_t written = 0;
  if (Api::open().get_attribute(heuristics.raw(), CUDNN_ATTR_ENGINEHEUR_RESULTS,
                                CUDNN_TYPE_BACKEND_DESCRIPTOR, count, &written,
                                raw.data()) != CUDNN_STATUS_SUCCESS)
    return {};
  configurations.resize(static_cast<std::size_t>(std::min(written, count)));
  return configurations;
}

// The engine and settings of a configuration. Index -1 if cuDNN does not report them.
Engine engine_of(const Descriptor& configuration, cudnnBackendDescriptor_t engine) {
  constexpr std::int64_t most = 64;
  const Api& api = Api::open();
  Engine result;
  std::int64_t count = 0;
  if (api.get_attribute(engine, CUDNN_ATTR_ENGINE_GLOBAL_INDEX, CUDNN_TYPE_INT64, 1, &count,
                        &result.index) != CUDNN_STATUS_SUCCESS)
    return {};
  std::vector<Descriptor> choices;
  std::vector<cudnnBackendDescriptor_t> raw;
  for (std::int64_t i = 0; i < most; ++i)
    raw.push_back(choices.emplace_back(CUDNN_BACKEND_KNOB_CHOICE_DESCRIPTOR).raw());
  count = 0;
  if (api.get_attribute(configuration.raw(), CUDNN_ATTR_ENGINECFG_KNOB_CHOICES,
                        CUDNN_TYPE_BACKEND_DESCRIPTOR, most, &count,
                        raw.data()) != CUDNN_STATUS_SUCCESS)
    return {};
  for (std::int64_t i = 0; i < std::min(count, most); ++i) {
    cudnnBackendKnobType_t type{};
    std::int64_t value = 0, one = 0;
    check(api.get_attribute(raw[i], CUDNN_ATTR_KNOB_CHOICE_KNOB_TYPE, CUDNN_TYPE_KNOB_TYPE, 1, &one,
                            &type),
          "reading a setting of a cuDNN engine");
    check(api.get_attribute(raw[i], CUDNN_ATTR_KNOB_CHOICE_KNOB_VALUE, CUDNN_TYPE_INT64, 1, &one,
                            &value),
          "reading a setting of a cuDNN engine");
    result.knobs.emplace_back(type, value);
  }
  return result;
}

}  // namespace

Planner::Planner(const Problem& problem, cudnnHandle_t handle, const std::string& device_json)
    : problem_(problem), handle_(handle) {
  if (!handle) {
    device_ = Descriptor(CUDNN_BACKEND_DEVICEPROP_DESCRIPTOR);
    device_.set(CUDNN_ATTR_DEVICEPROP_JSON_REPRESENTATION, CUDNN_TYPE_CHAR, device_json.data(),
                static_cast<std::int64_t>(device_json.size()));
    device_.finalize("describing a device to cuDNN");
  }
  graph_ = make_graph(problem, handle);
}

std::vector<Engine> Planner::engines(bool fallback) {
  std::vector<Engine> accepted;
  if (graph_.status != CUDNN_STATUS_SUCCESS) return accepted;
  for (const Descriptor& configuration :
       ranked_configurations(graph_.graph, fallback ? CUDNN_HEUR_MODE_FALLBACK : CUDNN_HEUR_MODE_A,
                             handle_ ? nullptr : &device_)) {
    ++offered_;
    Descriptor engine(CUDNN_BACKEND_ENGINE_DESCRIPTOR);
    cudnnBackendDescriptor_t raw = engine.raw();
    std::int64_t count = 0;
    check(Api::open().get_attribute(configuration.raw(), CUDNN_ATTR_ENGINECFG_ENGINE,
                                    CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &count, &raw),
          "reading a cuDNN engine");
    if (refused(problem_.math_type,
                notes<cudnnBackendNumericalNote_t>(raw, CUDNN_ATTR_ENGINE_NUMERICAL_NOTE,
                                                   CUDNN_TYPE_NUMERICAL_NOTE))) {
      ++refused_;
      continue;
    }
    Engine found = engine_of(configuration, raw);
    if (found.index >= 0 && std::find(accepted.begin(), accepted.end(), found) == accepted.end())
      accepted.push_back(std::move(found));
  }
  return accepted;
}

std::string Planner::graph_refused() const {
  if (graph_.status == CUDNN_STATUS_SUCCESS) return {};
  return fmt::format("the graph is refused: {}", Api::open().get_error_string(graph_.status));
}

// Makes a configuration from the engine's settings. Returns why cuDNN refuses it, or "".
std::string Planner::configure(const Engine& wanted, const Descriptor& engine,
                               Descriptor& configuration) {
  std::vector<Descriptor> knobs;
  std::vector<cudnnBackendDescriptor_t> raw;
  for (const auto& [type, value] : wanted.knobs) {
    Descriptor& knob = knobs.emplace_back(CUDNN_BACKEND_KNOB_CHOICE_DESCRIPTOR);
    raw.push_back(knob.raw());
    const auto knob_type = static_cast<cudnnBackendKnobType_t>(type);
    if (!knob.try_set(CUDNN_ATTR_KNOB_CHOICE_KNOB_TYPE, CUDNN_TYPE_KNOB_TYPE, &knob_type) ||
        !knob.try_set(CUDNN_ATTR_KNOB_CHOICE_KNOB_VALUE, CUDNN_TYPE_INT64, &value) ||
        knob.try_finalize() != CUDNN_STATUS_SUCCESS)
      return fmt::format("engine {} has no setting {}:{}", wanted.index, type, value);
  }
  configuration = Descriptor(CUDNN_BACKEND_ENGINECFG_DESCRIPTOR);
  configuration.set(CUDNN_ATTR_ENGINECFG_ENGINE, engine);
  if ((!raw.empty() &&
       !configuration.try_set(CUDNN_ATTR_ENGINECFG_KNOB_CHOICES, CUDNN_TYPE_BACKEND_DESCRIPTOR,
                              raw.data(), static_cast<std::int64_t>(raw.size()))) ||
      configuration.try_finalize() != CUDNN_STATUS_SUCCESS)
    return fmt::format("engine {} does not take its settings", wanted.index);
  return {};
}

Plan Planner::plan(const Engine& wanted) {
  Plan plan;
  plan.report.engine = wanted;
  plan.report.offered = offered_;
  const auto no = [&](std::string why) {
    plan.report.why_not = std::move(why);
    return std::move(plan);
  };
  if (const std::string why = graph_refused(); !why.empty()) return no(why);

  Descriptor engine(CUDNN_BACKEND_ENGINE_DESCRIPTOR);
  engine.set(CUDNN_ATTR_ENGINE_OPERATION_GRAPH, graph_.graph);
  engine.set(CUDNN_ATTR_ENGINE_GLOBAL_INDEX, CUDNN_TYPE_INT64, wanted.index);
  if (!handle_) engine.set(CUDNN_ATTR_ENGINE_DEVICEPROP, device_);
  if (engine.try_finalize() != CUDNN_STATUS_SUCCESS)
    return no(fmt::format("engine {} does not take the graph", wanted.index));
  // Checked as in engines(), because this engine may come from a file.
  const auto numerical = notes<cudnnBackendNumericalNote_t>(
      engine.raw(), CUDNN_ATTR_ENGINE_NUMERICAL_NOTE, CUDNN_TYPE_NUMERICAL_NOTE);
  if (refused(problem_.math_type, numerical))
    return no(fmt::format("engine {} is not deterministic or not exact enough", wanted.index));
  Descriptor configuration;
  if (std::string why = configure(wanted, engine, configuration); !why.empty())
    return no(std::move(why));

  Descriptor made(CUDNN_BACKEND_EXECUTION_PLAN_DESCRIPTOR);
  if (handle_) made.set(CUDNN_ATTR_EXECUTION_PLAN_HANDLE, CUDNN_TYPE_HANDLE, handle_);
  else made.set(CUDNN_ATTR_EXECUTION_PLAN_DEVICEPROP, device_);
  made.set(CUDNN_ATTR_EXECUTION_PLAN_ENGINE_CONFIG, configuration);
  if (made.try_finalize() != CUDNN_STATUS_SUCCESS)
    return no(fmt::format("engine {} cannot be built", wanted.index));
  std::int64_t workspace = 0, count = 0;
  check(Api::open().get_attribute(made.raw(), CUDNN_ATTR_EXECUTION_PLAN_WORKSPACE_SIZE,
                                  CUDNN_TYPE_INT64, 1, &count, &workspace),
        "reading a cuDNN plan's workspace");
  if (workspace > workspace_cap)
    return no(fmt::format("engine {} needs {} MB of workspace, more than {} MB", wanted.index,
                          workspace >> 20, workspace_cap >> 20));

  const auto behaviour = notes<cudnnBackendBehaviorNote_t>(
      engine.raw(), CUDNN_ATTR_ENGINE_BEHAVIOR_NOTE, CUDNN_TYPE_BEHAVIOR_NOTE);
  const auto has = [](const auto& all, auto note) {
    return std::find(all.begin(), all.end(), note) != all.end();
  };
  plan.report.runtime_compiled = has(behaviour, CUDNN_BEHAVIOR_NOTE_RUNTIME_COMPILATION);
  plan.report.tensor_cores = has(numerical, CUDNN_NUMERICAL_NOTE_TENSOR_CORE);
  plan.report.workspace = workspace;
  plan.report.found = true;
  plan.plan = std::move(made);
  return plan;
}

Plan Planner::first() {
  Plan none;
  std::string last;
  for (const bool fallback : {false, true}) {
    for (const Engine& engine : engines(fallback)) {
      Plan made = plan(engine);
      if (made.report.found) return made;
      last = "; " + made.report.why_not;
    }
  }
  none.report.offered = offered_;
  none.report.why_not = graph_refused();
  if (none.report.why_not.empty())
    none.report.why_not =
        fmt::format("{} engines offered, {} of them not deterministic or not exact enough{}",
                    offered_, refused_, last);
  return none;
}

}  // namespace kernels::cudnn
