// W. Wu, H. Peng, S. Yu, YuNet: a tiny millisecond-level face detector, 2023. OpenCV's
// dnn module runs the network; its twelve outputs are decoded here. For each stride s
// in 8, 16, 32 and each cell (column c, row r) of the picture:
//     score  = sqrt(cls * obj)
//     centre = ((c + bx) s, (r + by) s),  size = (exp(bw) s, exp(bh) s)
//     point  = ((c + kx) s, (r + ky) s)   image-left eye, image-right eye, nose,
//                                         image-left and image-right mouth corner
#include "faceswap/faces/opencv/yunet.h"

#include <algorithm>
#include <array>
#include <cmath>

#include <fmt/format.h>
#include <opencv2/dnn.hpp>
#include <opencv2/imgproc.hpp>

#include "faceswap/faces/face.h"
#include "faceswap/faces/opencv/runtime.h"

namespace faceswap {
namespace {

constexpr int kLongSide = 640;
constexpr int kCell = 32;  // the sides of the network's input are multiples of this
constexpr int kStrides[3] = {8, 16, 32};
constexpr double kLowest = 0.5;   // least score of a candidate
constexpr double kOverlap = 0.3;  // intersection over union above which two boxes are one face

// Eyes, nose and mouth corners of a frontal face in canonical coordinates: between the
// two rendered people (mouth at 176) and the people of four clips (about 188).
const std::vector<Point> kFrontal = {
    kCanonicalEyes[0], kCanonicalEyes[1], {128, 150}, {96, 182}, {160, 182}};

struct Candidate {  // in pixels of the network's input
  double x, y, width, height, score;
  std::array<Point, 5> points;
};

double overlap(const Candidate& a, const Candidate& b) {
  const double w = std::min(a.x + a.width, b.x + b.width) - std::max(a.x, b.x),
               h = std::min(a.y + a.height, b.y + b.height) - std::max(a.y, b.y);
  if (w <= 0 || h <= 0) return 0;
  return w * h / (a.width * a.height + b.width * b.height - w * h);
}

// Non-maximum suppression: keeps the best of each group of overlapping boxes.
std::vector<Candidate> suppress_overlaps(std::vector<Candidate> all) {
  std::stable_sort(all.begin(), all.end(),
                   [](const Candidate& a, const Candidate& b) { return a.score > b.score; });
  std::vector<Candidate> kept;
  for (const Candidate& d : all)
    if (std::none_of(kept.begin(), kept.end(),
                     [&d](const Candidate& k) { return overlap(d, k) > kOverlap; }))
      kept.push_back(d);
  return kept;
}

// The eyes, in profile views replaced by the best fit of all five points: there they
// nearly meet, and a crop scaled by their distance would show one eye.
std::array<Point, 2> steady_eyes(const std::array<Point, 5>& p) {
  const double eyes = distance(p[0], p[1]);
  const double height =
      std::hypot(p[3].x + p[4].x - p[0].x - p[1].x, p[3].y + p[4].y - p[0].y - p[1].y) / 2;
  // 1 from a ratio of 0.75 on, about 40 degrees.
  const double frontal = std::clamp((eyes / std::max(height, 1e-6) - 0.45) / 0.3, 0.0, 1.0);
  if (frontal == 1 || height < 1) return {p[0], p[1]};
  const Similarity to_picture = fit_similarity(kFrontal, {p.begin(), p.end()});
  std::array<Point, 2> steady;
  for (std::size_t k = 0; k < 2; ++k) {
    const Point fitted = to_picture(kCanonicalEyes[k]);
    steady[k] = {frontal * p[k].x + (1 - frontal) * fitted.x,
                 frontal * p[k].y + (1 - frontal) * fitted.y};
  }
  return steady;
}

class YunetDetector final : public FaceDetector {
 public:
  YunetDetector(const DetectorOptions& options, const std::filesystem::path& model)
      : model_(model), min_face_(options.min_face) {
    configure_opencv(options.threads);
    if (!std::filesystem::is_regular_file(model))
      throw Error(ErrorKind::input,
                  fmt::format("{}: no such detector model; expected YuNet's "
                              "face_detection_yunet_2023mar.onnx; or use --detector cascade",
                              model.string()));
    try {
      net_ = cv::dnn::readNet(model.string());
    } catch (const std::exception& e) { refuse(e.what()); }
    for (const int stride : kStrides)
      for (const char* name : {"cls_", "obj_", "bbox_", "kps_"})
        outputs_.push_back(name + std::to_string(stride));
    std::vector<cv::String> names;
    if (!net_.empty()) names = net_.getUnconnectedOutLayersNames();
    for (const cv::String& output : outputs_)
      if (std::find(names.begin(), names.end(), output) == names.end())
        refuse(fmt::format("no output named {}", output));
    traits_.start_confidence = 0.6;
    traits_.accept_confidence = 0.7;
    traits_.eye_sigma = 0.035;
    traits_.eyes_per_side = 0.33;  // its boxes are larger than the cascades'
  }

  const DetectorTraits& traits() const override { return traits_; }

