#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <vector>

#include "kernels/cudnn_api.h"
#include "kernels/library.h"

namespace kernels::cudnn {

const Api& Api::open() {
  static const Api api = [] {
    const Library library("cuDNN 9", {"libcudnn.so.9"});
    Api a;
    library.load(a.get_version, "cudnnGetVersion");
    library.load(a.get_error_string, "cudnnGetErrorString");
    library.load(a.get_last_error_string, "cudnnGetLastErrorString");
    library.load(a.create, "cudnnCreate");
    library.load(a.set_stream, "cudnnSetStream");
    library.load(a.create_descriptor, "cudnnBackendCreateDescriptor");
    library.load(a.destroy_descriptor, "cudnnBackendDestroyDescriptor");
    library.load(a.set_attribute, "cudnnBackendSetAttribute");
    library.load(a.get_attribute, "cudnnBackendGetAttribute");
    library.load(a.finalize, "cudnnBackendFinalize");
    library.load(a.execute, "cudnnBackendExecute");
    return a;
  }();
  return api;
}

void check(cudnnStatus_t status, const std::string& what) {
  if (status == CUDNN_STATUS_SUCCESS) return;
  std::array<char, 512> detail{};
  Api::open().get_last_error_string(detail.data(), detail.size());
  throw Error(status == CUDNN_STATUS_ALLOC_FAILED ? ErrorKind::memory : ErrorKind::failure,
              fmt::format("{} failed: {} {}", what, Api::open().get_error_string(status), detail.data()));
}

std::string Problem::str() const {
  static constexpr const char* directions[] = {"forward", "backward data", "backward filter"};
  static constexpr const char* numbers[] = {"f32", "tf32", "bf16"};
  return fmt::format("{} {} {}{}", shape.str(), directions[static_cast<int>(direction)], numbers[static_cast<int>(number)], fused ? " fused" : "");
}

namespace {

cudnnDataType_t data_type(Number number) { return number == Number::bf16 ? CUDNN_DATA_BFLOAT16 : CUDNN_DATA_FLOAT; }

// cuDNN lists dimensions as N,C,H,W (O,I,H,W for weights); the strides say that channels lie innermost.
Descriptor tensor(std::int64_t id, cudnnDataType_t type, std::int64_t n, std::int64_t c, std::int64_t h, std::int64_t w, int alignment, bool is_virtual) {
  Descriptor d(CUDNN_BACKEND_TENSOR_DESCRIPTOR);
  const std::int64_t dims[] = {n, c, h, w}, strides[] = {c * h * w, 1, c * w, c};
  d.set(CUDNN_ATTR_TENSOR_UNIQUE_ID, CUDNN_TYPE_INT64, id);
  d.set(CUDNN_ATTR_TENSOR_DATA_TYPE, CUDNN_TYPE_DATA_TYPE, type);
  d.set(CUDNN_ATTR_TENSOR_DIMENSIONS, CUDNN_TYPE_INT64, dims, 4);
  d.set(CUDNN_ATTR_TENSOR_STRIDES, CUDNN_TYPE_INT64, strides, 4);
  d.set(CUDNN_ATTR_TENSOR_BYTE_ALIGNMENT, CUDNN_TYPE_INT64, std::int64_t{alignment});
  d.set(CUDNN_ATTR_TENSOR_IS_VIRTUAL, CUDNN_TYPE_BOOLEAN, is_virtual);
  d.finalize("describing a tensor to cuDNN");
  return d;
}

Descriptor convolution(const ConvShape& s) {
  Descriptor d(CUDNN_BACKEND_CONVOLUTION_DESCRIPTOR);
  const std::int64_t dilations[] = {1, 1}, strides[] = {s.stride, s.stride}, before[] = {s.pad_begin, s.pad_begin}, after[] = {s.pad_end, s.pad_end};
  d.set(CUDNN_ATTR_CONVOLUTION_SPATIAL_DIMS, CUDNN_TYPE_INT64, std::int64_t{2});
  d.set(CUDNN_ATTR_CONVOLUTION_COMP_TYPE, CUDNN_TYPE_DATA_TYPE, CUDNN_DATA_FLOAT);
  d.set(CUDNN_ATTR_CONVOLUTION_CONV_MODE, CUDNN_TYPE_CONVOLUTION_MODE, CUDNN_CROSS_CORRELATION);
  d.set(CUDNN_ATTR_CONVOLUTION_DILATIONS, CUDNN_TYPE_INT64, dilations, 2);
  d.set(CUDNN_ATTR_CONVOLUTION_FILTER_STRIDES, CUDNN_TYPE_INT64, strides, 2);
  d.set(CUDNN_ATTR_CONVOLUTION_PRE_PADDINGS, CUDNN_TYPE_INT64, before, 2);
  d.set(CUDNN_ATTR_CONVOLUTION_POST_PADDINGS, CUDNN_TYPE_INT64, after, 2);
  d.finalize("describing a convolution to cuDNN");
  return d;
}

// The operations of a problem. Finished descriptors must outlive the graph that names them.
struct Operations {
  std::vector<Descriptor> owned;
  std::vector<cudnnBackendDescriptor_t> operations;

