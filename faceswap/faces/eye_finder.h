// The edges of the lids, by MediaPipe's Iris network (iris_landmark.safetensors).
// FaceMesh alone draws shut eyes open.
#pragma once
#include <vector>

#include "faceswap/faces/layer_list.h"
#include "faceswap/image.h"

namespace faceswap {

class EyeFinder {
 public:
  // Throws Error(input) if the file is not this network.
  explicit EyeFinder(const std::filesystem::path& file, nn::Device device = nn::Device::host);

  // Moves the 16 landmarks round each eye to its lids. landmarks: 468 of the mesh, in
  // the picture. An eye less than half as wide as the other is hidden by the nose, and
  // stays.
  void refine(const Image& rgb, std::vector<Point>& landmarks) const;

 private:
  LayerList network_;
};
}  // namespace faceswap
