#include "faceswap/faces/mesh_detector.h"

#include <algorithm>
#include <utility>

#include "faceswap/faces/steady_eyes.h"

namespace faceswap {
namespace {

// Frames between quick scans, and between whole ones where quick ones find large faces.
constexpr int kQuickInterval = 6, kScanInterval = 48, kRescanInterval = 12;
constexpr double kEyeSigma = 0.02;   // of an open eye, share of the eye distance
constexpr double kShutSigma = 0.12;  // of a shut one, whose points lie on the lower lid
constexpr double kOpen = 0.2;        // least eye_opening() of an open eye
// Presence of a new face below which its finder may have seen it upside down, as CenterFace
// does at rolls of 120 to 150 degrees: then it is at most 0.995.
constexpr double kUpright = 0.9999;
// Of a face that only the finder sees: to begin with, and the median of its track.
constexpr double kStartScore = 0.5, kLeastScore = 0.45;

class MeshDetector final : public FaceDetector {
 public:
  MeshDetector(std::unique_ptr<FaceDetector> finder, MeshFinder mesh, std::optional<EyeFinder> eyes,
               std::optional<BlazeFace> quick)
      : finder_(std::move(finder)),
        mesh_(std::move(mesh)),
        eyes_(std::move(eyes)),
        quick_(std::move(quick)),
        traits_(finder_->traits()) {
    by_score_ = traits_.start_confidence < 1;  // cascades count windows
    traits_.start_confidence = by_score_ ? kStartScore : kLeastScore;
    traits_.accept_confidence = kLeastScore;
    traits_.eyes_per_side = 0.42;  // of the square round the mesh
    traits_.eye_sigma = kEyeSigma;
    traits_.box_sigma = 0;
    if (!quick_) return;
    traits_.quick_interval = kQuickInterval;
    traits_.scan_interval = kScanInterval;
    traits_.rescan_interval = kRescanInterval;
  }

  const DetectorTraits& traits() const override { return traits_; }

  void next_frame(const Image& gray, const Image& rgb) override {
    finder_->next_frame(gray, rgb);
    rgb_ = &rgb;
    to_full_size_ = pixel_scaling(static_cast<double>(rgb.width / gray.width));
  }

  std::vector<Detection> scan(Scan kind) override {
    if (kind != Scan::quick) return finder_->scan(kind);
    std::vector<Detection> faces = quick_->find(*rgb_);
    const Similarity shrink = to_full_size_.inverse();
    for (Detection& face : faces) {
      face.center = shrink(face.center);
      face.side *= shrink.scale();
      for (std::optional<Point>& eye : face.eyes) eye = shrink(*eye);
    }
    return faces;
  }

  std::optional<Detection> follow(const Detection& expected, bool with_eyes) override {
    std::optional<Detection> face = find_mesh(expected);
    if (!expected.mesh && with_eyes) {  // a new face
      if (!face || face->confidence < kUpright) {
        Detection turned = expected;
        std::swap(turned.eyes[0], turned.eyes[1]);
        turned.roll += std::numbers::pi;
        const std::optional<Detection> other = find_mesh(turned);
        if (other && (!face || other->confidence > face->confidence)) face = other;
      }
      if (face) face = find_mesh(*face);  // a finder's square may be askew by 60 degrees
    }
    if (face) return face;
    if (!by_score_) return std::nullopt;
    face = finder_->follow(expected, with_eyes);
    if (face)
      for (double& sigma : face->eye_sigma) sigma = finder_->traits().eye_sigma;
    return face;
  }

 private:
  std::optional<Detection> find_mesh(const Detection& expected) const {
    Detection start = expected;
    start.center = to_full_size_(expected.center);
    start.side = expected.side * to_full_size_.scale();
    for (std::optional<Point>& eye : start.eyes)
      if (eye) eye = to_full_size_(*eye);
    std::optional<Mesh> found = mesh_.find(*rgb_, start);
    if (!found) return std::nullopt;
    if (eyes_) eyes_->refine(*rgb_, found->points);
    const std::array<Point, 2> eyes =
        steady_eyes({found->left_eye(), found->right_eye()}, found->mouth());
    const double opening[2] = {eye_opening(found->points, 0), eye_opening(found->points, 1)};
    const Similarity shrink = to_full_size_.inverse();
    for (Point& p : found->points) p = shrink(p);
    for (double& depth : found->depth) depth *= shrink.scale();
    Detection face = found->square();
    face.confidence = found->presence;
    for (std::size_t k = 0; k < 2; ++k) {
      face.eyes[k] = shrink(eyes[k]);
      face.eye_sigma[k] = opening[k] < kOpen ? kShutSigma : kEyeSigma;
    }
    face.mesh = std::make_shared<const Mesh>(*std::move(found));
    return face;
  }

  std::unique_ptr<FaceDetector> finder_;
  MeshFinder mesh_;
  std::optional<EyeFinder> eyes_;
  std::optional<BlazeFace> quick_;
  DetectorTraits traits_;
  bool by_score_ = false;  // the finder's confidence is a score from 0 to 1
  const Image* rgb_ = nullptr;
  Similarity to_full_size_;  // from the tracker's working picture
};
}  // namespace

std::unique_ptr<FaceDetector> make_mesh_detector(std::unique_ptr<FaceDetector> finder,
                                                 MeshFinder mesh, std::optional<EyeFinder> eyes,
                                                 std::optional<BlazeFace> quick) {
  return std::make_unique<MeshDetector>(std::move(finder), std::move(mesh), std::move(eyes),
                                        std::move(quick));
}
}  // namespace faceswap
