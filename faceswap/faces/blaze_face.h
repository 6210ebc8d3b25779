// The quick look over a whole picture, by MediaPipe's BlazeFace of full range
// (face_detection_full.safetensors): a few milliseconds at any size, and so blind for faces
// below a twelfth of the picture's long side.
#pragma once
#include <filesystem>
#include <vector>

#include "faceswap/faces/detector.h"
#include "faceswap/faces/layer_list.h"

namespace faceswap {

class BlazeFace {
 public:
  // Error(input): the file is not this network.
  explicit BlazeFace(const std::filesystem::path& file, nn::Device device = nn::Device::host);

  // Faces with their eyes in the pixels of rgb, best first; confidence from 0 to 1.
  std::vector<Detection> find(const Image& rgb) const;

 private:
  LayerList network_;
  int cells_ = 0;  // a side
};
}  // namespace faceswap
