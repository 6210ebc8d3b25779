// Small networks with the inputs and outputs of the real ones, for tests of what surrounds
// them.
#pragma once
#include <cstdlib>
#include <filesystem>
#include <optional>
#include <string>

#include "faceswap/faces/mesh.h"
#include "tests/faceswap/faces/layer_list_file.h"

// A mesh that finds no face anywhere.
inline NetworkText mesh_without_faces() {
  NetworkText network;
  network.layers = nlohmann::json::parse(R"({"input": [2, 2, 3], "layers": [
      {"op": "conv2d", "in": [0], "weight": "w1", "bias": "b1", "stride": 2},
      {"op": "conv2d", "in": [0], "weight": "w2", "bias": "b2", "stride": 2}],
      "outputs": [{"name": "points", "parts": [1]}, {"name": "presence", "parts": [2]}]})");
  constexpr int kNumbers = 3 * faceswap::Mesh::kPoints, kInput = 2 * 2 * 3;
  network.tensors = {{"w1", {{kNumbers, 2, 2, 3}, std::vector<float>(kNumbers * kInput)}},
                     {"b1", {{kNumbers}, std::vector<float>(kNumbers)}},
                     {"w2", {{1, 2, 2, 3}, std::vector<float>(kInput)}},
                     {"b2", {{1}, {-10.f}}}};
  return network;
}

// An identity of the picture's colours at nine places. Number 0 is the red at the left edge,
// number 1 the red two thirds to the right; the others are 0.
inline NetworkText identity_of_colours(int numbers = 128) {
  NetworkText network;
  network.layers = nlohmann::json::parse(R"({"input": [150, 150, 3], "layers": [
      {"op": "max_pool2d", "in": [0], "kernel": 2, "stride": 50},
      {"op": "conv2d", "in": [1], "weight": "w", "bias": "b", "stride": 3}],
      "outputs": [{"name": "identity", "parts": [2]}]})");
  std::vector<float> w(static_cast<std::size_t>(numbers) * 27);
  w[9] = 1;           // [number 0, row 1, column 0, red]
  w[27 + 9 + 6] = 1;  // [number 1, row 1, column 2, red]
  network.tensors = {{"w", {{numbers, 3, 3, 3}, w}},
                     {"b", {{numbers}, std::vector<float>(numbers)}}};
  return network;
}

// While it lives, find_network() looks in folder/networks alone.
class NetworksIn {
 public:
  explicit NetworksIn(const std::filesystem::path& folder) {
    if (const char* before = std::getenv(kVariable)) before_ = before;
    std::filesystem::create_directories(folder / "networks");
    ::setenv(kVariable, folder.c_str(), 1);
  }
  ~NetworksIn() {
    if (before_) ::setenv(kVariable, before_->c_str(), 1);
    else ::unsetenv(kVariable);
  }
  NetworksIn(const NetworksIn&) = delete;
  NetworksIn& operator=(const NetworksIn&) = delete;

 private:
  static constexpr const char* kVariable = "DOPPEL_CACHE_DIR";
  std::optional<std::string> before_;
};
