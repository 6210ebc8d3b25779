// Follows faces through a clip. Per frame and track: look for the face near where it was, measure the motion since the last
// frame by optical flow, remember both. Per shot: solve for the path of each eye that agrees best with all of it (trajectory.h).
// Averages over time without the motion would blur the path, because heads move; averages along the motion sharpen it.
#include <algorithm>
#include <cmath>
#include <utility>

#include <fmt/format.h>

#include "faceswap/faces/detector.h"
#include "faceswap/faces/finder.h"
#include "faceswap/faces/flow.h"
#include "faceswap/faces/gray.h"
#include "faceswap/faces/trajectory.h"
#if DOPPEL_DETECT
#include "faceswap/faces/opencv_finders.h"
#endif

namespace faceswap {
namespace {

constexpr int kWorkingSide = 1280;     // larger pictures are shrunk by a whole factor first
constexpr double kCutDifference = 18;  // mean grey difference of thumbnails between two shots ...
constexpr double kPanDifference =
    2.5;  // ... plus this for every frame skipped, because cameras pan ...
constexpr double kMostDifference = 26;  // ... up to this
constexpr double kNewScene =
    12;  // from this difference on a face that the flow cannot find is another one
constexpr int kThumbWidth = 32, kThumbHeight = 18;
constexpr std::int64_t kBridge = 12;       // frames without a sighting until a track ends
constexpr std::int64_t kLeastLength = 12;  // frames a track must last, unless its shot is shorter
constexpr std::int64_t kRescan = 3;        // frames between scans while a face is missing
constexpr std::int64_t kEyesEvery =
    3;  // frames between two searches for the eyes, once the flow holds
constexpr int kFlowPatch = 240;
constexpr double kFlowZoom = 1.5;
constexpr double kFlowSigma = 0.003;  // of a flow link, share of the eye distance
constexpr double kDriftSigma = 0.08;  // of a frame without flow

double distance(Point a, Point b) { return std::hypot(a.x - b.x, a.y - b.y); }

bool same_place(const Detection& a, const Detection& b) {
  return distance(a.center, b.center) < 0.4 * std::max(a.side, b.side);
}

Detection moved(const Detection& s, const Similarity& motion) {
  Detection m;
  m.center = motion(s.center);
  m.side = s.side * motion.scale();
  m.roll = s.roll + motion.angle();
  m.eye_votes = s.eye_votes;
  return m;
}

struct Step {  // a track in one frame
  std::int64_t frame = 0, pts = 0;
  double seconds = 0;
  std::optional<Detection> seen;
  std::optional<Similarity> motion;  // from the step before
};

struct Track {
  std::vector<Step> steps;  // the first one is a sighting
  Detection place;          // the last known, carried along by the flow while the face is not seen
  std::int64_t last_seen = 0, last_eyes = 0;  // frames
  int detections = 0;
  bool ended = false;

  bool seen_now() const { return !ended && steps.back().seen; }
};

class Tracker final : public FaceTracker {
 public:
  Tracker(std::unique_ptr<FaceFinder> finder, const SourceInfo& source)
      : finder_(std::move(finder)), source_(source.path.filename().string()) {}

  void push(const Frame& frame) override {
    if (frame.rgb.empty())
      throw Error(ErrorKind::failure, fmt::format("tracker: frame {} is empty", frame.index));
    const int factor = std::max(
        1, (std::max(frame.rgb.width, frame.rgb.height) + kWorkingSide - 1) / kWorkingSide);
    Image gray = shrink_gray(to_gray(frame.rgb), factor);
    Image thumb =
        shrink_to(gray, std::min(kThumbWidth, gray.width), std::min(kThumbHeight, gray.height));
    change_ = previous_.empty() ? 0 : change(gray, thumb);
    const double skipped = static_cast<double>(frame.index - last_frame_ - 1);
    if (!previous_.empty() &&
        change_ > std::min(kMostDifference, kCutDifference + kPanDifference * skipped))
      end_shot();
    if (previous_.empty()) begin_shot(frame, factor);
    finder_->next_frame(gray, frame.rgb);
    last_frame_ = frame.index;

    for (Track& track : tracks_)
      if (!track.ended) follow(track, frame, gray);
    end_doubles();
    if (scan_is_due(frame.index)) scan(frame);
    for (Track& track : tracks_)
      if (frame.index - track.last_seen > kBridge) track.ended = true;
    previous_ = std::move(gray);
    thumb_ = std::move(thumb);
  }

