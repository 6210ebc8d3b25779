#include "faceswap/faces/opencv/runtime.h"

namespace faceswap {

void configure_opencv(int threads) {
  cv::setNumThreads(threads > 0 ? threads : -1);
  cv::redirectError([](int, const char*, const char*, const char*, int, void*) { return 0; });
}

cv::Mat as_mat(const Image& picture) {
  return cv::Mat(picture.height, picture.width, picture.channels == 1 ? CV_8UC1 : CV_8UC3,
                 const_cast<std::uint8_t*>(picture.pixels.data()));
}
}  // namespace faceswap
