// Faces by Haar cascades: P. Viola, M. Jones, Rapid object detection using a boosted cascade of simple features, 2001.
//
// A cascade answers "a face" for many overlapping windows round a true face and for few elsewhere. So a candidate is looked
// at again in a patch of fixed size with finely stepped windows: their number is the confidence, and their mean is a far
// steadier place than the grouped answer. Eyes come from the eye cascades inside that square.
#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <tuple>

#include <fmt/format.h>
#include <opencv2/imgproc.hpp>
#include <opencv2/objdetect.hpp>

#include "faceswap/faces/finder.h"
#include "faceswap/faces/gray.h"
#include "faceswap/faces/opencv_finders.h"

namespace faceswap {
namespace {

constexpr double kDegree = 3.14159265358979323846 / 180;
constexpr double kTurn =
    25 * kDegree;               // upright cascades reach to about 15 degrees, turned ones on to 40
constexpr int kLongSide = 640;  // of the picture that is scanned
constexpr double kLeastScanned = 24;  // pixels a face needs there; the cascades' windows have 20

constexpr int kDensePatch = 204;  // shows kDenseZoom times the square: a face is 120 pixels wide
constexpr double kDenseZoom = 1.7;
constexpr int kEyePatch = 160;  // shows the square itself

// Where the eyes lie inside a face's square, and how far from there a hit of an eye cascade is believed. Each cascade
// centres its windows in its own way: the shifts bring the centres onto the eyes. Measured on 119 rendered heads with exact
// eyes (tree -0.006, splits -0.057) and held against real clips (tree +0.005, splits -0.036), where looks differ.
constexpr Point kEyePlace[2] = {{0.30, 0.41}, {0.70, 0.41}};
constexpr double kEyeReach = 0.13;    // share of the side
constexpr double kTreeShift = 0.003;  // added to y, share of the side
constexpr double kSplitsShift = 0.050;

// False faces have many windows now and then, but few eyes. Over 80 rendered shelves and four clips, windows + 2 votes was
// at most 78 on what is no face and at least 90 on faces whose eyes show (votes: windows of the four eye searches, at most
// 10 each).
constexpr double kVoteWorth = 2;
constexpr double kFewestWindows = 20;  // less is no sighting at all
constexpr int kMostVotes = 10;

cv::Mat as_mat(const Image& gray) {
  return cv::Mat(gray.height, gray.width, CV_8UC1, const_cast<std::uint8_t*>(gray.pixels.data()));
}

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
    throw Error(ErrorKind::input, fmt::format("{}: the face detector's cascade is missing or "
                                              "unreadable; install the package opencv-data, "
                                              "or name the folder in DOPPEL_CASCADES",
                                              file.string()));
}

struct Window {
  cv::Rect place;
  int neighbours;
};

// Sorted, because OpenCV's threads deliver windows in any order and sums should not depend on it.
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

class CascadeFinder final : public FaceFinder {
 public:
  explicit CascadeFinder(const DetectorOptions& options) : least_(options.min_face) {
    quiet_opencv(options.threads);
    load(face_, "frontalface_alt2");
    load(tree_, "eye_tree_eyeglasses");
    load(splits_[0], "righteye_2splits");  // the person's right eye is on the picture's left
    load(splits_[1], "lefteye_2splits");
    traits_.start = 50;
    traits_.accept = 80;
    traits_.eye_sigma = 0.03;
    traits_.box_sigma = 0.06;
    traits_.eye_in_box[0] = kEyePlace[0];
    traits_.eye_in_box[1] = kEyePlace[1];
    traits_.scan_interval = 10;
  }

  const FinderTraits& traits() const override { return traits_; }
  void next_frame(const Image& gray, const Image&) override { gray_ = &gray; }

  std::vector<Detection> scan(bool turned) override {
    const double smallest = std::max(1.0, least_ * std::min(gray_->width, gray_->height));
    const double longest = std::max(gray_->width, gray_->height);
    double scale =
        std::max(std::min(1.0, kLongSide / longest), std::min(2.0, kLeastScanned / smallest));
    const int w = std::max(1, static_cast<int>(std::lround(gray_->width * scale))),
              h = std::max(1, static_cast<int>(std::lround(gray_->height * scale)));
    scale = static_cast<double>(w) / gray_->width;
    const Similarity shrink{scale, 0, 0.5 * scale - 0.5, 0.5 * scale - 0.5};
    const Point center{0.5 * (w - 1), 0.5 * (h - 1)};
    struct Candidate {
      Detection seen;
      double score;
    };
    std::vector<Candidate> candidates;
    for (const double angle :
         turned ? std::vector<double>{-kTurn, kTurn} : std::vector<double>{0.0}) {
      // The picture is turned by -angle, so that a head lying at `angle` stands upright.
      const double c = std::cos(-angle), s = std::sin(-angle);
      const Similarity turn{c, s, center.x - c * center.x + s * center.y,
                            center.y - s * center.x - c * center.y};
      const Similarity to_scan = shrink.then(turn);
      Image picture = gray_patch(*gray_, to_scan, w, h);
      cv::Mat mat = as_mat(picture);
      cv::equalizeHist(mat, mat);
      const Similarity back = to_scan.inverse();
      for (const Window& window :
           windows(face_, mat, 1.1, 3, std::max(20, static_cast<int>(smallest * scale)),
                   std::min(w, h))) {
        Detection seen;
        seen.center = back(middle(window.place));
        seen.side = window.place.width * back.scale();
        seen.roll = angle;
        candidates.push_back({seen, window.neighbours * seen.side});
      }
    }
    std::stable_sort(candidates.begin(), candidates.end(),
                     [](const Candidate& a, const Candidate& b) { return a.score > b.score; });
    std::vector<Detection> detections;
    for (const Candidate& candidate : candidates) detections.push_back(candidate.seen);
    return detections;
  }

