// A stand-in for libcudnn.so.9's backend interface. It accepts every convolution, offers
// engines of each kind the planner must tell apart, and records what is run.
#include <cudnn.h>
#include <fmt/format.h>

#include <algorithm>

#include "tests/standin/cudnn/descriptors.h"
#include "tests/standin/record.h"

struct cudnnContext {
  const void* stream = nullptr;
};

namespace standin {
namespace {

struct EngineKind {
  std::int64_t index;
  std::vector<cudnnBackendNumericalNote_t> numerical{};
  bool compiled = false;  // when the plan is made
  bool builds = true, runs = true;
  bool waits = false;       // for its stream, which no capture allows
  double workspace = 0;     // bytes per byte of the largest operand
  double microseconds = 0;  // per MB of operands
};

// In the order of the heuristics. The one with a workspace is the fastest that works.
std::vector<EngineKind> engines(const Descriptor& graph, bool fallback) {
  const bool narrow = type_of_values(graph) != CUDNN_DATA_FLOAT;
  const auto tensor_cores = narrow ? std::vector{CUDNN_NUMERICAL_NOTE_TENSOR_CORE}
                                   : std::vector{CUDNN_NUMERICAL_NOTE_TENSOR_CORE,
                                                 CUDNN_NUMERICAL_NOTE_DOWN_CONVERT_INPUTS};
  const EngineKind plain{.index = 14, .microseconds = 9};
  if (fallback) return {plain};
  if (is_fused(graph))
    return {{.index = 40, .numerical = tensor_cores, .compiled = true, .microseconds = 5}, plain};
  const double waiting = faults().plan_waits ? 1 : 12;
  return {{.index = 0, .numerical = {CUDNN_NUMERICAL_NOTE_NONDETERMINISTIC}, .microseconds = 1},
          {.index = 7, .numerical = tensor_cores, .builds = false, .microseconds = 1},
          {.index = 3, .numerical = tensor_cores, .microseconds = 6},
          {.index = 12, .numerical = tensor_cores, .workspace = 1.5, .microseconds = 4},
          {.index = 27, .waits = true, .microseconds = waiting},
          {.index = 21, .numerical = tensor_cores, .runs = false, .microseconds = 1},
          {.index = 13, .workspace = 0.4, .microseconds = 8},
          plain};
}

const EngineKind* find(const std::vector<EngineKind>& all, std::int64_t index) {
  const auto found =
      std::find_if(all.begin(), all.end(), [&](const EngineKind& e) { return e.index == index; });
  return found == all.end() ? nullptr : &*found;
}

struct Described {
  Shared graph;
  EngineKind engine;
};
// The graph and engine behind an engine descriptor.
bool described(const Descriptor& engine, Described& result) {
  result.graph = engine.part(CUDNN_ATTR_ENGINE_OPERATION_GRAPH);
  if (!result.graph) return false;
  const auto all = engines(*result.graph, false);
  const EngineKind* const kind =
      find(all, engine.one<std::int64_t>(CUDNN_ATTR_ENGINE_GLOBAL_INDEX, -1));
  if (kind) result.engine = *kind;
  return kind != nullptr;
}

std::size_t workspace_of(const Described& d) {
  std::vector<TensorUse> operands;
  describe(*d.graph, operands);
  std::size_t most = 0;
  for (const TensorUse& t : operands) most = std::max(most, t.bytes);
  // An odd number, as no promise makes it a round one.
  return d.engine.workspace > 0
             ? static_cast<std::size_t>(d.engine.workspace * static_cast<double>(most)) | 13
             : 0;
}

Value numbers(cudnnBackendAttributeType_t type, const void* data, std::int64_t count) {
  const auto* const first = static_cast<const std::byte*>(data);
  const auto size = static_cast<std::ptrdiff_t>(value_size(type));
  return {type, count, {first, first + size * count}, {}};
}
Value number(std::int64_t value) { return numbers(CUDNN_TYPE_INT64, &value, 1); }

Shared make(cudnnBackendDescriptorType_t type) {
  return std::make_shared<Descriptor>(Descriptor{type, true, {}});
}
Value descriptors(std::vector<Shared> parts) {
  const auto count = static_cast<std::int64_t>(parts.size());
  return {CUDNN_TYPE_BACKEND_DESCRIPTOR, count, {}, std::move(parts)};
}

Shared configuration(const Shared& graph, const EngineKind& kind) {
  const Shared engine = make(CUDNN_BACKEND_ENGINE_DESCRIPTOR),
               knob = make(CUDNN_BACKEND_KNOB_CHOICE_DESCRIPTOR),
               config = make(CUDNN_BACKEND_ENGINECFG_DESCRIPTOR);
  engine->values[CUDNN_ATTR_ENGINE_OPERATION_GRAPH] = descriptors({graph});
  engine->values[CUDNN_ATTR_ENGINE_GLOBAL_INDEX] = number(kind.index);
  const cudnnBackendKnobType_t type = CUDNN_KNOB_TYPE_TILE_SIZE;
  knob->values[CUDNN_ATTR_KNOB_CHOICE_KNOB_TYPE] = numbers(CUDNN_TYPE_KNOB_TYPE, &type, 1);
  knob->values[CUDNN_ATTR_KNOB_CHOICE_KNOB_VALUE] = number(kind.index * 10 + 1);
  config->values[CUDNN_ATTR_ENGINECFG_ENGINE] = descriptors({engine});
  config->values[CUDNN_ATTR_ENGINECFG_KNOB_CHOICES] = descriptors({knob});
  return config;
}

// Attributes that cuDNN computes.
void compute(Descriptor& d, cudnnBackendAttributeName_t name) {
  Described known;
  if (name == CUDNN_ATTR_ENGINEHEUR_RESULTS) {
    const Shared graph = d.part(CUDNN_ATTR_ENGINEHEUR_OPERATION_GRAPH);
    const auto mode = d.one<cudnnBackendHeurMode_t>(CUDNN_ATTR_ENGINEHEUR_MODE);
    std::vector<Shared> found;
    for (const EngineKind& kind : engines(*graph, mode == CUDNN_HEUR_MODE_FALLBACK))
      found.push_back(configuration(graph, kind));
    d.values[name] = descriptors(std::move(found));
  } else if (name == CUDNN_ATTR_ENGINE_NUMERICAL_NOTE && described(d, known)) {
    d.values[name] = numbers(CUDNN_TYPE_NUMERICAL_NOTE, known.engine.numerical.data(),
                             static_cast<std::int64_t>(known.engine.numerical.size()));
  } else if (name == CUDNN_ATTR_ENGINE_BEHAVIOR_NOTE && described(d, known)) {
    const cudnnBackendBehaviorNote_t compiles = CUDNN_BEHAVIOR_NOTE_RUNTIME_COMPILATION;
    d.values[name] = numbers(CUDNN_TYPE_BEHAVIOR_NOTE, &compiles, known.engine.compiled);
  } else if (name == CUDNN_ATTR_EXECUTION_PLAN_WORKSPACE_SIZE) {
    described(*d.part(CUDNN_ATTR_EXECUTION_PLAN_ENGINE_CONFIG)->part(CUDNN_ATTR_ENGINECFG_ENGINE),
              known);
    const auto needed = static_cast<std::int64_t>(workspace_of(known));
    d.values[name] = number(faults().plan_hides_workspace    ? 0
                            : faults().plan_halves_workspace ? needed / 2
                                                             : needed);
  }
}

cudnnStatus_t finalize(Descriptor& d) {
  Described known;
  if (d.type == CUDNN_BACKEND_ENGINE_DESCRIPTOR && !described(d, known))
    return CUDNN_STATUS_NOT_SUPPORTED;
  if (d.type == CUDNN_BACKEND_EXECUTION_PLAN_DESCRIPTOR) {
    const Shared config = d.part(CUDNN_ATTR_EXECUTION_PLAN_ENGINE_CONFIG);
    if (!config || !described(*config->part(CUDNN_ATTR_ENGINECFG_ENGINE), known))
      return CUDNN_STATUS_BAD_PARAM;
    if (!known.engine.builds) return CUDNN_STATUS_NOT_SUPPORTED;
  }
  d.finalized = true;
  return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t execute(const cudnnContext& handle, const Descriptor& plan, const Descriptor& pack) {
  Described d;
  const Shared config = plan.part(CUDNN_ATTR_EXECUTION_PLAN_ENGINE_CONFIG);
  if (!plan.finalized || !pack.finalized || !config ||
      !described(*config->part(CUDNN_ATTR_ENGINECFG_ENGINE), d))
    return CUDNN_STATUS_BAD_PARAM;
  std::vector<TensorUse> uses;
  Event event{.call = "cudnnBackendExecute", .work = true, .stream = handle.stream};
  event.text = describe(*d.graph, uses);
  event.workspace_needed = workspace_of(d);
  event.text +=
      fmt::format(" | engine {}, workspace {} bytes", d.engine.index, event.workspace_needed);
  const auto ids = pack.all<std::int64_t>(CUDNN_ATTR_VARIANT_PACK_UNIQUE_IDS);
  const auto pointers = pack.all<const void*>(CUDNN_ATTR_VARIANT_PACK_DATA_POINTERS);
  double bytes = 0;
  for (const TensorUse& use : uses) {
    const auto at = std::find(ids.begin(), ids.end(), use.id) - ids.begin();
    const bool bound = at < std::ssize(ids) && at < std::ssize(pointers);
    event.operands.push_back({use.name, bound ? pointers[static_cast<std::size_t>(at)] : nullptr,
                              use.bytes, use.alignment});
    bytes += static_cast<double>(use.bytes);
  }
  if (event.workspace_needed > 0)
    event.operands.push_back({"workspace", pack.one<const void*>(CUDNN_ATTR_VARIANT_PACK_WORKSPACE),
                              event.workspace_needed, 256});
  if (d.engine.waits && wait_for(handle.stream) != 0) return CUDNN_STATUS_EXECUTION_FAILED;
  if (!d.engine.runs) {
    event.error = CUDNN_STATUS_EXECUTION_FAILED;
    note(std::move(event));
    return CUDNN_STATUS_EXECUTION_FAILED;
  }
  const double microseconds = 5 + d.engine.microseconds * bytes * 1e-6;
  return submit(handle.stream, std::move(event), {}, microseconds) == 0
             ? CUDNN_STATUS_SUCCESS
             : CUDNN_STATUS_EXECUTION_FAILED;
}

Descriptor& behind(cudnnBackendDescriptor_t d) { return **static_cast<Shared*>(d); }
}  // namespace
}  // namespace standin

using namespace standin;

extern "C" {
std::size_t cudnnGetVersion() { return CUDNN_VERSION; }
const char* cudnnGetErrorString(cudnnStatus_t status) {
  switch (status) {
    case CUDNN_STATUS_SUCCESS: return "CUDNN_STATUS_SUCCESS";
    case CUDNN_STATUS_BAD_PARAM: return "CUDNN_STATUS_BAD_PARAM";
    case CUDNN_STATUS_NOT_SUPPORTED: return "CUDNN_STATUS_NOT_SUPPORTED";
    case CUDNN_STATUS_EXECUTION_FAILED: return "CUDNN_STATUS_EXECUTION_FAILED";
    default: return "CUDNN_STATUS_INTERNAL_ERROR";
  }
}
void cudnnGetLastErrorString(char* text, std::size_t size) {
  fmt::format_to_n(text, static_cast<std::ptrdiff_t>(size), "(stand-in){}", '\0');
}
cudnnStatus_t cudnnCreate(cudnnHandle_t* handle) {
  *handle = new cudnnContext;
  return CUDNN_STATUS_SUCCESS;
}
cudnnStatus_t cudnnDestroy(cudnnHandle_t handle) { return delete handle, CUDNN_STATUS_SUCCESS; }
cudnnStatus_t cudnnSetStream(cudnnHandle_t handle, cudaStream_t stream) {
  handle->stream = faults().ignore_cudnn_stream ? nullptr : stream;
  return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t cudnnBackendCreateDescriptor(cudnnBackendDescriptorType_t type,
                                           cudnnBackendDescriptor_t* made) {
  *made = new Shared(std::make_shared<Descriptor>(Descriptor{type, false, {}}));
  return CUDNN_STATUS_SUCCESS;
}
cudnnStatus_t cudnnBackendDestroyDescriptor(cudnnBackendDescriptor_t d) {
  return delete static_cast<Shared*>(d), CUDNN_STATUS_SUCCESS;
}
cudnnStatus_t cudnnBackendSetAttribute(cudnnBackendDescriptor_t into,
                                       cudnnBackendAttributeName_t name,
                                       cudnnBackendAttributeType_t type, int64_t count,
                                       const void* values) {
  Descriptor& d = behind(into);
  if (d.finalized || (count > 0 && !values)) return CUDNN_STATUS_BAD_PARAM;
  if (type != CUDNN_TYPE_BACKEND_DESCRIPTOR) {
    d.values[name] = numbers(type, values, count);
    return CUDNN_STATUS_SUCCESS;
  }
  std::vector<Shared> parts;
  for (std::int64_t i = 0; i < count; ++i) {
    const auto part = static_cast<const cudnnBackendDescriptor_t*>(values)[i];
    if (!behind(part).finalized) return CUDNN_STATUS_BAD_PARAM;
    parts.push_back(*static_cast<Shared*>(part));
  }
  d.values[name] = descriptors(std::move(parts));
  return CUDNN_STATUS_SUCCESS;
}
// The descriptors that the caller passes are filled, as cuDNN fills them.
cudnnStatus_t cudnnBackendGetAttribute(cudnnBackendDescriptor_t from,
                                       cudnnBackendAttributeName_t name,
                                       cudnnBackendAttributeType_t type, int64_t most,
                                       int64_t* count, void* values) {
  Descriptor& d = behind(from);
  compute(d, name);
  const auto found = d.values.find(name);
  if (found == d.values.end() || found->second.type != type) return CUDNN_STATUS_BAD_PARAM;
  const Value& value = found->second;
  if (count) *count = value.count;
  if (!values) return CUDNN_STATUS_SUCCESS;
  const std::int64_t n = std::min(most, value.count);
  for (std::int64_t i = 0; i < n && type == CUDNN_TYPE_BACKEND_DESCRIPTOR; ++i)
    behind(static_cast<cudnnBackendDescriptor_t*>(values)[i]) =
        *value.parts[static_cast<std::size_t>(i)];
  if (n > 0 && type != CUDNN_TYPE_BACKEND_DESCRIPTOR)
    std::memcpy(values, value.bytes.data(), static_cast<std::size_t>(n) * value_size(type));
  return CUDNN_STATUS_SUCCESS;
}
cudnnStatus_t cudnnBackendFinalize(cudnnBackendDescriptor_t d) { return finalize(behind(d)); }
cudnnStatus_t cudnnBackendExecute(cudnnHandle_t handle, cudnnBackendDescriptor_t plan,
                                  cudnnBackendDescriptor_t pack) {
  return execute(*handle, behind(plan), behind(pack));
}
}
