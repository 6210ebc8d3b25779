#include "tests/standin/cudnn/descriptors.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

namespace standin {
namespace {

struct Slot {
  const char* name;
  cudnnBackendAttributeName_t attribute;
};
struct Operation {
  cudnnBackendDescriptorType_t type;
  const char* name;
  cudnnBackendAttributeName_t settings;
  std::vector<Slot> slots;
};
const std::vector<Operation>& operations() {
  static const std::vector<Operation> all = {
      {CUDNN_BACKEND_OPERATION_CONVOLUTION_FORWARD_DESCRIPTOR,
       "conv forward",
       CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_CONV_DESC,
       {{"x", CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_X},
        {"w", CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_W},
        {"y", CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_Y}}},
      {CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_DATA_DESCRIPTOR,
       "conv data",
       CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_CONV_DESC,
       {{"dx", CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_DX},
        {"w", CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_W},
        {"dy", CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_DY}}},
      {CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_FILTER_DESCRIPTOR,
       "conv filter",
       CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_CONV_DESC,
       {{"x", CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_X},
        {"dw", CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_DW},
        {"dy", CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_DY}}},
      {CUDNN_BACKEND_OPERATION_POINTWISE_DESCRIPTOR,
       "pointwise",
       CUDNN_ATTR_OPERATION_POINTWISE_PW_DESCRIPTOR,
       {{"in", CUDNN_ATTR_OPERATION_POINTWISE_XDESC},
        {"operand", CUDNN_ATTR_OPERATION_POINTWISE_BDESC},
        {"out", CUDNN_ATTR_OPERATION_POINTWISE_YDESC}}}};
  return all;
}
const Operation* operation(const Descriptor& d) {
  for (const Operation& o : operations())
    if (o.type == d.type) return &o;
  return nullptr;
}

const char* name(cudnnDataType_t type) {
  switch (type) {
    case CUDNN_DATA_FLOAT: return "f32";
    case CUDNN_DATA_HALF: return "f16";
    case CUDNN_DATA_BFLOAT16: return "bf16";
    default: return "?";
  }
}
std::size_t size_of(cudnnDataType_t type) { return type == CUDNN_DATA_FLOAT ? 4 : 2; }

std::string convolution(const Descriptor& d) {
  const auto numbers = [&](cudnnBackendAttributeName_t name) { return d.all<std::int64_t>(name); };
  return fmt::format("stride {}, pad {}..{}",
                     fmt::join(numbers(CUDNN_ATTR_CONVOLUTION_FILTER_STRIDES), "x"),
                     fmt::join(numbers(CUDNN_ATTR_CONVOLUTION_PRE_PADDINGS), "x"),
                     fmt::join(numbers(CUDNN_ATTR_CONVOLUTION_POST_PADDINGS), "x"));
}
std::string pointwise(const Descriptor& d) {
  switch (d.one<cudnnPointwiseMode_t>(CUDNN_ATTR_POINTWISE_MODE)) {
    case CUDNN_POINTWISE_ADD: return "add";
    case CUDNN_POINTWISE_SIGMOID_FWD: return "sigmoid";
    case CUDNN_POINTWISE_RELU_FWD:
      return fmt::format("relu, slope {:.4g}",
                         d.one<double>(CUDNN_ATTR_POINTWISE_RELU_LOWER_CLIP_SLOPE));
    default: return "?";
  }
}

std::size_t extent(const Descriptor& tensor) {
  const auto dims = tensor.all<std::int64_t>(CUDNN_ATTR_TENSOR_DIMENSIONS),
             strides = tensor.all<std::int64_t>(CUDNN_ATTR_TENSOR_STRIDES);
  std::int64_t last = 0;
  for (std::size_t i = 0; i < dims.size(); ++i) last += (dims[i] - 1) * strides[i];
  return static_cast<std::size_t>(last + 1) *
         size_of(tensor.one<cudnnDataType_t>(CUDNN_ATTR_TENSOR_DATA_TYPE));
}

std::vector<Shared> parts_of(const Descriptor& graph) {
  const auto found = graph.values.find(CUDNN_ATTR_OPERATIONGRAPH_OPS);
  return found == graph.values.end() ? std::vector<Shared>{} : found->second.parts;
}
}  // namespace

std::size_t value_size(cudnnBackendAttributeType_t type) {
  switch (type) {
    case CUDNN_TYPE_INT64:
    case CUDNN_TYPE_DOUBLE:
    case CUDNN_TYPE_HANDLE:
    case CUDNN_TYPE_VOID_PTR: return 8;
    case CUDNN_TYPE_BOOLEAN:
    case CUDNN_TYPE_CHAR: return 1;
    default: return 4;  // enumerations, float, int32
  }
}

std::string describe(const Descriptor& graph, std::vector<TensorUse>& operands) {
  std::string text;
  for (const Shared& part : parts_of(graph)) {
    const Operation* const o = operation(*part);
    if (!o) return "an operation the stand-in does not know";
    const Shared settings = part->part(o->settings);
    const bool convolves = o->type != CUDNN_BACKEND_OPERATION_POINTWISE_DESCRIPTOR;
    text += (text.empty() ? "" : "; ") + (convolves  ? std::string(o->name)
                                          : settings ? pointwise(*settings)
                                                     : "?");
    for (const Slot& slot : o->slots) {
      const Shared tensor = part->part(slot.attribute);
      if (!tensor) continue;
      const bool is_virtual = tensor->one<char>(CUDNN_ATTR_TENSOR_IS_VIRTUAL) != 0;
      if (is_virtual && !convolves) continue;
      text += fmt::format(" {} {} {}{}", slot.name,
                          fmt::join(tensor->all<std::int64_t>(CUDNN_ATTR_TENSOR_DIMENSIONS), "x"),
                          name(tensor->one<cudnnDataType_t>(CUDNN_ATTR_TENSOR_DATA_TYPE)),
                          is_virtual ? " virtual" : "");
      if (is_virtual) continue;
      const auto alignment = tensor->one<std::int64_t>(CUDNN_ATTR_TENSOR_BYTE_ALIGNMENT, 1);
      text += fmt::format(" @{}", alignment);
      operands.push_back({tensor->one<std::int64_t>(CUDNN_ATTR_TENSOR_UNIQUE_ID), slot.name,
                          extent(*tensor), static_cast<std::size_t>(alignment)});
    }
    if (convolves && settings) text += ", " + convolution(*settings);
  }
  return text;
}

bool is_fused(const Descriptor& graph) { return parts_of(graph).size() > 1; }

cudnnDataType_t type_of_values(const Descriptor& graph) {
  const Operation* const o = operation(*parts_of(graph).front());
  return parts_of(graph)
      .front()
      ->part(o->slots[0].attribute)
      ->one<cudnnDataType_t>(CUDNN_ATTR_TENSOR_DATA_TYPE);
}
}  // namespace standin
