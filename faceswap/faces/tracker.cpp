// Per frame and track: detect the face near its last place, measure the motion since
// the last frame by optical flow, record both. Per shot: solve for the path of each eye
// in best agreement with all records (trajectory.h). An average over time without the
// motion would blur the path, as heads move; an average along the motion sharpens it.
#include "faceswap/faces/tracker.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include <fmt/format.h>

#include "faceswap/faces/face_pose.h"
#include "faceswap/faces/flow.h"
#include "faceswap/faces/gray.h"
#include "faceswap/faces/mesh_detector.h"
#include "faceswap/faces/network_files.h"
#include "faceswap/faces/trajectory.h"
#include "faceswap/statistics.h"
#include "kernels/simt/single_threaded.h"
#if DOPPEL_DETECT
#include "faceswap/faces/opencv/cascade.h"
#include "faceswap/faces/opencv/centerface.h"
#include "faceswap/faces/opencv/yunet.h"
#endif

namespace faceswap {
namespace {

constexpr int kWorkingSide = 1280;  // pixels; larger pictures are shrunk by a whole factor

// A cut is a mean grey difference of thumbnails above kCutDifference, plus
// kPanDifference per skipped frame because cameras pan, up to kMostDifference.
constexpr double kCutDifference = 18, kPanDifference = 2.5, kMostDifference = 26;
constexpr double kNewScene = 12;  // difference above which a track without flow ends
constexpr int kThumbWidth = 32, kThumbHeight = 18;

// In frames.
constexpr std::int64_t kBridge = 12;    // without a detection until a track ends
constexpr std::int64_t kCarried = 6;    // between detections without a mesh
constexpr std::int64_t kEyesEvery = 3;  // between eye searches, once the flow is reliable

constexpr int kFlowPatch = 240;
constexpr double kFlowZoom = 1.5;
constexpr double kFlowSigma = 0.003;  // of a flow link, share of the eye distance
constexpr double kDriftSigma = 0.08;  // of a frame without flow

bool same_place(const Detection& a, const Detection& b) {
  return distance(a.center, b.center) < 0.4 * std::max(a.side, b.side);
}

Detection moved(const Detection& d, const Similarity& motion) {
  Detection m;
  m.center = motion(d.center);
  m.side = d.side * motion.scale();
  m.roll = d.roll + motion.angle();
  m.eye_votes = d.eye_votes;
  return m;
}

struct Step {  // a track in one frame
  std::int64_t frame = 0, pts = 0;
  double seconds = 0;
  std::optional<Detection> detection;
  std::optional<Similarity> motion;  // from the step before
};

struct Track {
  std::vector<Step> steps;  // the first one has a detection
  Detection place;          // the last detection, moved by the flow while there is no newer one
  std::int64_t last_detection = 0, last_eyes = 0;  // frames
  int detections = 0;
  bool ended = false;

  bool detected_now() const { return !ended && steps.back().detection; }
};

class DetectingTracker final : public FaceTracker {
 public:
  DetectingTracker(std::unique_ptr<FaceDetector> detector, const SourceInfo& source)
      : detector_(std::move(detector)), source_(source.path.filename().string()) {}

  void push(const Frame& frame) override {
    const simt::SingleThreaded small;  // kernels over patches, beside decoding and writing
    if (frame.rgb.empty())
      throw Error(ErrorKind::failure,
                  fmt::format("tracker: frame {} is empty, expected a picture", frame.index));
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
    detector_->next_frame(gray, frame.rgb);
    last_frame_ = frame.index;

    for (Track& track : tracks_)
      if (!track.ended) follow(track, frame, gray);
    end_duplicates();
    scan(frame);
    for (Track& track : tracks_)
      if (frame.index - track.last_detection > kBridge) track.ended = true;
    previous_ = std::move(gray);
    thumb_ = std::move(thumb);
  }

  std::vector<Face> take_finished() override { return std::exchange(finished_, {}); }
  void finish() override { end_shot(); }
  double good_confidence() const override { return detector_->traits().start_confidence; }

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
    last_tilted_scan_ = last_quick_scan_ = last_scan_;
    tracks_.clear();
  }

