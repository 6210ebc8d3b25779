#include "faceswap/faces/opencv/dnn_detector.h"

#include <algorithm>
#include <cmath>
#include <stdexcept>
#include <utility>

#include <fmt/format.h>
#include <opencv2/imgproc.hpp>

#include "faceswap/faces/face.h"
#include "faceswap/faces/opencv/runtime.h"

namespace faceswap {
namespace {

constexpr int kCell = 32;         // the sides of the network's input are multiples of this
constexpr double kOverlap = 0.3;  // intersection over union above which two boxes are one face

// Eyes, nose and mouth corners of a frontal face in canonical coordinates: between the
// two rendered people (mouth at 176) and the people of four clips (about 188).
const std::vector<Point> kFrontal = {
    kCanonicalEyes[0], kCanonicalEyes[1], {128, 150}, {96, 182}, {160, 182}};

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

int up_to_cells(int n) { return (n + kCell - 1) / kCell * kCell; }

class DnnDetector final : public FaceDetector {
 public:
  DnnDetector(const DetectorOptions& options, const std::filesystem::path& file,
              std::unique_ptr<DnnFormat> format)
      : file_(file),
        format_(std::move(format)),
        traits_(format_->traits()),
        min_face_(options.min_face) {
    configure_opencv(options.threads);
    if (!std::filesystem::is_regular_file(file))
      throw Error(
          ErrorKind::input,
          fmt::format("{}: no such detector network; expected {}; or use --detector cascade",
                      file.string(), format_->file_name()));
    try {
      net_ = cv::dnn::readNet(file.string());
    } catch (const std::exception& e) { refuse(e.what()); }
    for (const std::string& output : format_->outputs()) outputs_.emplace_back(output);
    std::vector<cv::String> names;
    if (!net_.empty()) names = net_.getUnconnectedOutLayersNames();
    for (const cv::String& output : outputs_)
      if (std::find(names.begin(), names.end(), output) == names.end())
        refuse(fmt::format("no output named {}", output));
  }

  const DetectorTraits& traits() const override { return traits_; }

  void next_frame(const Image& gray, const Image& rgb) override {
    gray_ = &gray, rgb_ = &rgb;
    upright_ = tilted_ = std::nullopt;
  }

  // Networks bear heads tilted by up to some 45 degrees, so quarter turns reach all.
  std::vector<Detection> scan(bool tilted) override {
    if (!tilted) return upright();
    if (!tilted_) {
      tilted_.emplace();
      for (const int turns : {1, 3, 2}) {
        const std::vector<Detection> found = run(turns);
        tilted_->insert(tilted_->end(), found.begin(), found.end());
      }
      std::stable_sort(
          tilted_->begin(), tilted_->end(),
          [](const Detection& a, const Detection& b) { return a.confidence > b.confidence; });
    }
    return *tilted_;
  }

  std::optional<Detection> follow(const Detection& expected, bool) override {
    std::optional<Detection> nearest;
    double least = 0.5 * expected.side;
    const auto consider = [&](const Detection& face) {
      const double away = distance(face.center, expected.center);
      if (away < least && face.side > 0.6 * expected.side && face.side < 1.7 * expected.side)
        least = away, nearest = face;
    };
    for (const Detection& face : upright()) consider(face);
    if (tilted_)
      for (const Detection& face : *tilted_) consider(face);
    return nearest;
  }

 private:
  const std::vector<Detection>& upright() {
    if (!upright_) upright_ = run(0);
    return *upright_;
  }

  [[noreturn]] void refuse(const std::string& why) const {
    throw Error(ErrorKind::input,
                fmt::format("{}: not a usable detector network: {}; expected {}; or use "
                            "--detector cascade",
                            file_.string(), why, format_->file_name()));
  }

