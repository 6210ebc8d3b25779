// Exact eye centres, by MediaPipe's Iris network (iris_landmark.safetensors), which sees
// each eye at twice the mesh's resolution.
#pragma once
#include <array>
#include <filesystem>

#include "faceswap/faces/layer_list.h"
#include "faceswap/faces/mesh.h"

namespace faceswap {

class EyeFinder {
 public:
  // Error(input): the file is not this network.
  explicit EyeFinder(const std::filesystem::path& file, nn::Device device = nn::Device::host);

  // The middle of the 16 points round each eye, image-left and image-right, in the
  // pixels of rgb and mesh. Each eye is seen twice, the second time mirrored: the
  // network's sideways error, 3 % of the eye distance, has the other sign there.
  std::array<Point, 2> find(const Image& rgb, const Mesh& mesh) const;

 private:
  LayerList network_;
};
}  // namespace faceswap
