#include "kernels/conv/cudnn/planner.h"

#include <cuda_runtime.h>
#include <fmt/format.h>

#include <algorithm>
#include <iterator>

#include "kernels/core/cuda/check.h"

namespace kernels::cudnn {
namespace {

template <class Note>
std::vector<Note> notes(cudnnBackendDescriptor_t engine, cudnnBackendAttributeName_t name,
                        cudnnBackendAttributeType_t type) {
  std::vector<Note> values(32);
  const std::int64_t count = get(engine, name, type, values.data(), std::ssize(values));
  values.resize(static_cast<std::size_t>(std::clamp<std::int64_t>(count, 0, std::ssize(values))));
  return values;
}
using NumericalNotes = std::vector<cudnnBackendNumericalNote_t>;
NumericalNotes numerical_notes(cudnnBackendDescriptor_t engine) {
  return notes<cudnnBackendNumericalNote_t>(engine, CUDNN_ATTR_ENGINE_NUMERICAL_NOTE,
                                            CUDNN_TYPE_NUMERICAL_NOTE);
}

template <class V> bool has(const std::vector<V>& all, const V& value) {
  return std::find(all.begin(), all.end(), value) != all.end();
}

// Refused: other bits from run to run, sums kept in less than float; for strict float
// also inputs rounded for the tensor cores and transforms that cancel (Winograd, FFT).
bool refused(MathType math_type, const NumericalNotes& all) {
  if (has(all, CUDNN_NUMERICAL_NOTE_NONDETERMINISTIC) ||
      has(all, CUDNN_NUMERICAL_NOTE_REDUCED_PRECISION_REDUCTION))
    return true;
  if (math_type != MathType::f32) return false;
  static constexpr cudnnBackendNumericalNote_t inexact[] = {
      CUDNN_NUMERICAL_NOTE_TENSOR_CORE,
      CUDNN_NUMERICAL_NOTE_DOWN_CONVERT_INPUTS,
      CUDNN_NUMERICAL_NOTE_FFT,
      CUDNN_NUMERICAL_NOTE_WINOGRAD,
      CUDNN_NUMERICAL_NOTE_WINOGRAD_TILE_4x4,
      CUDNN_NUMERICAL_NOTE_WINOGRAD_TILE_6x6,
      CUDNN_NUMERICAL_NOTE_WINOGRAD_TILE_13x13};
  return std::any_of(std::begin(inexact), std::end(inexact),
                     [&](cudnnBackendNumericalNote_t note) { return has(all, note); });
}

// Empty descriptors for cuDNN to fill in.
struct Slots {
  std::vector<Descriptor> owned;
  std::vector<cudnnBackendDescriptor_t> raw;
  Slots(cudnnBackendDescriptorType_t type, std::int64_t count) {
    while (std::ssize(raw) < count) raw.push_back(owned.emplace_back(type).raw());
  }
};

std::vector<Descriptor> ranked_configurations(const Descriptor& graph, cudnnBackendHeurMode_t mode,
                                              const Descriptor* device) {
  Descriptor heuristics(CUDNN_BACKEND_ENGINEHEUR_DESCRIPTOR);
  heuristics.set(CUDNN_ATTR_ENGINEHEUR_OPERATION_GRAPH, graph);
  heuristics.set(CUDNN_ATTR_ENGINEHEUR_MODE, CUDNN_TYPE_HEUR_MODE, mode);
  if (device) heuristics.set(CUDNN_ATTR_ENGINEHEUR_DEVICEPROP, *device);
  if (heuristics.try_finalize() != CUDNN_STATUS_SUCCESS) return {};
  const auto results = [&](cudnnBackendDescriptor_t* into, std::int64_t most) {
    return get(heuristics.raw(), CUDNN_ATTR_ENGINEHEUR_RESULTS, CUDNN_TYPE_BACKEND_DESCRIPTOR, into,
               most);
  };
  const std::int64_t count = results(nullptr, 0);
  Slots configurations(CUDNN_BACKEND_ENGINECFG_DESCRIPTOR, count);
  const std::int64_t written = count > 0 ? results(configurations.raw.data(), count) : 0;
  configurations.owned.resize(
      static_cast<std::size_t>(std::clamp<std::int64_t>(written, 0, std::max(count, written))));
  return std::move(configurations.owned);
}

// The engine and settings of a configuration. Index -1 if cuDNN does not report them.
Engine engine_of(const Descriptor& configuration, cudnnBackendDescriptor_t engine) {
  constexpr std::int64_t most = 64;
  Engine result;
  if (get(engine, CUDNN_ATTR_ENGINE_GLOBAL_INDEX, CUDNN_TYPE_INT64, &result.index) < 0) return {};
  Slots choices(CUDNN_BACKEND_KNOB_CHOICE_DESCRIPTOR, most);
  const std::int64_t count = get(configuration.raw(), CUDNN_ATTR_ENGINECFG_KNOB_CHOICES,
                                 CUDNN_TYPE_BACKEND_DESCRIPTOR, choices.raw.data(), most);
  if (count < 0) return {};
  for (std::int64_t i = 0; i < std::min(count, most); ++i) {
    cudnnBackendKnobType_t type{};
    std::int64_t value = 0;
    const cudnnBackendDescriptor_t choice = choices.raw[static_cast<std::size_t>(i)];
    if (get(choice, CUDNN_ATTR_KNOB_CHOICE_KNOB_TYPE, CUDNN_TYPE_KNOB_TYPE, &type) < 0 ||
        get(choice, CUDNN_ATTR_KNOB_CHOICE_KNOB_VALUE, CUDNN_TYPE_INT64, &value) < 0)
      return {};
    result.knobs.emplace_back(type, value);
  }
  return result;
}
}  // namespace

Planner::Planner(const Problem& problem, cudnnHandle_t handle)
    : problem_(problem), handle_(handle), graph_(make_graph(problem, handle)) {}

Planner::Planner(const Problem& problem, const std::string& device_json)
    : problem_(problem), device_(CUDNN_BACKEND_DEVICEPROP_DESCRIPTOR) {
  device_.set(CUDNN_ATTR_DEVICEPROP_JSON_REPRESENTATION, CUDNN_TYPE_CHAR, device_json.data(),
              std::ssize(device_json));
  device_.finalize("describing a device to cuDNN");
  graph_ = make_graph(problem, nullptr);
}

std::vector<Engine> Planner::engines(bool fallback) {
  const cuda::ClearErrors clear;
  std::vector<Engine> accepted;
  if (graph_.status != CUDNN_STATUS_SUCCESS) return accepted;
  for (const Descriptor& configuration :
       ranked_configurations(graph_.graph, fallback ? CUDNN_HEUR_MODE_FALLBACK : CUDNN_HEUR_MODE_A,
                             handle_ ? nullptr : &device_)) {
    ++offered_;
    Slots engine(CUDNN_BACKEND_ENGINE_DESCRIPTOR, 1);
    if (get(configuration.raw(), CUDNN_ATTR_ENGINECFG_ENGINE, CUDNN_TYPE_BACKEND_DESCRIPTOR,
            engine.raw.data()) < 0)
      throw Error(ErrorKind::failure, "cuDNN does not name the engine of a configuration");
    if (refused(problem_.math_type, numerical_notes(engine.raw[0]))) {
      ++refused_;
      continue;
    }
    Engine found = engine_of(configuration, engine.raw[0]);
    if (found.index >= 0 && !has(accepted, found)) accepted.push_back(std::move(found));
  }
  return accepted;
}

std::string Planner::graph_refused() const {
  if (graph_.status == CUDNN_STATUS_SUCCESS) return {};
  return fmt::format("the graph is refused: {}", Api::open().get_error_string(graph_.status));
}

// Makes a configuration from an engine's settings. Returns why cuDNN refuses it, or "".
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

Plan Planner::plan(const Engine& wanted, bool compiles) {
  const cuda::ClearErrors clear;
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
  const NumericalNotes numerical = numerical_notes(engine.raw());
  if (refused(problem_.math_type, numerical))
    return no(fmt::format("engine {} is not deterministic or not exact enough", wanted.index));
  const auto behaviour = notes<cudnnBackendBehaviorNote_t>(
      engine.raw(), CUDNN_ATTR_ENGINE_BEHAVIOR_NOTE, CUDNN_TYPE_BEHAVIOR_NOTE);
  plan.report.runtime_compiled = has(behaviour, CUDNN_BEHAVIOR_NOTE_RUNTIME_COMPILATION);
  if (plan.report.runtime_compiled && !compiles)
    return no(fmt::format("engine {} would have to be compiled", wanted.index));
  Descriptor configuration;
  if (std::string why = configure(wanted, engine, configuration); !why.empty())
    return no(std::move(why));

  Descriptor made(CUDNN_BACKEND_EXECUTION_PLAN_DESCRIPTOR);
  if (handle_) made.set(CUDNN_ATTR_EXECUTION_PLAN_HANDLE, CUDNN_TYPE_HANDLE, handle_);
  else made.set(CUDNN_ATTR_EXECUTION_PLAN_DEVICEPROP, device_);
  made.set(CUDNN_ATTR_EXECUTION_PLAN_ENGINE_CONFIG, configuration);
  if (made.try_finalize() != CUDNN_STATUS_SUCCESS)
    return no(fmt::format("engine {} cannot be built", wanted.index));
  std::int64_t workspace = 0;
  if (get(made.raw(), CUDNN_ATTR_EXECUTION_PLAN_WORKSPACE_SIZE, CUDNN_TYPE_INT64, &workspace) < 0)
    return no(fmt::format("engine {} does not report its workspace", wanted.index));
  if (workspace > workspace_cap)
    return no(fmt::format("engine {} needs {} MB of workspace, more than {} MB", wanted.index,
                          workspace >> 20, workspace_cap >> 20));

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

PlanCache::Machine this_machine() {
  process_handle();
  const CudaReport gpu = probe_cuda();
  int multiprocessors = 0;
  cuda::check(cudaDeviceGetAttribute(&multiprocessors, cudaDevAttrMultiProcessorCount, 0),
              "cudaDeviceGetAttribute");
  return {gpu.reason, gpu.compute_capability, multiprocessors, Api::open().get_version(),
          gpu.driver};
}

std::string describe_this_device() {
  Descriptor device(CUDNN_BACKEND_DEVICEPROP_DESCRIPTOR);
  device.set(CUDNN_ATTR_DEVICEPROP_HANDLE, CUDNN_TYPE_HANDLE, process_handle());
  device.finalize("describing the GPU by cuDNN");
  std::string text(1 << 16, '\0');
  std::int64_t count = 0;
  check(Api::open().get_attribute(device.raw(), CUDNN_ATTR_DEVICEPROP_JSON_REPRESENTATION,
                                  CUDNN_TYPE_CHAR, static_cast<std::int64_t>(text.size()), &count,
                                  text.data()),
        "reading the GPU's description");
  text.resize(std::min(text.size(), static_cast<std::size_t>(std::max<std::int64_t>(count, 0))));
  text.resize(std::min(text.size(), text.find('\0')));
  return text;
}
}  // namespace kernels::cudnn