  std::vector<Face> take_finished() override { return std::exchange(finished_, {}); }
  void finish() override { end_shot(); }
  double good_confidence() const override { return finder_->traits().start; }

 private:
  double change(const Image& gray, const Image& thumb) const {
    if (gray.width != previous_.width || gray.height != previous_.height) return 256;
    double sum = 0;
    for (std::size_t i = 0; i < thumb.pixels.size(); ++i)
      sum += std::abs(static_cast<int>(thumb.pixels[i]) - static_cast<int>(thumb_.pixels[i]));
    return sum / static_cast<double>(thumb.pixels.size());
  }

  void begin_shot(const Frame& frame, int factor) {
    first_frame_ = frame.index;
    factor_ = factor;
    last_scan_ = frame.index - (std::int64_t{1} << 30);
    last_turned_scan_ = last_scan_;
    tracks_.clear();
  }

  std::optional<Similarity> motion_between(const Detection& before, const Detection& now,
                                           const Image& gray) const {
    // Each picture is cut out where its own square lies, so the flow only has to find what the squares got wrong.
    const Similarity first = square_to_patch(before, kFlowZoom, kFlowPatch),
                     second = square_to_patch(now, kFlowZoom, kFlowPatch);
    const double middle = 0.5 * (kFlowPatch - 1);
    const Image patch_before = gray_patch(previous_, first, kFlowPatch, kFlowPatch),
                patch_now = gray_patch(gray, second, kFlowPatch, kFlowPatch);
    const std::optional<Similarity> flow =
        estimate_motion(patch_before, patch_now, {{middle, middle}, 62, 68});
    if (!flow) return std::nullopt;
    return first.then(*flow).then(second.inverse());
  }

  void follow(Track& track, const Frame& frame, const Image& gray) {
    const bool held = track.steps.back().motion.has_value() && track.detections >= 3;
    const bool with_eyes = !held || frame.index - track.last_eyes >= kEyesEvery;
    Step step{frame.index, frame.pts, frame.seconds, std::nullopt, std::nullopt};
    step.seen = finder_->follow(track.place, with_eyes);
    step.motion = motion_between(track.place, step.seen ? *step.seen : track.place, gray);
    if (!step.seen && step.motion) {
      step.seen = finder_->follow(moved(track.place, *step.motion), true);
    }
    if (!step.motion && change_ > kNewScene) {
      track.ended = true;
      return;
    }
    if (step.seen) {
      if (step.motion && !step.seen->eyes[0] && !step.seen->eyes[1])
        step.seen->roll = track.place.roll + step.motion->angle();
      track.place = *step.seen;
      track.last_seen = frame.index;
      if (with_eyes) track.last_eyes = frame.index;
      ++track.detections;
    } else if (step.motion) {
      track.place = moved(track.place, *step.motion);
    }
    track.steps.push_back(std::move(step));
  }

  // Two tracks that arrive at one face: the younger one ends.
  void end_doubles() {
    for (std::size_t i = 0; i < tracks_.size(); ++i)
      for (std::size_t j = i + 1; j < tracks_.size(); ++j)
        if (!tracks_[i].ended && !tracks_[j].ended &&
            same_place(tracks_[i].place, tracks_[j].place)) {
          Track& loser = tracks_[i].steps.back().seen || !tracks_[j].steps.back().seen ? tracks_[j]
                                                                                       : tracks_[i];
          loser.ended = true;
          loser.steps.back().seen.reset();
        }
  }

  bool scan_is_due(std::int64_t frame) const {
    const std::int64_t waited = frame - last_scan_;
    bool missing = true;  // no track at all counts as a missing face
    for (const Track& track : tracks_)
      if (!track.ended) missing = false;
    for (const Track& track : tracks_)
      if (!track.ended && !track.seen_now()) missing = true;
    return waited >= finder_->traits().scan_interval || (missing && waited >= kRescan);
  }

