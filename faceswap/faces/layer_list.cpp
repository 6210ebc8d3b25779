#include "faceswap/faces/layer_list.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <nlohmann/json.hpp>
#include <ranges>

#include "kernels/simt/single_threaded.h"
#include "nn/checkpoint/checkpoint.h"
#include "nn/ops.h"

namespace faceswap {
namespace {

using nlohmann::json;
using nn::Device;
using nn::DType;
using nn::Error;
using nn::ErrorKind;
using nn::Shape;
using nn::Tensor;

constexpr const char* format_name = "doppel network 1";
constexpr std::int64_t most_numbers = std::int64_t{1} << 26;  // of a value: 256 MiB

[[noreturn]] void refuse(const std::string& what) { throw std::runtime_error(what); }

// A field that must be a number in [low, high].
int number(const json& object, const char* field, std::int64_t low, std::int64_t high) {
  const auto value = object.at(field).get<std::int64_t>();
  if (value < low || value > high)
    refuse(fmt::format("\"{}\" is {}, expected {} to {}", field, value, low, high));
  return static_cast<int>(value);
}

// Values that exist when `count` of them do: numbers in [0, count).
std::vector<int> values_below(const json& list, int count) {
  std::vector<int> values;
  for (const json& entry : list) {
    const auto value = entry.get<std::int64_t>();
    if (value < 0 || value >= count)
      refuse(fmt::format("value {} does not exist here: there are {}", value, count));
    values.push_back(static_cast<int>(value));
  }
  return values;
}
}  // namespace

struct LayerList::OpName {
  const char* name;
  Op op;
  std::size_t inputs;
};

Tensor LayerList::Layer::operator()(const std::vector<Tensor>& values) const {
  const Tensor& x = values[inputs[0]];
  switch (op) {
    case Op::conv2d:
      return conv2d(x, weight, bias,
                    {stride, relu ? nn::Activation::leaky_relu : nn::Activation::none, 0.f});
    case Op::depthwise_conv2d: return depthwise_conv2d(x, weight, stride);
    case Op::add:
      return relu ? nn::leaky_relu(nn::add(x, values[inputs[1]]), 0.f)
                  : nn::add(x, values[inputs[1]]);
    case Op::prelu: return prelu(x, weight);
    case Op::max_pool2d: return max_pool2d(x, kernel, stride);
    case Op::pad_channels: return pad_channels(x, channels);
    case Op::pad2d: return pad2d(x, top, left, height, width);
    case Op::upsample: return upsample(x);
  }
  return {};
}

struct LayerList::Reader {
  const nn::SafetensorsFile& file;
  LayerList& list;

  Tensor tensor(const json& layer, const char* field) const {
    const auto name = layer.at(field).get<std::string>();
    const nn::TensorRecord* record = file.find(name);
    if (record == nullptr) refuse(fmt::format("tensor \"{}\" is missing", name));
    if (record->dtype != DType::f32 || record->shape.size() > 4)
      refuse(fmt::format("tensor \"{}\" is {} of rank {}, expected f32 of rank 4 at most", name,
                         nn::name(record->dtype), record->shape.size()));
    const Tensor tensor = Tensor::empty(Shape(record->shape), DType::f32, Device::host);
    std::memcpy(tensor.raw(), record->data, record->bytes);
    return tensor;
  }

  // The known operators and their numbers of inputs.
  static const OpName& op_called(const std::string& name) {
    static constexpr OpName known[] = {{"conv2d", Op::conv2d, 1},
                                       {"depthwise_conv2d", Op::depthwise_conv2d, 1},
                                       {"add", Op::add, 2},
                                       {"prelu", Op::prelu, 1},
                                       {"max_pool2d", Op::max_pool2d, 1},
                                       {"pad_channels", Op::pad_channels, 1},
                                       {"pad2d", Op::pad2d, 1},
                                       {"upsample", Op::upsample, 1}};
    const auto* found = std::ranges::find(known, name, &OpName::name);
    if (found == std::end(known)) refuse(fmt::format("operator \"{}\" is not known", name));
    return *found;
  }

  Layer layer(const json& entry, int values) const {
    const OpName& known = op_called(entry.at("op").get<std::string>());
    Layer layer;
    layer.op = known.op;
    layer.inputs = values_below(entry.at("in"), values);
    if (layer.inputs.size() != known.inputs)
      refuse(fmt::format("{} inputs, expected {}", layer.inputs.size(), known.inputs));
    switch (layer.op) {
      case Op::conv2d: layer.bias = tensor(entry, "bias"); [[fallthrough]];
      case Op::depthwise_conv2d:
        layer.weight = tensor(entry, "weight");
        layer.stride = number(entry, "stride", 1, 64);
        break;
      case Op::prelu: layer.weight = tensor(entry, "slope"); break;
      case Op::max_pool2d:
        layer.stride = number(entry, "stride", 1, 64);
        layer.kernel = number(entry, "kernel", 1, 64);
        break;
      case Op::pad_channels: layer.channels = number(entry, "channels", 1, 1 << 16); break;
      case Op::pad2d:
        layer.top = number(entry, "top", -4096, 4096);
        layer.left = number(entry, "left", -4096, 4096);
        layer.height = number(entry, "height", 1, 4096);
        layer.width = number(entry, "width", 1, 4096);
        break;
      case Op::add:
      case Op::upsample: break;
    }
    layer.relu = entry.value("relu", false);
    return layer;
  }

