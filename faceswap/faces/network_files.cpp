#include "faceswap/faces/network_files.h"

#include "kernels/core/cache_folder.h"

namespace faceswap {

namespace fs = std::filesystem;

std::span<const NetworkFile> known_networks() {
  static constexpr NetworkFile networks[] = {
      {"face_landmark.safetensors", "468 points of a face"},
      {"face_identity.safetensors", "whose face it is"},
      {"iris_landmark.safetensors", "eye and iris"},
      {"face_detection_short.safetensors", "near faces"},
      {"face_detection_full.safetensors", "faces near and far"},
      {"centerface.onnx", "faces near and far, by OpenCV"},
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
