#include "faceswap/faces/mesh_detector.h"

#include <algorithm>
#include <utility>

namespace faceswap {
namespace {

constexpr double kEyeSigma = 0.015;  // of an eye by the mesh, share of the eye distance

class MeshDetector final : public FaceDetector {
 public:
  MeshDetector(std::unique_ptr<FaceDetector> finder, MeshFinder mesh)
      : finder_(std::move(finder)), mesh_(std::move(mesh)), traits_(finder_->traits()) {
    traits_.start_confidence = 0.5;
    traits_.accept_confidence = 0.5;
    traits_.eyes_per_side = 0.42;  // of the square round the mesh
    traits_.eye_sigma = kEyeSigma;
    traits_.box_sigma = 0;
  }

  const DetectorTraits& traits() const override { return traits_; }

  void next_frame(const Image& gray, const Image& rgb) override {
    finder_->next_frame(gray, rgb);
    rgb_ = &rgb;
    to_full_size_ = pixel_scaling(static_cast<double>(rgb.width / gray.width));
  }

  std::vector<Detection> scan(bool tilted) override { return finder_->scan(tilted); }

  std::optional<Detection> follow(const Detection& expected, bool) override {
    Detection full_size = expected;
    full_size.center = to_full_size_(expected.center);
    full_size.side = expected.side * to_full_size_.scale();
    for (std::optional<Point>& eye : full_size.eyes)
      if (eye) eye = to_full_size_(*eye);
    std::optional<Mesh> found = mesh_.find(*rgb_, full_size);
    if (!found) return std::nullopt;
    const Similarity shrink = to_full_size_.inverse();
    for (Point& p : found->points) p = shrink(p);
    for (double& depth : found->depth) depth *= shrink.scale();
    Detection face = found->square();
    face.confidence = found->presence;
    face.eyes[0] = found->left_eye();
    face.eyes[1] = found->right_eye();
    face.mesh = std::make_shared<const Mesh>(*std::move(found));
    return face;
  }

 private:
  std::unique_ptr<FaceDetector> finder_;
  MeshFinder mesh_;
  DetectorTraits traits_;
  const Image* rgb_ = nullptr;
  Similarity to_full_size_;  // from the tracker's working picture
};
}  // namespace

std::unique_ptr<FaceDetector> make_mesh_detector(std::unique_ptr<FaceDetector> finder,
                                                 MeshFinder mesh) {
  return std::make_unique<MeshDetector>(std::move(finder), std::move(mesh));
}
}  // namespace faceswap
