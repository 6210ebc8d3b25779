// W. Wu, H. Peng, S. Yu, YuNet: a tiny millisecond-level face detector, 2023. Twelve
// outputs; for each stride s in 8, 16, 32 and each cell (column c, row r):
//     score  = sqrt(cls * obj)
//     centre = ((c + bx) s, (r + by) s),  size = (exp(bw) s, exp(bh) s)
//     point  = ((c + kx) s, (r + ky) s)   image-left eye, image-right eye, nose,
//                                         image-left and image-right mouth corner
#include "faceswap/faces/opencv/yunet.h"

#include <algorithm>
#include <cmath>

#include "faceswap/faces/opencv/dnn_detector.h"

namespace faceswap {
namespace {

constexpr int kLongSide = 640;
constexpr int kStrides[3] = {8, 16, 32};
constexpr double kLowest = 0.5;  // least score of a candidate

class Yunet final : public DnnFormat {
 public:
  const char* file_name() const override { return "YuNet's face_detection_yunet_2023mar.onnx"; }
  bool rgb_order() const override { return false; }

  std::vector<std::string> outputs() const override {
    std::vector<std::string> names;
    for (const int stride : kStrides)
      for (const char* name : {"cls_", "obj_", "bbox_", "kps_"})
        names.push_back(name + std::to_string(stride));
    return names;
  }

  int long_side(int picture) const override {
    return picture > kLongSide ? kLongSide : picture < kLongSide / 2 ? 2 * picture : picture;
  }

  DetectorTraits traits() const override {
    DetectorTraits traits;
    traits.start_confidence = 0.6;
    traits.accept_confidence = 0.7;
    traits.eye_sigma = 0.035;
    traits.eyes_per_side = 0.33;  // its boxes are larger than the cascades'
    return traits;
  }

  std::vector<Candidate> decode(const std::vector<cv::Mat>& outputs, int width,
                                int height) const override {
    std::vector<Candidate> all;
    for (std::size_t level = 0; level < 3; ++level)
      decode_level(&outputs[4 * level], kStrides[level], width, height, all);
    return all;
  }

 private:
  // tensors: cls [1,cells,1], obj [1,cells,1], bbox [1,cells,4], kps [1,cells,10]
  static void decode_level(const cv::Mat* tensors, int stride, int width, int height,
                           std::vector<Candidate>& all) {
    const auto columns = static_cast<std::size_t>(width / stride),
               cells = columns * static_cast<std::size_t>(height / stride);
    const float *cls = output_values(tensors[0], "cls", cells),
                *obj = output_values(tensors[1], "obj", cells),
                *box = output_values(tensors[2], "bbox", 4 * cells),
                *points = output_values(tensors[3], "kps", 10 * cells);
    for (std::size_t i = 0; i < cells; ++i) {
      const double score =
          std::sqrt(std::clamp<double>(cls[i], 0, 1) * std::clamp<double>(obj[i], 0, 1));
      if (!(score >= kLowest)) continue;
      const double column = static_cast<double>(i % columns),
                   row = static_cast<double>(i / columns);
      Candidate d;
      d.score = score;
      d.width = std::exp(box[4 * i + 2]) * stride, d.height = std::exp(box[4 * i + 3]) * stride;
      d.x = (column + box[4 * i]) * stride - 0.5 * d.width,
      d.y = (row + box[4 * i + 1]) * stride - 0.5 * d.height;
      for (std::size_t k = 0; k < 5; ++k)
        d.points[k] = {(column + points[10 * i + 2 * k]) * stride,
                       (row + points[10 * i + 2 * k + 1]) * stride};
      all.push_back(d);
    }
  }
};
}  // namespace

std::unique_ptr<FaceDetector> make_yunet_detector(const DetectorOptions& options,
                                                  const std::filesystem::path& file) {
  return make_dnn_detector(options, file, std::make_unique<Yunet>());
}
}  // namespace faceswap
