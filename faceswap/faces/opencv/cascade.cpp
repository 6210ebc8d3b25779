// P. Viola, M. Jones, Rapid object detection using a boosted cascade of simple
// features, 2001.
//
// A cascade accepts many overlapping windows round a true face and few elsewhere. So a
// candidate is searched again in a patch of fixed size with finely stepped windows:
// their number is the confidence, and their mean is a steadier place than the grouped
// result. The eyes come from the eye cascades inside that square.
#include "faceswap/faces/opencv/cascade.h"

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <tuple>

#include <fmt/format.h>
#include <opencv2/imgproc.hpp>
#include <opencv2/objdetect.hpp>

#include "faceswap/faces/gray.h"
#include "faceswap/faces/opencv/runtime.h"
#include "faceswap/statistics.h"

namespace faceswap {
namespace {

constexpr double kDegree = 3.14159265358979323846 / 180;
// Upright cascades find heads up to about 15 degrees, tilted ones up to 40.
constexpr double kTilt = 25 * kDegree;
constexpr int kLongSide = 640;        // of the scanned picture, pixels
constexpr double kLeastShare = 0.12;  // of the short side, unless the user says otherwise
constexpr double kLeastScanned = 24;  // pixels of a face there; the cascades' windows have 20

constexpr int kDensePatch = 204;    // pixels
constexpr double kDenseZoom = 1.7;  // of the square: a face is 120 pixels wide in the patch
constexpr int kEyePatch = 160;      // pixels; the square itself

// Places of the eyes in a face's square, and the reach within which a hit counts. Each
// cascade centres its windows differently: the shifts move the centres onto the eyes.
// Measured on 119 rendered heads with exact eyes (tree -0.006, splits -0.057) and on
// real clips (tree +0.005, splits -0.036).
constexpr Point kEyePlace[2] = {{0.30, 0.41}, {0.70, 0.41}};
constexpr double kEyeReach = 0.13;    // share of the side
constexpr double kTreeShift = 0.003;  // added to y, share of the side
constexpr double kSplitsShift = 0.050;

// Confidence = windows + kVoteWorth x votes, the windows of the four eye searches:
// false faces often have many windows, but few eyes. Over 80 rendered shelves and four
// clips it was at most 78 without a face and at least 90 on faces with visible eyes.
constexpr double kVoteWorth = 2;
constexpr double kFewestWindows = 20;  // of a detection
constexpr int kMostVotes = 10;         // of one eye search

std::filesystem::path cascade_folder() {
  const char* named = std::getenv("DOPPEL_CASCADES");
  if (named && *named) return named;
  for (const char* folder :
       {"/usr/share/opencv4/haarcascades", "/usr/local/share/opencv4/haarcascades",
        "/usr/share/opencv/haarcascades"})
    if (std::filesystem::is_directory(folder)) return folder;
  return "/usr/share/opencv4/haarcascades";
}

void load(cv::CascadeClassifier& cascade, const std::string& name) {
  const std::filesystem::path file = cascade_folder() / ("haarcascade_" + name + ".xml");
  bool loaded = false;
  try {
    loaded = std::filesystem::is_regular_file(file) && cascade.load(file.string());
  } catch (const cv::Exception&) { loaded = false; }
  if (!loaded)
    throw Error(ErrorKind::input,
                fmt::format("{}: the face detector's cascade is missing or unreadable; install the "
                            "package opencv-data, or name its folder in DOPPEL_CASCADES",
                            file.string()));
}

struct Window {
  cv::Rect place;
  int neighbours;
};

// Accepted windows, sorted: OpenCV's threads deliver them in any order, and sums must
// not depend on it. neighbours: least size of a group; 0: ungrouped windows.
std::vector<Window> windows(cv::CascadeClassifier& cascade, const cv::Mat& picture, double step,
                            int neighbours, int smallest, int largest) {
  std::vector<cv::Rect> places;
  std::vector<int> counts;
  const cv::Size low(smallest, smallest), high(largest, largest);
  if (neighbours > 0) {
    cascade.detectMultiScale(picture, places, counts, step, neighbours, 0, low, high);
  } else {
    cascade.detectMultiScale(picture, places, step, 0, 0, low, high);
    counts.assign(places.size(), 1);
  }
  std::vector<Window> found;
  for (std::size_t i = 0; i < places.size(); ++i) found.push_back({places[i], counts[i]});
  std::sort(found.begin(), found.end(), [](const Window& a, const Window& b) {
    return std::tie(a.place.y, a.place.x, a.place.width, a.neighbours) <
           std::tie(b.place.y, b.place.x, b.place.width, b.neighbours);
  });
  return found;
}

Point middle(const cv::Rect& r) { return {r.x + 0.5 * (r.width - 1), r.y + 0.5 * (r.height - 1)}; }

class CascadeDetector final : public FaceDetector {
 public:
  explicit CascadeDetector(const DetectorOptions& options)
      : min_face_(options.min_face > 0 ? options.min_face : kLeastShare) {
    configure_opencv(options.threads);
    load(face_, "frontalface_alt2");
    load(tree_, "eye_tree_eyeglasses");
    load(splits_[0], "righteye_2splits");  // the person's right eye is on the picture's left
    load(splits_[1], "lefteye_2splits");
    traits_.start_confidence = 50;
    traits_.accept_confidence = 80;
    traits_.eye_sigma = 0.03;
    traits_.box_sigma = 0.06;
    traits_.eye_in_box[0] = kEyePlace[0];
    traits_.eye_in_box[1] = kEyePlace[1];
    traits_.scan_interval = 10;
  }