  std::optional<Detection> follow(const Detection& expected, bool with_eyes) override {
    std::optional<Detection> seen = dense(expected);
    if (!seen || seen->confidence < kFewestWindows) return std::nullopt;
    if (with_eyes) look_at_eyes(*seen);
    seen->confidence += kVoteWorth * seen->eye_votes;
    return seen;
  }

 private:
  static double line_angle(const Detection& s) {
    return std::atan2(s.eyes[1]->y - s.eyes[0]->y, s.eyes[1]->x - s.eyes[0]->x);
  }

  void look_at_eyes(Detection& seen) {
    find_eyes(seen);
    if (!seen.eyes[0] || !seen.eyes[1]) return;
    double eye_line = line_angle(seen);
    const double off = std::abs(eye_line - seen.roll);
    if (off > 4 * kDegree &&
        off <
            20 *
                kDegree) {  // the square was turned wrongly: look once more, turned as the eyes say
      Detection straight = seen;
      straight.roll = eye_line;
      std::optional<Detection> again = dense(straight);
      if (again && again->confidence >= 0.7 * seen.confidence) {
        find_eyes(*again);
        for (int k = 0; k < 2; ++k)
          if (!again->eyes[k]) again->eyes[k] = seen.eyes[k];
        seen = *again;
        eye_line = line_angle(seen);
      }
    }
    seen.roll += 0.5 * std::clamp(eye_line - seen.roll, -0.3, 0.3);
  }

  // The mean of the windows in a patch round the expected place; confidence is their number.
  std::optional<Detection> dense(const Detection& near) {
    const Similarity to_patch = square_to_patch(near, kDenseZoom, kDensePatch);
    Image patch = gray_patch(*gray_, to_patch, kDensePatch, kDensePatch);
    cv::Mat mat = as_mat(patch);
    cv::equalizeHist(mat, mat);
    const std::vector<Window> found = windows(face_, mat, 1.03, 0, 88, 155);
    if (found.size() < 3) return std::nullopt;
    std::vector<double> xs, ys;
    for (const Window& window : found)
      xs.push_back(middle(window.place).x), ys.push_back(middle(window.place).y);
    const auto median = [](std::vector<double> v) {
      std::nth_element(v.begin(), v.begin() + static_cast<std::ptrdiff_t>(v.size() / 2), v.end());
      return v[v.size() / 2];
    };
    const double mx = median(xs), my = median(ys);
    double x = 0, y = 0, width = 0, count = 0;
    for (const Window& window : found) {
      const Point p = middle(window.place);
      if (std::abs(p.x - mx) < 24 && std::abs(p.y - my) < 24)
        x += p.x, y += p.y, width += window.place.width, count += 1;
    }
    if (count < 1) return std::nullopt;
    const Similarity back = to_patch.inverse();
    Detection seen;
    seen.center = back({x / count, y / count});
    seen.side = width / count * back.scale();
    seen.roll = near.roll;
    seen.confidence = count;
    seen.eye_votes = near.eye_votes;
    return seen;
  }

  void find_eyes(Detection& seen) {
    const Similarity to_patch = square_to_patch(seen, 1.0, kEyePatch);
    Image patch = gray_patch(*gray_, to_patch, kEyePatch, kEyePatch);
    cv::Mat mat = as_mat(patch);
    cv::equalizeHist(mat, mat);
    const Similarity back = to_patch.inverse();
    const int top = static_cast<int>(0.18 * kEyePatch), width = static_cast<int>(0.48 * kEyePatch),
              height = static_cast<int>(0.44 * kEyePatch);
    const int smallest = static_cast<int>(0.17 * kEyePatch),
              largest = static_cast<int>(0.42 * kEyePatch);
    seen.eye_votes = 0;
    for (int k = 0; k < 2; ++k) {
      seen.eyes[k].reset();
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
      seen.eye_votes += weight;
      if (weight > 0)
        seen.eyes[k] = back({x / weight * kEyePatch - 0.5, y / weight * kEyePatch - 0.5});
    }
  }

  double least_;
  FinderTraits traits_;
  const Image* gray_ = nullptr;
  cv::CascadeClassifier face_, tree_, splits_[2];
};

}  // namespace

void quiet_opencv(int threads) {
  cv::setNumThreads(threads > 0 ? threads : -1);
  cv::redirectError([](int, const char*, const char*, const char*, int, void*) {
    return 0;
  });  // its errors reach us as exceptions
}

std::unique_ptr<FaceFinder> make_cascade_finder(const DetectorOptions& options) {
  return std::make_unique<CascadeFinder>(options);
}

}  // namespace faceswap