  const Descriptor& keep(Descriptor d) { owned.push_back(std::move(d)); return owned.back(); }

  void add_convolution(const Problem& p, const Descriptor& x, const Descriptor& w, const Descriptor& y) {
    struct Names { cudnnBackendDescriptorType_t type; cudnnBackendAttributeName_t conv, x, w, y, alpha, beta; };
    static constexpr Names names[] = {
        {CUDNN_BACKEND_OPERATION_CONVOLUTION_FORWARD_DESCRIPTOR, CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_CONV_DESC, CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_X,
         CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_W, CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_Y, CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_ALPHA,
         CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_BETA},
        {CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_DATA_DESCRIPTOR, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_CONV_DESC, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_DX,
         CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_W, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_DY, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_ALPHA,
         CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_BETA},
        {CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_FILTER_DESCRIPTOR, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_CONV_DESC, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_X,
         CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_DW, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_DY, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_ALPHA,
         CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_BETA}};
    const Names& n = names[static_cast<int>(p.direction)];
    Descriptor d(n.type);
    d.set(n.conv, keep(convolution(p.shape)));
    d.set(n.x, x);
    d.set(n.w, w);
    d.set(n.y, y);
    d.set(n.alpha, CUDNN_TYPE_FLOAT, 1.f);
    d.set(n.beta, CUDNN_TYPE_FLOAT, 0.f);
    d.finalize(p.str());
    operations.push_back(keep(std::move(d)).raw());
  }