  const DetectorTraits& traits() const override { return traits_; }
  void next_frame(const Image& gray, const Image&) override { gray_ = &gray; }

  std::vector<Detection> scan(Scan kind) override {
    const bool tilted = kind == Scan::tilted;
    const double smallest = std::max(1.0, min_face_ * std::min(gray_->width, gray_->height));
    const double longest = std::max(gray_->width, gray_->height);
    double scale =
        std::max(std::min(1.0, kLongSide / longest), std::min(2.0, kLeastScanned / smallest));
    const int w = std::max(1, static_cast<int>(std::lround(gray_->width * scale))),
              h = std::max(1, static_cast<int>(std::lround(gray_->height * scale)));
    scale = static_cast<double>(w) / gray_->width;
    const Similarity shrink = pixel_scaling(scale);
    const Point center{0.5 * (w - 1), 0.5 * (h - 1)};
    std::vector<Detection> candidates;
    for (const double angle :
         tilted ? std::vector<double>{-kTilt, kTilt} : std::vector<double>{0.0}) {
      // Rotated by -angle, a head at `angle` stands upright.
      const Similarity to_scan = shrink.then(rotation_about(center, -angle));
      const Image picture = equalized_patch(to_scan, w, h);
      const Similarity back = to_scan.inverse();
      for (const Window& window :
           windows(face_, as_mat(picture), 1.1, 3, std::max(20, static_cast<int>(smallest * scale)),
                   std::min(w, h))) {
        Detection candidate;
        candidate.center = back(middle(window.place));
        candidate.side = window.place.width * back.scale();
        candidate.roll = angle;
        candidate.confidence = window.neighbours * candidate.side;  // for the order alone
        candidates.push_back(candidate);
      }
    }
    std::stable_sort(
        candidates.begin(), candidates.end(),
        [](const Detection& a, const Detection& b) { return a.confidence > b.confidence; });
    return candidates;
  }

  std::optional<Detection> follow(const Detection& expected, bool with_eyes) override {
    std::optional<Detection> found = find_face(expected);
    if (!found || found->confidence < kFewestWindows) return std::nullopt;
    if (with_eyes) find_eyes_and_roll(*found);
    found->confidence += kVoteWorth * found->eye_votes;
    return found;
  }

 private:
  Image equalized_patch(const Similarity& to_patch, int width, int height) const {
    Image patch = gray_patch(*gray_, to_patch, width, height);
    cv::Mat mat = as_mat(patch);
    cv::equalizeHist(mat, mat);
    return patch;
  }

  static double eye_line_angle(const Detection& d) {
    return std::atan2(d.eyes[1]->y - d.eyes[0]->y, d.eyes[1]->x - d.eyes[0]->x);
  }