  std::optional<Similarity> motion_between(const Detection& before, const Detection& now,
                                           const Image& gray) const {
    // Each patch is cut at its own square: the flow measures only the squares' error.
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
    const bool reliable = track.steps.back().motion.has_value() && track.detections >= 3;
    const bool with_eyes = !reliable || frame.index - track.last_eyes >= kEyesEvery;
    Step step{frame.index, frame.pts, frame.seconds, std::nullopt, std::nullopt};
    step.detection = detector_->follow(track.place, with_eyes);
    step.motion = motion_between(track.place, step.detection ? *step.detection : track.place, gray);
    if (!step.detection && step.motion)
      step.detection = detector_->follow(moved(track.place, *step.motion), true);
    if (!step.motion && change_ > kNewScene) {
      track.ended = true;
      return;
    }
    if (step.detection) {
      if (step.motion && !step.detection->eyes[0] && !step.detection->eyes[1])
        step.detection->roll = track.place.roll + step.motion->angle();
      track.place = *step.detection;
      track.last_detection = frame.index;
      if (with_eyes) track.last_eyes = frame.index;
      ++track.detections;
    } else if (step.motion) {
      track.place = moved(track.place, *step.motion);
    }
    track.steps.push_back(std::move(step));
  }

  // Of two tracks on one face the younger ends, unless it alone has a detection.
  void end_duplicates() {
    for (std::size_t i = 0; i < tracks_.size(); ++i)
      for (std::size_t j = i + 1; j < tracks_.size(); ++j)
        if (!tracks_[i].ended && !tracks_[j].ended &&
            same_place(tracks_[i].place, tracks_[j].place)) {
          Track &older = tracks_[i], &younger = tracks_[j];
          Track& loser = older.detected_now() || !younger.detected_now() ? younger : older;
          loser.ended = true;
          loser.steps.back().detection.reset();
        }
  }

  bool scan_is_due(std::int64_t frame) const {
    const std::int64_t waited = frame - last_scan_;
    bool tracking = false, missing = false;
    for (const Track& track : tracks_)
      if (!track.ended) {
        tracking = true;
        missing = missing || !track.detected_now();
      }
    return waited >= detector_->traits().scan_interval ||
           ((missing || !tracking) && waited >= detector_->traits().rescan_interval);
  }

  void scan(const Frame& frame) {
    const bool whole = scan_is_due(frame.index);
    const int quick = detector_->traits().quick_interval;
    if (!whole && quick > 0 && frame.index - last_quick_scan_ >= quick) {
      last_quick_scan_ = frame.index;
      start_tracks(detector_->scan(Scan::quick), frame);
    }
    if (!whole) return;
    last_scan_ = frame.index;
    start_tracks(detector_->scan(Scan::whole), frame);
    const bool found = std::any_of(tracks_.begin(), tracks_.end(),
                                   [](const Track& t) { return t.detected_now(); });
    if (found || frame.index - last_tilted_scan_ < detector_->traits().scan_interval) return;
    last_tilted_scan_ = frame.index;
    start_tracks(detector_->scan(Scan::tilted), frame);
  }

  void start_tracks(const std::vector<Detection>& candidates, const Frame& frame) {
    const auto tracked = [this](const Detection& d) {
      return std::any_of(tracks_.begin(), tracks_.end(), [&d](const Track& t) {
        return t.detected_now() && same_place(*t.steps.back().detection, d);
      });
    };
    for (const Detection& candidate : candidates) {
      if (tracked(candidate)) continue;
      const std::optional<Detection> face = detector_->follow(candidate, true);
      if (!face || face->confidence < detector_->traits().start_confidence || tracked(*face))
        continue;
      Track* track = lost_track_near(*face);
      if (!track) {
        track = &tracks_.emplace_back();
        track->steps.push_back({frame.index, frame.pts, frame.seconds, std::nullopt, std::nullopt});
      }
      track->steps.back().detection = face;
      track->place = *face;
      track->last_detection = track->last_eyes = frame.index;
      ++track->detections;
    }
  }

  // The nearest track that `face` can continue after a gap, or nullptr.
  Track* lost_track_near(const Detection& face) {
    Track* nearest = nullptr;
    double least = 0;
    for (Track& track : tracks_) {
      if (track.ended || track.detected_now()) continue;
      const double away = distance(track.place.center, face.center);
      if (away > 0.7 * track.place.side || std::abs(std::log(face.side / track.place.side)) > 0.4)
        continue;
      if (!nearest || away < least) nearest = &track, least = away;
    }
    return nearest;
  }