  // out = in + operand, or out = f(in) where operand is null.
  void add_pointwise(cudnnPointwiseMode_t mode, float slope, const Descriptor& in, const Descriptor* operand, const Descriptor& out) {
    Descriptor f(CUDNN_BACKEND_POINTWISE_DESCRIPTOR);
    f.set(CUDNN_ATTR_POINTWISE_MODE, CUDNN_TYPE_POINTWISE_MODE, mode);
    f.set(CUDNN_ATTR_POINTWISE_MATH_PREC, CUDNN_TYPE_DATA_TYPE, CUDNN_DATA_FLOAT);
    if (mode == CUDNN_POINTWISE_RELU_FWD) f.set(CUDNN_ATTR_POINTWISE_RELU_LOWER_CLIP_SLOPE, CUDNN_TYPE_DOUBLE, static_cast<double>(slope));
    f.finalize("describing an activation to cuDNN");
    Descriptor d(CUDNN_BACKEND_OPERATION_POINTWISE_DESCRIPTOR);
    d.set(CUDNN_ATTR_OPERATION_POINTWISE_PW_DESCRIPTOR, keep(std::move(f)));
    d.set(CUDNN_ATTR_OPERATION_POINTWISE_XDESC, in);
    if (operand) d.set(CUDNN_ATTR_OPERATION_POINTWISE_BDESC, *operand);
    d.set(CUDNN_ATTR_OPERATION_POINTWISE_YDESC, out);
    d.finalize("describing bias or activation to cuDNN");
    operations.push_back(keep(std::move(d)).raw());
  }
};

Operations operations(const Problem& p) {
  Operations ops;
  ops.owned.reserve(16);  // keep() hands out references
  const ConvShape& s = p.shape;
  const cudnnDataType_t type = data_type(p.number);
  const bool bias = p.fused && p.bias, activation = p.fused && p.activation != Activation::none;
  const auto output = [&](std::int64_t id, bool last) -> const Descriptor& {  // values between fused operations never reach memory
    return ops.keep(tensor(id, last ? type : CUDNN_DATA_FLOAT, s.n, s.out_channels, s.out_h(), s.out_w(), p.alignment, !last));
  };
  const Descriptor& x = ops.keep(tensor(operand_x, type, s.n, s.in_channels, s.h, s.w, p.alignment, false));
  const Descriptor& w = ops.keep(tensor(operand_w, type, s.out_channels, s.in_channels, s.kernel, s.kernel, p.alignment, false));
  const Descriptor* y = &output(bias || activation ? 10 : +operand_y, !bias && !activation);
  ops.add_convolution(p, x, w, *y);
  if (bias) {
    const Descriptor& values = ops.keep(tensor(operand_bias, type, 1, s.out_channels, 1, 1, p.alignment, false));
    const Descriptor& sum = output(activation ? 11 : +operand_y, !activation);
    ops.add_pointwise(CUDNN_POINTWISE_ADD, 0.f, *y, &values, sum);
    y = &sum;
  }
  if (activation) {
    ops.add_pointwise(p.activation == Activation::sigmoid ? CUDNN_POINTWISE_SIGMOID_FWD : CUDNN_POINTWISE_RELU_FWD, p.slope, *y, nullptr, output(operand_y, true));
  }
  return ops;
}

template <class Note> std::vector<Note> notes(cudnnBackendDescriptor_t engine, cudnnBackendAttributeName_t name, cudnnBackendAttributeType_t type) {
  std::array<Note, 32> values;
  std::int64_t count = 0;
  if (Api::open().get_attribute(engine, name, type, values.size(), &count, values.data()) != CUDNN_STATUS_SUCCESS) return {};
  return {values.begin(), values.begin() + std::clamp<std::int64_t>(count, 0, static_cast<std::int64_t>(values.size()))};
}

// Engines that we never take: other bits from run to run, sums kept in less than float; and for strict float, inputs rounded for
// the tensor cores, or transforms (Winograd, FFT) that cancel.
bool refused(Number number, const std::vector<cudnnBackendNumericalNote_t>& engine_notes) {
  return std::any_of(engine_notes.begin(), engine_notes.end(), [&](cudnnBackendNumericalNote_t note) {
    switch (note) {
      case CUDNN_NUMERICAL_NOTE_NONDETERMINISTIC:
      case CUDNN_NUMERICAL_NOTE_REDUCED_PRECISION_REDUCTION: return true;
      case CUDNN_NUMERICAL_NOTE_TENSOR_CORE:
      case CUDNN_NUMERICAL_NOTE_DOWN_CONVERT_INPUTS:
      case CUDNN_NUMERICAL_NOTE_FFT:
      case CUDNN_NUMERICAL_NOTE_WINOGRAD:
      case CUDNN_NUMERICAL_NOTE_WINOGRAD_TILE_4x4:
      case CUDNN_NUMERICAL_NOTE_WINOGRAD_TILE_6x6:
      case CUDNN_NUMERICAL_NOTE_WINOGRAD_TILE_13x13: return number == Number::f32;
      default: return false;
    }
  });
}

std::vector<Descriptor> ranked_configurations(const Descriptor& graph, cudnnBackendHeurMode_t mode, const Descriptor* device) {
  Descriptor heuristics(CUDNN_BACKEND_ENGINEHEUR_DESCRIPTOR);
  heuristics.set(CUDNN_ATTR_ENGINEHEUR_OPERATION_GRAPH, graph);
  heuristics.set(CUDNN_ATTR_ENGINEHEUR_MODE, CUDNN_TYPE_HEUR_MODE, mode);
  if (device) heuristics.set(CUDNN_ATTR_ENGINEHEUR_DEVICEPROP, *device);
  if (heuristics.try_finalize() != CUDNN_STATUS_SUCCESS) return {};
  std::int64_t count = 0;
  if (Api::open().get_attribute(heuristics.raw(), CUDNN_ATTR_ENGINEHEUR_RESULTS, CUDNN_TYPE_BACKEND_DESCRIPTOR, 0, &count, nullptr) != CUDNN_STATUS_SUCCESS) return {};
  std::vector<Descriptor> configurations;
  std::vector<cudnnBackendDescriptor_t> raw;
  for (std::int64_t i = 0; i < count; ++i) raw.push_back(configurations.emplace_back(CUDNN_BACKEND_ENGINECFG_DESCRIPTOR).raw());
  std::int64_t written = 0;
  if (Api::open().get_attribute(heuristics.raw(), CUDNN_ATTR_ENGINEHEUR_RESULTS, CUDNN_TYPE_BACKEND_DESCRIPTOR, count, &written, raw.data()) != CUDNN_STATUS_SUCCESS) return {};
  configurations.resize(static_cast<std::size_t>(std::min(written, count)));
  return configurations;
}

// Turns one configuration into the plan, if it is acceptable and cuDNN can finish it.
bool accept(const Problem& p, const Descriptor& configuration, cudnnHandle_t handle, const Descriptor* device, Plan& plan, std::array<int, 3>& rejected) {
  const Api& api = Api::open();
  Descriptor engine(CUDNN_BACKEND_ENGINE_DESCRIPTOR);
  cudnnBackendDescriptor_t raw = engine.raw();
  std::int64_t count = 0;
  check(api.get_attribute(configuration.raw(), CUDNN_ATTR_ENGINECFG_ENGINE, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &count, &raw), "reading a cuDNN engine");
  if (refused(p.number, notes<cudnnBackendNumericalNote_t>(raw, CUDNN_ATTR_ENGINE_NUMERICAL_NOTE, CUDNN_TYPE_NUMERICAL_NOTE))) return ++rejected[0], false;

  Descriptor made(CUDNN_BACKEND_EXECUTION_PLAN_DESCRIPTOR);
  if (device) made.set(CUDNN_ATTR_EXECUTION_PLAN_DEVICEPROP, *device);
  else made.set(CUDNN_ATTR_EXECUTION_PLAN_HANDLE, CUDNN_TYPE_HANDLE, handle);
  made.set(CUDNN_ATTR_EXECUTION_PLAN_ENGINE_CONFIG, configuration);
  if (made.try_finalize() != CUDNN_STATUS_SUCCESS) return ++rejected[1], false;
  std::int64_t workspace = 0;
  check(api.get_attribute(made.raw(), CUDNN_ATTR_EXECUTION_PLAN_WORKSPACE_SIZE, CUDNN_TYPE_INT64, 1, &count, &workspace), "reading a cuDNN plan's workspace");
  if (workspace > workspace_cap) return ++rejected[2], false;

  const auto behaviour = notes<cudnnBackendBehaviorNote_t>(raw, CUDNN_ATTR_ENGINE_BEHAVIOR_NOTE, CUDNN_TYPE_BEHAVIOR_NOTE);
  plan.report.runtime_compiled = std::count(behaviour.begin(), behaviour.end(), CUDNN_BEHAVIOR_NOTE_RUNTIME_COMPILATION) > 0;
  api.get_attribute(raw, CUDNN_ATTR_ENGINE_GLOBAL_INDEX, CUDNN_TYPE_INT64, 1, &count, &plan.report.engine);
  plan.report.workspace = workspace;
  plan.report.found = true;
  plan.plan = std::move(made);
  return true;
}

}  // namespace

Plan make_plan(const Problem& p, cudnnHandle_t handle, const std::string& device_json) {
  Plan plan;
  Descriptor device;
  if (!handle) {
    device = Descriptor(CUDNN_BACKEND_DEVICEPROP_DESCRIPTOR);
    device.set(CUDNN_ATTR_DEVICEPROP_JSON_REPRESENTATION, CUDNN_TYPE_CHAR, device_json.data(), static_cast<std::int64_t>(device_json.size()));
    device.finalize("describing a device to cuDNN");
  }
  const Descriptor* const described = handle ? nullptr : &device;

  const Operations ops = operations(p);
  Descriptor graph(CUDNN_BACKEND_OPERATIONGRAPH_DESCRIPTOR);
  graph.set(CUDNN_ATTR_OPERATIONGRAPH_OPS, CUDNN_TYPE_BACKEND_DESCRIPTOR, ops.operations.data(), static_cast<std::int64_t>(ops.operations.size()));
  if (handle) graph.set(CUDNN_ATTR_OPERATIONGRAPH_HANDLE, CUDNN_TYPE_HANDLE, handle);
  if (const cudnnStatus_t status = graph.try_finalize(); status != CUDNN_STATUS_SUCCESS) {
    plan.report.why_not = fmt::format("the graph is refused: {}", Api::open().get_error_string(status));
    return plan;
  }
  std::array<int, 3> rejected{};
  for (const cudnnBackendHeurMode_t mode : {CUDNN_HEUR_MODE_A, CUDNN_HEUR_MODE_FALLBACK}) {
    for (const Descriptor& configuration : ranked_configurations(graph, mode, described)) {
      ++plan.report.offered;
      if (accept(p, configuration, handle, described, plan, rejected)) return plan;
    }
  }
  plan.report.why_not = fmt::format("{} configurations offered: {} not deterministic or not exact enough, {} not supported, {} with more workspace than {} MB", plan.report.offered, rejected[0],
                             rejected[1], rejected[2], workspace_cap >> 20);
  return plan;
}

PlanReport plan_for_described_device(const Problem& p, const std::string& device_json) { return make_plan(p, nullptr, device_json).report; }

}  // namespace kernels::cudnn