  void scan(const Frame& frame) {
    last_scan_ = frame.index;
    start_tracks(finder_->scan(false), frame);
    const bool somebody =
        std::any_of(tracks_.begin(), tracks_.end(), [](const Track& t) { return t.seen_now(); });
    if (somebody || frame.index - last_turned_scan_ < finder_->traits().scan_interval) return;
    last_turned_scan_ = frame.index;
    start_tracks(finder_->scan(true), frame);
  }

  void start_tracks(const std::vector<Detection>& candidates, const Frame& frame) {
    const auto taken = [this](const Detection& s) {
      return std::any_of(tracks_.begin(), tracks_.end(), [&s](const Track& t) {
        return t.seen_now() && same_place(*t.steps.back().seen, s);
      });
    };
    for (const Detection& candidate : candidates) {
      if (taken(candidate)) continue;
      std::optional<Detection> seen = finder_->follow(candidate, true);
      if (!seen || seen->confidence < finder_->traits().start || taken(*seen)) continue;
      // A face that was lost near here for a moment goes on; any other one starts a track.
      Track* lost = nullptr;
      for (Track& track : tracks_) {
        if (track.ended || track.seen_now()) continue;
        const double away = distance(track.place.center, seen->center);
        if (away > 0.7 * track.place.side ||
            std::abs(std::log(seen->side / track.place.side)) > 0.4)
          continue;
        if (!lost || away < distance(lost->place.center, seen->center)) lost = &track;
      }
      if (!lost) {
        tracks_.emplace_back();
        lost = &tracks_.back();
        lost->steps.push_back({frame.index, frame.pts, frame.seconds, std::nullopt, std::nullopt});
      }
      lost->steps.back().seen = seen;
      lost->place = *seen;
      lost->last_seen = lost->last_eyes = frame.index;
      ++lost->detections;
    }
  }

  void end_shot() {
    if (previous_.empty()) return;
    std::vector<Face> faces;
    for (Track& track : tracks_) {
      while (!track.steps.empty() && !track.steps.back().seen) track.steps.pop_back();
      if (track.steps.empty() || !accepted(track)) continue;
      std::vector<Face> path = smooth(track, next_track_++);
      faces.insert(faces.end(), path.begin(), path.end());
    }
    std::stable_sort(faces.begin(), faces.end(), [](const Face& a, const Face& b) {
      return a.frame != b.frame ? a.frame < b.frame : a.box_side > b.box_side;
    });
    finished_.insert(finished_.end(), faces.begin(), faces.end());
    tracks_.clear();
    previous_ = {};
    thumb_ = {};
  }

  bool accepted(const Track& track) const {
    const std::int64_t length = track.steps.back().frame - track.steps.front().frame,
                       shot = last_frame_ - first_frame_;
    if (length < std::min(kLeastLength, shot)) return false;
    std::vector<double> confidences;
    for (const Step& step : track.steps)
      if (step.seen) confidences.push_back(step.seen->confidence);
    std::nth_element(confidences.begin(),
                     confidences.begin() + static_cast<std::ptrdiff_t>(confidences.size() / 2),
                     confidences.end());
    return confidences[confidences.size() / 2] >= finder_->traits().accept;
  }

  std::vector<Face> smooth(const Track& track, int number) const {
    const std::size_t n = track.steps.size();
    const std::vector<Point> paths[2] = {eye_path(track, 0), eye_path(track, 1)};
    std::vector<Face> faces;
    const auto full_size = [this](Point p) {
      return Point{(p.x + 0.5) * factor_ - 0.5, (p.y + 0.5) * factor_ - 0.5};
    };
    for (std::size_t i = 0; i < n; ++i) {
      const Step& step = track.steps[i];
      Face face;
      face.source = source_;
      face.frame = step.frame;
      face.pts = step.pts;
      face.seconds = step.seconds;
      face.track = number;
      for (int k = 0; k < 2; ++k) face.eyes[k] = full_size(paths[k][i]);
      const double apart = distance(face.eyes[0], face.eyes[1]);
      if (!(apart > 1)) continue;  // no face is this small; the eyes' paths have met
      face.to_canonical = similarity_from_eyes(face.eyes[0], face.eyes[1]);
      Point center{0.5 * (face.eyes[0].x + face.eyes[1].x),
                   0.5 * (face.eyes[0].y + face.eyes[1].y)};
      face.box_side = apart / finder_->traits().eyes_per_side;
      if (step.seen) {
        center = full_size(step.seen->center);
        face.box_side = step.seen->side * factor_;
        face.confidence = step.seen->confidence;
      }
      face.box_x = center.x - 0.5 * face.box_side;
      face.box_y = center.y - 0.5 * face.box_side;
      faces.push_back(face);
    }
    return faces;
  }

