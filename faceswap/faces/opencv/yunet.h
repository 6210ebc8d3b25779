// The detector for small, rotated and dark faces: a neural network in a file you name.
#pragma once
#include <filesystem>
#include <memory>

#include "faceswap/faces/detector.h"

namespace faceswap {

// Error(input): the model is missing or is not YuNet.
std::unique_ptr<FaceDetector> make_yunet_detector(const DetectorOptions&,
                                                  const std::filesystem::path& model);
}  // namespace faceswap