  void find_eyes_and_roll(Detection& face) {
    find_eyes(face);
    if (!face.eyes[0] || !face.eyes[1]) return;
    double eye_line = eye_line_angle(face);
    const double off = std::abs(eye_line - face.roll);
    if (off > 4 * kDegree && off < 20 * kDegree) {  // search once more along the eyes' line
      Detection straight = face;
      straight.roll = eye_line;
      std::optional<Detection> again = find_face(straight);
      if (again && again->confidence >= 0.7 * face.confidence) {
        find_eyes(*again);
        for (int k = 0; k < 2; ++k)
          if (!again->eyes[k]) again->eyes[k] = face.eyes[k];
        face = *again;
        eye_line = eye_line_angle(face);
      }
    }
    face.roll += 0.5 * std::clamp(eye_line - face.roll, -0.3, 0.3);
  }

  // The mean of the windows round the expected place; their number is the confidence.
  std::optional<Detection> find_face(const Detection& expected) {
    const Similarity to_patch = square_to_patch(expected, kDenseZoom, kDensePatch);
    const Image patch = equalized_patch(to_patch, kDensePatch, kDensePatch);
    const std::vector<Window> found = windows(face_, as_mat(patch), 1.03, 0, 88, 155);
    if (found.size() < 3) return std::nullopt;
    std::vector<double> xs, ys;
    for (const Window& window : found)
      xs.push_back(middle(window.place).x), ys.push_back(middle(window.place).y);
    const double mx = median(std::move(xs)), my = median(std::move(ys));
    double x = 0, y = 0, width = 0, count = 0;
    for (const Window& window : found) {
      const Point p = middle(window.place);
      if (std::abs(p.x - mx) < 24 && std::abs(p.y - my) < 24)
        x += p.x, y += p.y, width += window.place.width, count += 1;
    }
    if (count < 1) return std::nullopt;
    const Similarity back = to_patch.inverse();
    Detection face;
    face.center = back({x / count, y / count});
    face.side = width / count * back.scale();
    face.roll = expected.roll;
    face.confidence = count;
    face.eye_votes = expected.eye_votes;
    return face;
  }

  void find_eyes(Detection& face) {
    const Similarity to_patch = square_to_patch(face, 1.0, kEyePatch);
    const Image patch = equalized_patch(to_patch, kEyePatch, kEyePatch);
    const cv::Mat mat = as_mat(patch);
    const Similarity back = to_patch.inverse();
    const int top = static_cast<int>(0.18 * kEyePatch), width = static_cast<int>(0.48 * kEyePatch),
              height = static_cast<int>(0.44 * kEyePatch);
    const int smallest = static_cast<int>(0.17 * kEyePatch),
              largest = static_cast<int>(0.42 * kEyePatch);
    face.eye_votes = 0;
    for (int k = 0; k < 2; ++k) {
      face.eyes[k].reset();
      const int left = static_cast<int>((k ? 0.44 : 0.08) * kEyePatch);
      const cv::Mat region = mat(cv::Rect(left, top, width, height));
      double x = 0, y = 0, weight = 0;
      for (const bool tree : {true, false}) {
        const std::vector<Window> found =
            windows(tree ? tree_ : splits_[k], region, 1.06, 1, smallest, largest);
        if (found.empty()) continue;
        const Window& best = *std::max_element(
            found.begin(), found.end(),
            [](const Window& a, const Window& b) { return a.neighbours < b.neighbours; });
        const Point p = middle(best.place);
        const Point share{(p.x + left + 0.5) / kEyePatch,
                          (p.y + top + 0.5) / kEyePatch + (tree ? kTreeShift : kSplitsShift)};
        if (std::abs(share.x - kEyePlace[k].x) > kEyeReach ||
            std::abs(share.y - kEyePlace[k].y) > kEyeReach)
          continue;
        const double votes = std::min(best.neighbours, kMostVotes);
        x += votes * share.x, y += votes * share.y, weight += votes;
      }
      face.eye_votes += weight;
      if (weight > 0)
        face.eyes[k] = back({x / weight * kEyePatch - 0.5, y / weight * kEyePatch - 0.5});
    }
  }

  double min_face_;
  DetectorTraits traits_;
  const Image* gray_ = nullptr;
  cv::CascadeClassifier face_, tree_, splits_[2];
};
}  // namespace

std::unique_ptr<FaceDetector> make_cascade_detector(const DetectorOptions& options) {
  return std::make_unique<CascadeDetector>(options);
}
}  // namespace faceswap