  void end_shot() {
    if (previous_.empty()) return;
    std::vector<Face> faces;
    for (Track& track : tracks_) {
      while (!track.steps.empty() && !track.steps.back().detection) track.steps.pop_back();
      if (track.steps.empty()) continue;
      const std::string refused = refusal(track);
      std::vector<Face> path = smooth(track, refused.empty() ? next_track_++ : -1);
      for (Face& face : path) face.refused = refused;
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

  // Why the track is not taken for a face's; empty: it is.
  std::string refusal(const Track& track) const {
    const DetectorTraits& traits = detector_->traits();
    std::vector<double> confidences;
    for (const Step& step : track.steps)
      if (step.detection) confidences.push_back(step.detection->confidence);
    const double typical = median(std::move(confidences));
    if (typical < traits.accept_confidence)
      return fmt::format("unsure: confidence {:.2f}, expected {:.2f}", typical,
                         traits.accept_confidence);
    const std::int64_t length = track.steps.back().frame - track.steps.front().frame,
                       shot = last_frame_ - first_frame_;
    const std::int64_t least = traits.least_length;
    if (length < std::min(least, shot))
      return fmt::format("seen for {} frames, expected {}", length + 1, least + 1);
    return {};
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
      if (!(apart > 1)) continue;  // pixels: the eyes' paths have met
      face.to_canonical = similarity_from_eyes(face.eyes[0], face.eyes[1]);
      Point center{0.5 * (face.eyes[0].x + face.eyes[1].x),
                   0.5 * (face.eyes[0].y + face.eyes[1].y)};
      face.box_side = apart / detector_->traits().eyes_per_side;
      if (step.detection) {
        center = full_size(step.detection->center);
        face.box_side = step.detection->side * factor_;
        face.confidence = step.detection->confidence;
      }
      if (!step.detection) face.confidence = carried_confidence(track, i);
      if (step.detection && step.detection->mesh) {
        const Mesh& mesh = *step.detection->mesh;
        for (const Point p : mesh.points) face.landmarks.push_back(full_size(p));
        face.measures.presence = mesh.presence;
        const FacePose pose = pose_of(mesh);
        face.measures.yaw = pose.yaw, face.measures.pitch = pose.pitch;
        face.measures.roll = pose.roll;
      }
      face.box_x = center.x - 0.5 * face.box_side;
      face.box_y = center.y - 0.5 * face.box_side;
      faces.push_back(face);
    }
    return faces;
  }

  // Profiles and dark faces have no mesh, and a score that falls below its threshold now
  // and then: the flow carries them over a few frames, which is no reason to doubt them.
  // A mesh that is lost and found again means that something hid the face: 0.
  static double carried_confidence(const Track& track, std::size_t i) {
    std::size_t before = i, after = i;
    while (!track.steps[before].detection) --before;  // the first step has one
    while (!track.steps[after].detection) ++after;    // and the last
    const Detection &a = *track.steps[before].detection, &b = *track.steps[after].detection;
    const bool hidden = (a.mesh && b.mesh) || a.confidence > 1 || b.confidence > 1;
    const bool brief = track.steps[after].frame - track.steps[before].frame <= kCarried;
    return hidden || !brief ? 0 : std::min(a.confidence, b.confidence);
  }

  // The eye's place in the square. People differ in it: the median difference of the
  // measured eyes corrects the detector's guess.
  Point eye_in_box(const Track& track, int eye) const {
    const DetectorTraits& traits = detector_->traits();
    const Point guess = traits.eye_in_box[eye];
    if (!(traits.box_sigma > 0)) return guess;
    std::vector<double> dx, dy;  // in the square's axes, shares of its side
    for (const Step& step : track.steps)
      if (step.detection && step.detection->eyes[eye]) {
        const Detection& d = *step.detection;
        const Point at = point_in_square(d, guess), measured = *d.eyes[eye];
        const double c = std::cos(d.roll) / d.side, s = std::sin(d.roll) / d.side;
        const Point off{measured.x - at.x, measured.y - at.y};
        dx.push_back(c * off.x + s * off.y);
        dy.push_back(-s * off.x + c * off.y);
      }
    if (dx.size() < 5) return guess;
    return {guess.x + median(std::move(dx)), guess.y + median(std::move(dy))};
  }

  // Measured eyes and the guess from the square, joined by the flow.
  std::vector<Point> eye_path(const Track& track, int eye) const {
    const DetectorTraits& traits = detector_->traits();
    const Point place = eye_in_box(track, eye);
    std::vector<TrajectoryNode> nodes;
    std::vector<TrajectoryLink> links;
    double apart = 1;
    for (std::size_t i = 0; i < track.steps.size(); ++i) {
      const Step& step = track.steps[i];
      TrajectoryNode node;
      if (step.detection) {
        apart = traits.eyes_per_side * step.detection->side;
        double x = 0, y = 0;
        const auto add = [&](Point p, double sigma) {
          const double w = 1 / (sigma * sigma * apart * apart);
          x += w * p.x, y += w * p.y, node.weight += w;
        };
        const double sigma = step.detection->eye_sigma[eye];
        if (step.detection->eyes[eye])
          add(*step.detection->eyes[eye], sigma > 0 ? sigma : traits.eye_sigma);
        if (traits.box_sigma > 0) add(point_in_square(*step.detection, place), traits.box_sigma);
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

  std::unique_ptr<FaceDetector> detector_;
  std::string source_;
  Image previous_, thumb_;  // of the last frame; empty: a new shot begins
  std::int64_t first_frame_ = 0, last_frame_ = 0, last_scan_ = 0, last_tilted_scan_ = 0,
               last_quick_scan_ = 0;
  double change_ = 0;  // mean grey difference between the thumbnails of this frame and the last
  int factor_ = 1, next_track_ = 0;
  std::vector<Track> tracks_;  // of this shot
  std::vector<Face> finished_;
};

#if DOPPEL_DETECT
// The network's file, or an empty path where a fallback will do.
std::filesystem::path network(const std::string& file, bool needed, const std::string& instead) {
  const std::filesystem::path path = find_network(file);
  if (path.empty() && needed)
    throw Error(ErrorKind::input,
                fmt::format("the network {} is not in {}; run tools/install_deps.sh faces, or use "
                            "{}",
                            file, network_folder().string(), instead));
  return path;
}

std::unique_ptr<FaceDetector> make_finder(const DetectorOptions& options) {
  constexpr std::string_view kYunet = "yunet=";
  const std::string& name = options.detector;
  if (name.starts_with(kYunet)) return make_yunet_detector(options, name.substr(kYunet.size()));
  if (name != "auto" && name != "centerface" && name != "cascade")
    throw Error(
        ErrorKind::usage,
        fmt::format("detector: unknown \"{}\"; use auto, centerface, cascade or yunet=FILE", name));
  if (name != "cascade") {
    const auto file = network("centerface.onnx", name == "centerface", "--detector cascade");
    if (!file.empty()) return make_centerface_detector(options, file);
  }
  return make_cascade_detector(options);
}

std::unique_ptr<FaceDetector> make_detector(const DetectorOptions& options) {
  if (options.landmarks != "auto" && options.landmarks != "mesh" && options.landmarks != "eyes")
    throw Error(ErrorKind::usage, fmt::format("landmarks: unknown \"{}\"; use auto, mesh or eyes",
                                              options.landmarks));
  std::unique_ptr<FaceDetector> finder = make_finder(options);
  if (options.landmarks == "eyes") return finder;
  const auto file =
      network("face_landmark.safetensors", options.landmarks == "mesh", "--landmarks eyes");
  if (file.empty()) return finder;
  std::optional<EyeFinder> eyes;
  if (const auto iris = find_network("iris_landmark.safetensors"); !iris.empty())
    eyes.emplace(iris);
  return make_mesh_detector(std::move(finder), MeshFinder(file), std::move(eyes));
}
#endif
}  // namespace

std::string missing_networks(const DetectorOptions& options) {
  const bool detector = options.detector == "auto" && find_network("centerface.onnx").empty(),
             mesh =
                 options.landmarks == "auto" && find_network("face_landmark.safetensors").empty();
  if (!detector && !mesh) return {};
  return fmt::format(
      "face networks are not installed in {}: {}; tools/install_deps.sh faces "
      "installs them",
      network_folder().string(),
      detector ? "cascades find the faces, and miss small, dark and turned ones"
               : "the detector's own eyes align the faces");
}

std::string detection_limits(const DetectorOptions& options) {
  const bool cascades = options.detector == "cascade" ||
                        (options.detector == "auto" && find_network("centerface.onnx").empty());
  const std::string size =
      options.min_face > 0
          ? fmt::format("{:.0f} % of the frame's short side (--min-face)", 100 * options.min_face)
      : cascades ? "12 % of the frame's short side (--min-face)"
                 : fmt::format("{} pixels", kLeastFace);
  return fmt::format("expected faces of at least {}{}", size,
                     cascades ? ", roughly upright and towards the camera; --detector centerface "
                                "finds more (tools/install_deps.sh faces)"
                              : "");
}

std::unique_ptr<FaceTracker> make_tracker(const DetectorOptions& options,
                                          const SourceInfo& source) {
  if (!(options.min_face >= 0 && options.min_face <= 1))
    throw Error(
        ErrorKind::usage,
        fmt::format("detector: smallest face {}, expected a share of the frame's short side in "
                    "[0, 1]",
                    options.min_face));
#if DOPPEL_DETECT
  return std::make_unique<DetectingTracker>(make_detector(options), source);
#else
  (void)source;
  throw Error(ErrorKind::usage,
              "detector: built without face detection (DOPPEL_DETECT=OFF); build with OpenCV to "
              "find faces");
#endif
}
}  // namespace faceswap
