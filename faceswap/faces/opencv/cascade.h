// The detector that needs no network: Haar cascades for faces and eyes.
#pragma once
#include <memory>

#include "faceswap/faces/detector.h"

namespace faceswap {

// Error(input): a cascade file is missing.
std::unique_ptr<FaceDetector> make_cascade_detector(const DetectorOptions&);
}  // namespace faceswap