  void next_frame(const Image& gray, const Image& rgb) override {
    const int longest = std::max(rgb.width, rgb.height);
    const double scale = longest > kLongSide       ? static_cast<double>(kLongSide) / longest
                         : longest < kLongSide / 2 ? 2.0
                                                   : 1.0;
    const int w = std::max(1, static_cast<int>(std::lround(rgb.width * scale))),
              h = std::max(1, static_cast<int>(std::lround(rgb.height * scale)));
    // The picture lies in the upper left corner of the input.
    cv::Mat bgr, input(up_to_cells(h), up_to_cells(w), CV_8UC3, cv::Scalar(0, 0, 0));
    cv::cvtColor(as_mat(rgb), bgr, rgb.channels == 1 ? cv::COLOR_GRAY2BGR : cv::COLOR_RGB2BGR);
    cv::resize(bgr, input(cv::Rect(0, 0, w, h)), cv::Size(w, h), 0, 0,
               scale < 1 ? cv::INTER_AREA : cv::INTER_LINEAR);
    std::vector<cv::Mat> tensors;
    try {
      net_.setInput(cv::dnn::blobFromImage(input));
      net_.forward(tensors, outputs_);
    } catch (const std::exception& e) { refuse(e.what()); }
    const double smallest = min_face_ * std::min(w, h);
    std::vector<Candidate> all;
    for (std::size_t level = 0; level < 3; ++level)
      decode(&tensors[4 * level], kStrides[level], input.cols, input.rows, smallest, all);

    // From the network's input to the tracker's working picture.
    const double sx = static_cast<double>(gray.width) / w,
                 sy = static_cast<double>(gray.height) / h;
    const auto place = [&](Point p) {
      return Point{(p.x + 0.5) * sx - 0.5, (p.y + 0.5) * sy - 0.5};
    };
    faces_.clear();
    for (const Candidate& d : suppress_overlaps(std::move(all))) {
      Detection face;
      face.center = place({d.x + 0.5 * d.width, d.y + 0.5 * d.height});
      face.side = std::max(d.width, d.height) * sx;
      const std::array<Point, 2> eyes = steady_eyes(d.points);
      face.eyes[0] = place(eyes[0]);
      face.eyes[1] = place(eyes[1]);
      face.roll = std::atan2(face.eyes[1]->y - face.eyes[0]->y, face.eyes[1]->x - face.eyes[0]->x);
      face.confidence = d.score;
      faces_.push_back(face);
    }
  }

  // The network finds tilted heads in the upright scan.
  std::vector<Detection> scan(bool tilted) override {
    return tilted ? std::vector<Detection>{} : faces_;
  }

  std::optional<Detection> follow(const Detection& expected, bool) override {
    std::optional<Detection> nearest;
    double least = 0.5 * expected.side;
    for (const Detection& face : faces_) {
      const double away = distance(face.center, expected.center);
      if (away < least && face.side > 0.6 * expected.side && face.side < 1.7 * expected.side)
        least = away, nearest = face;
    }
    return nearest;
  }

 private:
  static int up_to_cells(int n) { return (n + kCell - 1) / kCell * kCell; }

  [[noreturn]] void refuse(const std::string& why) const {
    throw Error(ErrorKind::input,
                fmt::format("{}: not a usable YuNet model: {}; expected "
                            "face_detection_yunet_2023mar.onnx; or use --detector cascade",
                            model_.string(), why));
  }

  // tensors: cls [1,cells,1], obj [1,cells,1], bbox [1,cells,4], kps [1,cells,10]
  void decode(const cv::Mat* tensors, int stride, int width, int height, double smallest,
              std::vector<Candidate>& out) const {
    const int columns = width / stride, rows = height / stride;
    const std::size_t cells = static_cast<std::size_t>(columns) * rows, values[4] = {1, 1, 4, 10};
    for (int t = 0; t < 4; ++t)
      if (tensors[t].total() != cells * values[t] || tensors[t].type() != CV_32F ||
          !tensors[t].isContinuous())
        refuse(fmt::format("output {} of stride {} has {} values, expected {}", t, stride,
                           tensors[t].total(), cells * values[t]));
    const float *cls = tensors[0].ptr<float>(), *obj = tensors[1].ptr<float>(),
                *box = tensors[2].ptr<float>(), *points = tensors[3].ptr<float>();
    for (std::size_t i = 0; i < cells; ++i) {
      const double score =
          std::sqrt(std::clamp<double>(cls[i], 0, 1) * std::clamp<double>(obj[i], 0, 1));
      if (!(score >= kLowest)) continue;
      const double column = static_cast<double>(i % static_cast<std::size_t>(columns)),
                   row = static_cast<double>(i / static_cast<std::size_t>(columns));
      Candidate d;
      d.score = score;
      d.width = std::exp(box[4 * i + 2]) * stride, d.height = std::exp(box[4 * i + 3]) * stride;
      d.x = (column + box[4 * i]) * stride - 0.5 * d.width,
      d.y = (row + box[4 * i + 1]) * stride - 0.5 * d.height;
      for (std::size_t k = 0; k < 5; ++k)
        d.points[k] = {(column + points[10 * i + 2 * k]) * stride,
                       (row + points[10 * i + 2 * k + 1]) * stride};
      if (std::isfinite(d.x + d.y + d.width + d.height) && std::max(d.width, d.height) >= smallest)
        out.push_back(d);
    }
  }

  std::filesystem::path model_;
  double min_face_;
  DetectorTraits traits_;
  cv::dnn::Net net_;
  std::vector<cv::String> outputs_;
  std::vector<Detection> faces_;
};
}  // namespace

std::unique_ptr<FaceDetector> make_yunet_detector(const DetectorOptions& options,
                                                  const std::filesystem::path& model) {
  return std::make_unique<YunetDetector>(options, model);
}
}  // namespace faceswap
