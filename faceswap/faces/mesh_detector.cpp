#include "faceswap/faces/mesh_detector.h"

#include <utility>

namespace faceswap {
namespace {

constexpr double kEyeSigma = 0.015;  // of an eye by the mesh, share of the eye distance

class MeshDetector final : public FaceDetector {
 public:
  MeshDetector(std::unique_ptr<FaceDetector> faces, MeshFinder mesh)
      : faces_(std::move(faces)), mesh_(std::move(mesh)) {}

  const DetectorTraits& traits() const override { return faces_->traits(); }

  void next_frame(const Image& gray, const Image& rgb) override {
    faces_->next_frame(gray, rgb);
    rgb_ = &rgb;
    to_full_size_ = pixel_scaling(rgb.width / gray.width);
  }

  std::vector<Detection> scan(bool tilted) override { return faces_->scan(tilted); }

  std::optional<Detection> follow(const Detection& expected, bool with_eyes) override {
    std::optional<Detection> face = faces_->follow(expected, with_eyes);
    if (!face) return face;
    Detection full_size = *face;
    full_size.center = to_full_size_(face->center);
    full_size.side = face->side * to_full_size_.scale();
    for (std::optional<Point>& eye : full_size.eyes)
      if (eye) eye = to_full_size_(*eye);
    const std::optional<Mesh> mesh = mesh_.find(*rgb_, full_size);
    const Similarity shrink = to_full_size_.inverse();
    if (mesh) {
      face->eyes[0] = shrink(mesh->left_eye());
      face->eyes[1] = shrink(mesh->right_eye());
      face->eye_sigma = kEyeSigma;
      face->roll = mesh->roll();
    }
    return face;
  }

 private:
  std::unique_ptr<FaceDetector> faces_;
  MeshFinder mesh_;
  const Image* rgb_ = nullptr;
  Similarity to_full_size_;  // from the tracker's working picture
};
}  // namespace

std::unique_ptr<FaceDetector> make_mesh_detector(std::unique_ptr<FaceDetector> faces,
                                                 MeshFinder mesh) {
  return std::make_unique<MeshDetector>(std::move(faces), std::move(mesh));
}
}  // namespace faceswap
