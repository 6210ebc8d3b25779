// The detectors that need OpenCV. This header needs none of it.
#pragma once
#include <filesystem>
#include <memory>

#include "faceswap/faces/detector.h"
#include "faceswap/faces/finder.h"

namespace faceswap {

void quiet_opencv(int threads);  // thread count, no messages on stderr
std::unique_ptr<FaceFinder> make_cascade_finder(
    const DetectorOptions&);  // Error(input): cascades missing
std::unique_ptr<FaceFinder> make_yunet_finder(
    const DetectorOptions&,
    const std::filesystem::path& model);  // Error(input): missing or not YuNet

}  // namespace faceswap
