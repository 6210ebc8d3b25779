// OpenCV's process-wide settings, and pictures without copies.
#pragma once
#include <opencv2/core.hpp>

#include "faceswap/image.h"

namespace faceswap {

// Sets the thread count (0: all cores) and mutes stderr; errors arrive as exceptions.
void configure_opencv(int threads);

// A view of the picture's pixels: grey or RGB. The picture must outlive it.
cv::Mat as_mat(const Image& picture);
}  // namespace faceswap