  // Measured eyes and the square's guess, joined by the flow.
  std::vector<Point> eye_path(const Track& track, int eye) const {
    const FinderTraits& traits = finder_->traits();
    // People differ in where their eyes lie inside the square: the median difference corrects the guess.
    std::vector<double> dx, dy;
    for (const Step& step : track.steps)
      if (step.seen && step.seen->eyes[eye] && traits.box_sigma > 0) {
        const Point guess = place_in(*step.seen, traits.eye_in_box[eye]);
        const double c = std::cos(step.seen->roll) / step.seen->side,
                     s = std::sin(step.seen->roll) / step.seen->side;
        const Point off{step.seen->eyes[eye]->x - guess.x, step.seen->eyes[eye]->y - guess.y};
        dx.push_back(c * off.x + s * off.y);
        dy.push_back(-s * off.x + c * off.y);
      }
    Point place = traits.eye_in_box[eye];
    if (dx.size() >= 5) {
      std::sort(dx.begin(), dx.end());
      std::sort(dy.begin(), dy.end());
      place = {place.x + dx[dx.size() / 2], place.y + dy[dy.size() / 2]};
    }
    std::vector<TrajectoryNode> nodes;
    std::vector<TrajectoryLink> links;
    double apart = 1;
    for (std::size_t i = 0; i < track.steps.size(); ++i) {
      const Step& step = track.steps[i];
      TrajectoryNode node;
      if (step.seen) {
        apart = traits.eyes_per_side * step.seen->side;
        double x = 0, y = 0;
        const auto add = [&](Point p, double sigma) {
          const double w = 1 / (sigma * sigma * apart * apart);
          x += w * p.x, y += w * p.y, node.weight += w;
        };
        if (step.seen->eyes[eye]) add(*step.seen->eyes[eye], traits.eye_sigma);
        if (traits.box_sigma > 0) add(place_in(*step.seen, place), traits.box_sigma);
        if (node.weight > 0) node.measured = {x / node.weight, y / node.weight};
      }
      nodes.push_back(node);
      if (i == 0) continue;
      const double gap = static_cast<double>(step.frame - track.steps[i - 1].frame);
      const double sigma = apart * (step.motion ? kFlowSigma : kDriftSigma * std::max(1.0, gap));
      links.push_back({step.motion.value_or(Similarity{}), 1 / (sigma * sigma)});
    }
    return solve_trajectory(nodes, links, 2);
  }

  std::unique_ptr<FaceFinder> finder_;
  std::string source_;
  Image previous_, thumb_;  // of the frame before; empty: a new shot begins
  std::int64_t first_frame_ = 0, last_frame_ = 0, last_scan_ = 0, last_turned_scan_ = 0;
  double change_ = 0;  // mean grey difference of the thumbnails of this frame and the one before
  int factor_ = 1, next_track_ = 0;
  std::vector<Track> tracks_;  // of this shot
  std::vector<Face> finished_;
};

}  // namespace

std::unique_ptr<FaceTracker> make_tracker(const DetectorOptions& options,
                                          const SourceInfo& source) {
  if (!(options.min_face > 0 && options.min_face <= 1))
    throw Error(
        ErrorKind::usage,
        fmt::format("detector: the smallest face must be a share of the frame in (0, 1], got {}",
                    options.min_face));
#if DOPPEL_DETECT
  constexpr std::string_view kYunet = "yunet=";
  if (options.detector == "cascade")
    return std::make_unique<Tracker>(make_cascade_finder(options), source);
  if (options.detector.starts_with(kYunet))
    return std::make_unique<Tracker>(
        make_yunet_finder(options, options.detector.substr(kYunet.size())), source);
  throw Error(
      ErrorKind::usage,
      fmt::format("detector: \"{}\" is not known; use cascade or yunet=FILE", options.detector));
#else
  (void)source;
  throw Error(ErrorKind::usage,
              "detector: this program was built without face detection (DOPPEL_DETECT=OFF); build "
              "it with OpenCV to find faces");
#endif
}

}  // namespace faceswap