  // Runs the layer on `values` and adds its result to them: without data, for its shape.
  static void dry_run(const Layer& layer, std::vector<Tensor>& values) {
    const auto without_data = [](const Tensor& t) {
      return t.defined() ? Tensor::empty(t.shape(), DType::f32, Device::meta) : t;
    };
    Layer dry = layer;
    dry.weight = without_data(layer.weight);
    dry.bias = without_data(layer.bias);
    values.push_back(dry(values));
    const Shape& shape = values.back().shape();
    if (shape.numel() > most_numbers)
      refuse(fmt::format("its result {} is too large", shape.str()));
  }

  void read(const json& network) const {
    const json& size = network.at("input");
    if (size.size() != 3) refuse("\"input\" is not [height, width, channels]");
    std::vector<std::int64_t> extents;
    for (const json& extent : size) {
      extents.push_back(extent.get<std::int64_t>());
      if (extents.back() < 1 || extents.back() > 4096)
        refuse(fmt::format("\"input\" has an extent of {}, expected 1 to 4096", extents.back()));
    }
    list.input_ = Shape(extents);
    std::vector<Tensor> values{
        Tensor::empty({1, extents[0], extents[1], extents[2]}, DType::f32, Device::meta)};
    for (const json& entry : network.at("layers")) {
      const int number = static_cast<int>(values.size());
      try {
        list.layers_.push_back(layer(entry, number));
        dry_run(list.layers_.back(), values);
      } catch (const std::exception& fault) {
        refuse(fmt::format("layer {}: {}", number, fault.what()));
      }
    }
    for (const json& entry : network.at("outputs")) {
      Output output{entry.at("name").get<std::string>(), 0, {}};
      output.parts = values_below(entry.at("parts"), static_cast<int>(values.size()));
      if (output.parts.empty()) refuse(fmt::format("output \"{}\" has no parts", output.name));
      for (const int part : output.parts) output.size += values[part].numel();
      list.outputs_.push_back(std::move(output));
    }
  }

  // A value is given up behind the last layer that reads it, unless it is an output.
  void find_finished() const {
    std::vector<bool> needed(list.layers_.size() + 1);
    for (const Output& output : list.outputs_)
      for (const int part : output.parts) needed[part] = true;
    for (Layer& layer : std::views::reverse(list.layers_))
      for (const int value : layer.inputs)
        if (!needed[value]) {
          needed[value] = true;
          layer.finished.push_back(value);
        }
  }
};

LayerList::LayerList(const std::filesystem::path& path, Device device) : device_(device) {
  const nn::NoGrad no_gradients;
  try {
    const nn::SafetensorsFile file(path, /*require_checksum=*/false);
    const auto& metadata = file.metadata();
    if (!metadata.contains("format") || metadata.at("format") != format_name ||
        !metadata.contains("network"))
      refuse(fmt::format("not a network of the format \"{}\"", format_name));
    const Reader reader{file, *this};
    reader.read(json::parse(metadata.at("network")));
    reader.find_finished();
  } catch (const std::exception& fault) {
    throw Error(ErrorKind::input,
                fmt::format("network {}: {}; run tools/install_deps.sh faces to convert it again",
                            path.string(), fault.what()));
  }
  for (Layer& layer : layers_) {
    if (layer.weight.defined()) layer.weight = layer.weight.to(device);
    if (layer.bias.defined()) layer.bias = layer.bias.to(device);
  }
}

std::vector<Tensor> LayerList::operator()(const Tensor& x) const {
  const nn::NoGrad no_gradients;
  const simt::SingleThreaded small;
  const std::int64_t n = x.shape(0);
  if (x.shape() != Shape{n, input_[0], input_[1], input_[2]} || x.dtype() != DType::f32)
    throw Error(ErrorKind::usage,
                fmt::format("network: input {} of {}, expected [N,{},{},{}] of f32",
                            x.shape().str(), nn::name(x.dtype()), input_[0], input_[1], input_[2]));
  std::vector<Tensor> values{x};
  values.reserve(layers_.size() + 1);
  for (const Layer& layer : layers_) {
    values.push_back(layer(values));
    for (const int value : layer.finished) values[value] = {};
  }
  std::vector<Tensor> results;
  for (const Output& output : outputs_) {
    const auto flat = [&](int part) { return values[part].reshape({n, values[part].numel() / n}); };
    Tensor result = flat(output.parts[0]);
    for (std::size_t i = 1; i < output.parts.size(); ++i)
      result = concat_channels(result, flat(output.parts[i]));
    results.push_back(result);
  }
  return results;
}
}  // namespace faceswap
