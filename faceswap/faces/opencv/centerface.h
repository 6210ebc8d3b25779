// The detector for faces near and far, light and dark, at most angles.
#pragma once
#include <filesystem>
#include <memory>

#include "faceswap/faces/detector.h"

namespace faceswap {

// Error(input): the network is missing or is not CenterFace.
std::unique_ptr<FaceDetector> make_centerface_detector(const DetectorOptions&,
                                                       const std::filesystem::path& file);
}  // namespace faceswap
