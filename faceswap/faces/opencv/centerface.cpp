// Y. Xu, W. Yan, G. Yang et al., CenterFace: joint face detection and alignment using
// face as point, 2020. Four outputs over cells of 4 x 4 pixels; for cell (column c,
// row r):
//     score  = heat
//     size   = (4 exp(size_x), 4 exp(size_y))
//     corner = (4 (c + offset_x + 1/2), 4 (r + offset_y + 1/2)) - size / 2
//     point  = corner + size (point_x, point_y)    in the order of Candidate::points
// Each pair of planes holds y first.
#include "faceswap/faces/opencv/centerface.h"

#include <algorithm>
#include <cmath>

#include "faceswap/faces/opencv/dnn_detector.h"

namespace faceswap {
namespace {

constexpr int kStride = 4;
constexpr int kLeastSide = 640, kMostSide = 1280;  // of the input's long side, pixels
constexpr double kLowest = 0.35;                   // least score of a candidate

class CenterFace final : public DnnFormat {
 public:
  const char* file_name() const override { return "CenterFace's centerface.onnx"; }
  bool rgb_order() const override { return true; }
  std::vector<std::string> outputs() const override { return {"537", "538", "539", "540"}; }
  int long_side(int picture) const override { return std::clamp(picture, kLeastSide, kMostSide); }

  DetectorTraits traits() const override {
    DetectorTraits traits;
    traits.start_confidence = 0.45;
    traits.accept_confidence = 0.45;
    traits.eye_sigma = 0.03;
    traits.eyes_per_side = 0.36;
    traits.scan_interval = 12;
    traits.rescan_interval = 6;
    traits.least_length = 3;
    return traits;
  }

  std::vector<Candidate> decode(const std::vector<cv::Mat>& outputs, int width,
                                int height) const override {
    const auto columns = static_cast<std::size_t>(width / kStride),
               cells = columns * static_cast<std::size_t>(height / kStride);
    const float *heat = output_values(outputs[0], "537", cells),
                *size = output_values(outputs[1], "538", 2 * cells),
                *offset = output_values(outputs[2], "539", 2 * cells),
                *points = output_values(outputs[3], "540", 10 * cells);
    std::vector<Candidate> all;
    for (std::size_t i = 0; i < cells; ++i) {
      if (!(heat[i] >= kLowest)) continue;
      const double column = static_cast<double>(i % columns),
                   row = static_cast<double>(i / columns);
      Candidate d;
      d.score = heat[i];
      d.width = kStride * std::exp(size[cells + i]), d.height = kStride * std::exp(size[i]);
      d.x = kStride * (column + offset[cells + i] + 0.5) - 0.5 * d.width;
      d.y = kStride * (row + offset[i] + 0.5) - 0.5 * d.height;
      for (std::size_t k = 0; k < 5; ++k)
        d.points[k] = {d.x + d.width * points[(2 * k + 1) * cells + i],
                       d.y + d.height * points[2 * k * cells + i]};
      all.push_back(d);
    }
    return all;
  }
};
}  // namespace

std::unique_ptr<FaceDetector> make_centerface_detector(const DetectorOptions& options,
                                                       const std::filesystem::path& file) {
  return make_dnn_detector(options, file, std::make_unique<CenterFace>());
}
}  // namespace faceswap