  // All faces of the picture turned clockwise by quarters, best first, in pixels of the
  // upright working picture.
  std::vector<Detection> run(int quarters) {
    const int longest = std::max(rgb_->width, rgb_->height);
    const double scale = static_cast<double>(format_->long_side(longest)) / longest;
    int w = std::max(1, static_cast<int>(std::lround(rgb_->width * scale))),
        h = std::max(1, static_cast<int>(std::lround(rgb_->height * scale)));
    cv::Mat colors, small;
    if (rgb_->channels == 1) cv::cvtColor(as_mat(*rgb_), colors, cv::COLOR_GRAY2RGB);
    else colors = as_mat(*rgb_);
    cv::resize(colors, small, cv::Size(w, h), 0, 0, scale < 1 ? cv::INTER_AREA : cv::INTER_LINEAR);
    // From the network's input to the tracker's working picture.
    Similarity place = pixel_scaling(static_cast<double>(gray_->width) / w);
    const double right = w - 1, bottom = h - 1;
    if (quarters == 1) {
      cv::rotate(small, small, cv::ROTATE_90_CLOCKWISE);
      place = Similarity{0, -1, 0, bottom}.then(place);
    } else if (quarters == 2) {
      cv::rotate(small, small, cv::ROTATE_180);
      place = Similarity{-1, 0, right, bottom}.then(place);
    } else if (quarters == 3) {
      cv::rotate(small, small, cv::ROTATE_90_COUNTERCLOCKWISE);
      place = Similarity{0, 1, right, 0}.then(place);
    }
    w = small.cols, h = small.rows;
    // The picture lies in the upper left corner of the input.
    cv::Mat input(up_to_cells(h), up_to_cells(w), CV_8UC3, cv::Scalar(0, 0, 0));
    small.copyTo(input(cv::Rect(0, 0, w, h)));
    std::vector<Candidate> all;
    try {
      std::vector<cv::Mat> tensors;
      net_.setInput(
          cv::dnn::blobFromImage(input, 1, cv::Size(), cv::Scalar(), !format_->rgb_order()));
      net_.forward(tensors, outputs_);
      all = format_->decode(tensors, input.cols, input.rows);
    } catch (const std::exception& e) { refuse(e.what()); }

    const double smallest = min_face_ > 0 ? min_face_ * std::min(w, h) : kLeastFace / place.scale();
    std::vector<Detection> faces;
    for (const Candidate& c : suppress_overlaps(std::move(all))) {
      if (!std::isfinite(c.x + c.y + c.width + c.height) || std::max(c.width, c.height) < smallest)
        continue;
      Detection face;
      face.center = place({c.x + 0.5 * c.width, c.y + 0.5 * c.height});
      face.side = std::max(c.width, c.height) * place.scale();
      const std::array<Point, 2> eyes = steady_eyes(c.points);
      face.eyes[0] = place(eyes[0]);
      face.eyes[1] = place(eyes[1]);
      face.roll = std::atan2(face.eyes[1]->y - face.eyes[0]->y, face.eyes[1]->x - face.eyes[0]->x);
      face.confidence = c.score;
      faces.push_back(face);
    }
    return faces;
  }

  std::filesystem::path file_;
  std::unique_ptr<DnnFormat> format_;
  DetectorTraits traits_;
  double min_face_;
  cv::dnn::Net net_;
  std::vector<cv::String> outputs_;
  const Image *gray_ = nullptr, *rgb_ = nullptr;
  std::optional<std::vector<Detection>> upright_, tilted_;  // of this frame, once asked for
};
}  // namespace

const float* output_values(const cv::Mat& output, const std::string& name, std::size_t values) {
  if (output.total() != values || output.type() != CV_32F || !output.isContinuous())
    throw std::runtime_error(
        fmt::format("output {} has {} values, expected {}", name, output.total(), values));
  return output.ptr<float>();
}

std::unique_ptr<FaceDetector> make_dnn_detector(const DetectorOptions& options,
                                                const std::filesystem::path& file,
                                                std::unique_ptr<DnnFormat> format) {
  return std::make_unique<DnnDetector>(options, file, std::move(format));
}
}  // namespace faceswap
