#include "faceswap/faces/opencv/dnn_detector.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <stdexcept>
#include <utility>

#include <fmt/format.h>
#include <opencv2/imgproc.hpp>

#include "faceswap/faces/opencv/runtime.h"
#include "faceswap/faces/steady_eyes.h"
#include "kernels/image/resample.h"

namespace faceswap {
namespace {

constexpr int kCell = 32;  // the sides of the network's input are multiples of this
// Two sizes of the upright picture, two of the turned one, and the patch.
constexpr std::size_t kMostNets = 5;
constexpr int kPatch = 192;  // pixels of a followed face's surroundings
constexpr double kPatchZoom = 2.4;
constexpr double kSecondScale = 0.5;  // of a scan's second pass
constexpr double kOverlap = 0.3;      // intersection over union above which two boxes are one face

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

// Raises the mean of a dark picture towards kMean: the networks have learnt from well lit
// ones. values: 0 to 1.
void lighten(cv::Mat& values) {
  constexpr double kMean = 0.35, kLeastGamma = 0.45;
  const cv::Scalar channels = cv::mean(values);
  const double mean = std::max((channels[0] + channels[1] + channels[2]) / 3, 0.01);
  const double gamma = std::max(kLeastGamma, std::log(kMean) / std::log(mean));
  if (mean < kMean) cv::pow(values, gamma, values);
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
    for (const std::string& output : format_->outputs()) outputs_.emplace_back(output);
    const std::vector<cv::String> names = net_for(kPatch, kPatch).getUnconnectedOutLayersNames();
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
  std::vector<Detection> scan(Scan kind) override {
    if (kind != Scan::tilted) return upright();
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

  // In a scanned frame the scan's answer, else a look at the surroundings only, upright by
  // the expected roll: some 5 ms.
  std::optional<Detection> follow(const Detection& expected, bool) override {
    std::optional<Detection> nearest;
    double least = 0.5 * expected.side;
    const auto consider = [&](const std::vector<Detection>& faces) {
      for (const Detection& face : faces) {
        const double away = distance(face.center, expected.center);
        if (away < least && face.side > 0.5 * expected.side && face.side < 2 * expected.side)
          least = away, nearest = face;
      }
    };
    if (upright_) consider(*upright_);
    if (tilted_) consider(*tilted_);
    if (!nearest) consider(around(expected));
    return nearest;
  }

 private:
  const std::vector<Detection>& upright() {
    if (!upright_) upright_ = run(0);
    return *upright_;
  }

  // Faces of a whole scan: at full size, and smaller, where blurred ones are sharp again.
  std::vector<Detection> run(int quarters) {
    std::vector<Detection> faces = run(quarters, 1);
    for (const Detection& face : run(quarters, kSecondScale))
      if (std::none_of(faces.begin(), faces.end(), [&](const Detection& other) {
            return distance(face.center, other.center) < 0.5 * std::max(face.side, other.side);
          }))
        faces.push_back(face);
    std::stable_sort(faces.begin(), faces.end(), [](const Detection& a, const Detection& b) {
      return a.confidence > b.confidence;
    });
    return faces;
  }

  [[noreturn]] void refuse(const std::string& why) const {
    throw Error(ErrorKind::input,
                fmt::format("{}: not a usable detector network: {}; expected {}; or use "
                            "--detector cascade",
                            file_.string(), why, format_->file_name()));
  }

  // One network per size of input: OpenCV 4.6 gives wrong results from CenterFace after a
  // change of size.
  // Photos come in any size, so only a video's few are kept: each takes up to 1 GB.
  cv::dnn::Net& net_for(int width, int height) {
    if (!nets_.contains({width, height}) && nets_.size() >= kMostNets)
      std::erase_if(nets_, [](const auto& net) { return net.first != std::pair(kPatch, kPatch); });
    cv::dnn::Net& net = nets_[{width, height}];
    try {
      if (net.empty()) net = cv::dnn::readNet(file_.string());
    } catch (const std::exception& e) { refuse(e.what()); }
    if (net.empty()) refuse("it has no layers");
    return net;
  }

  // All faces of the picture turned clockwise by quarters, in pixels of the upright working
  // picture; share: of the format's size.
  std::vector<Detection> run(int quarters, double share) {
    const int longest = std::max(rgb_->width, rgb_->height);
    const double scale = share * format_->long_side(longest) / longest;
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
    const double smallest = min_face_ > 0 ? min_face_ * std::min(w, h) : kLeastFace / place.scale();
    return detect(input, 1, place, smallest);
  }

  std::vector<Detection> around(const Detection& expected) {
    // Enlarging would make a small face look blurred, and score less than in a scan.
    const double zoom = std::max(kPatchZoom, kPatch / expected.side);
    const Similarity to_patch = square_to_patch(expected, zoom, kPatch);
    const Similarity to_rgb = to_patch.inverse().then(
        pixel_scaling(static_cast<double>(gray_->width) / rgb_->width).inverse());
    cv::Mat input(kPatch, kPatch, rgb_->channels == 1 ? CV_32FC1 : CV_32FC3);
    kernels::affine_warp<kernels::Host, std::uint8_t>(
        kernels::Stream::of(kernels::Device::host),
        {rgb_->pixels.data(), rgb_->height, rgb_->width, rgb_->channels},
        {input.ptr<float>(), kPatch, kPatch, rgb_->channels}, to_rgb.affine(),
        std::clamp(static_cast<int>(std::ceil(to_rgb.scale() - 0.1)), 1, 8));
    if (rgb_->channels == 1) cv::cvtColor(input, input, cv::COLOR_GRAY2RGB);
    return detect(input, 255, to_patch.inverse(), 1);
  }

  // input: RGB with values 0 to 255 / scale, float or bytes.
  std::vector<Detection> detect(const cv::Mat& picture, double scale, const Similarity& place,
                                double smallest) {
    cv::Mat input;
    picture.convertTo(input, CV_32F, scale / 255);
    lighten(input);
    std::vector<Candidate> all;
    cv::dnn::Net& net = net_for(input.cols, input.rows);
    try {
      std::vector<cv::Mat> tensors;
      net.setInput(
          cv::dnn::blobFromImage(input, 255, cv::Size(), cv::Scalar(), !format_->rgb_order()));
      net.forward(tensors, outputs_);
      all = format_->decode(tensors, input.cols, input.rows);
    } catch (const std::exception& e) { refuse(e.what()); }
    std::vector<Detection> faces;
    for (const Candidate& c : suppress_overlaps(std::move(all))) {
      if (!std::isfinite(c.x + c.y + c.width + c.height) || std::max(c.width, c.height) < smallest)
        continue;
      Detection face;
      face.center = place({c.x + 0.5 * c.width, c.y + 0.5 * c.height});
      face.side = std::max(c.width, c.height) * place.scale();
      const Point mouth{(c.points[3].x + c.points[4].x) / 2, (c.points[3].y + c.points[4].y) / 2};
      const std::array<Point, 2> eyes = steady_eyes({c.points[0], c.points[1]}, mouth);
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
  std::map<std::pair<int, int>, cv::dnn::Net> nets_;
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
