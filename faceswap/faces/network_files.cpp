#include "faceswap/faces/network_files.h"

#include "kernels/core/cache_folder.h"

namespace faceswap {

namespace fs = std::filesystem;

std::span<const NetworkFile> known_networks() {
  static constexpr NetworkFile networks[] = {
      {"centerface.onnx", "finds faces"},
      {"face_detection_full.safetensors", "finds large ones quickly"},
      {"face_landmark.safetensors", "468 points of a face"},
      {"iris_landmark.safetensors", "eyes open or shut"},
      {"face_identity.safetensors", "whose face it is"},
  };
  return networks;
}

fs::path network_folder() {
  const fs::path cache = kernels::cache_folder();
  return cache.empty() ? fs::path() : cache / "networks";
}

fs::path find_network(const std::string& name) {
  const fs::path folder = network_folder(), file = folder / name;
  std::error_code ignored;
  return !folder.empty() && fs::is_regular_file(file, ignored) ? file : fs::path();
}
}  // namespace faceswap
