// Writes a layer list from its JSON and its tensors, as tools/faces/convert_networks.py
// does.
#pragma once
#include <map>
#include <nlohmann/json.hpp>

#include "nn/checkpoint/checkpoint.h"

struct Weights {
  std::vector<std::int64_t> shape;
  std::vector<float> values;
};
struct NetworkText {
  nlohmann::json layers;
  std::map<std::string, Weights> tensors;
  std::string format = "doppel network 1";
};

inline std::filesystem::path write_network(const std::filesystem::path& path,
                                           const NetworkText& network) {
  std::vector<nn::TensorRecord> records;
  for (const auto& [name, w] : network.tensors)
    records.push_back({name, nn::DType::f32, w.shape,
                       reinterpret_cast<const std::byte*>(w.values.data()),
                       w.values.size() * sizeof(float)});
  nn::save_safetensors(path, {{"format", network.format}, {"network", network.layers.dump()}},
                       records);
  return path;
}
