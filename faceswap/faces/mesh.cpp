#include "faceswap/faces/mesh.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <span>

#include "kernels/image/resample.h"

namespace faceswap {
namespace {

constexpr double kZoom = 1.5;  // of the network's picture over the face's square
constexpr double kLeastPresence = 0.5;
constexpr int kFirstLooks = 2, kMostLooks = 4;  // at a detector's square; at the last mesh's one
constexpr double kSettled = 0.04;               // change of the square: share of its side, radians
constexpr int kLeftCorner = 33, kRightCorner = 263;  // of the eyes, outer
constexpr int kLeftEye[] = {33,  7,   163, 144, 145, 153, 154, 155,
                            133, 173, 157, 158, 159, 160, 161, 246},
              kRightEye[] = {263, 249, 390, 373, 374, 380, 381, 382,
                             362, 398, 384, 385, 386, 387, 388, 466};

Point mean_of(const Mesh& mesh, std::span<const int> indices) {
  Point sum;
  for (const int i : indices) sum = {sum.x + mesh.points[i].x, sum.y + mesh.points[i].y};
  const auto n = static_cast<double>(indices.size());
  return {sum.x / n, sum.y / n};
}

double angle_between(Point left, Point right) {
  return std::atan2(right.y - left.y, right.x - left.x);
}

bool settled(const Detection& before, const Detection& after) {
  return distance(before.center, after.center) < kSettled * before.side &&
         std::abs(std::log(after.side / before.side)) < kSettled &&
         std::abs(std::remainder(after.roll - before.roll, 2 * M_PI)) < kSettled;
}

struct EyePoints {
  int outer, inner, upper[3], lower[3];  // landmarks; the lids' points stand opposite
};
constexpr EyePoints kEyes[2] = {{33, 133, {160, 159, 158}, {144, 145, 153}},
                                {263, 362, {387, 386, 385}, {373, 374, 380}}};
}  // namespace

Point Mesh::left_eye() const { return mean_of(*this, kLeftEye); }
Point Mesh::right_eye() const { return mean_of(*this, kRightEye); }
Point Mesh::mouth() const {
  constexpr int corners[] = {61, 291};
  return mean_of(*this, corners);
}

Detection Mesh::square() const {
  Detection square;
  square.roll = roll();
  const Similarity upright = rotation_about({0, 0}, -square.roll);
  Point low{HUGE_VAL, HUGE_VAL}, high{-HUGE_VAL, -HUGE_VAL};
  for (const Point& point : points) {
    const Point p = upright(point);
    low = {std::min(low.x, p.x), std::min(low.y, p.y)};
    high = {std::max(high.x, p.x), std::max(high.y, p.y)};
  }
  square.center = upright.inverse()({(low.x + high.x) / 2, (low.y + high.y) / 2});
  square.side = std::max(high.x - low.x, high.y - low.y);
  return square;
}

double Mesh::roll() const { return angle_between(points[kLeftCorner], points[kRightCorner]); }

double eye_width(std::span<const Point> landmarks, int eye) {
  return distance(landmarks[kEyes[eye].outer], landmarks[kEyes[eye].inner]);
}

double eye_opening(std::span<const Point> landmarks, int eye) {
  double height = 0;
  for (int k = 0; k < 3; ++k)
    height += distance(landmarks[kEyes[eye].upper[k]], landmarks[kEyes[eye].lower[k]]) / 3;
  return height / std::max(1e-6, eye_width(landmarks, eye));
}

MeshFinder::MeshFinder(const std::filesystem::path& file, nn::Device device)
    : network_(file, device) {
  const auto& outputs = network_.outputs();
  const nn::Shape& input = network_.input();
  if (outputs.size() != 2 || outputs[0].size != 3 * Mesh::kPoints || outputs[1].size != 1 ||
      input[0] != input[1] || input[2] != 3)
    throw Error(ErrorKind::input,
                fmt::format("network {}: expected a square RGB picture as input and 468 points "
                            "and their presence as outputs; run tools/install_deps.sh faces",
                            file.string()));
}

Mesh MeshFinder::look(const Image& rgb, const Detection& region) const {
  const int size = static_cast<int>(network_.input()[0]);
  const Similarity to_picture = square_to_patch(region, kZoom, size).inverse();
  const int supersample = std::clamp(static_cast<int>(std::ceil(to_picture.scale() - 0.1)), 1, 8);
  const nn::Tensor x = nn::Tensor::empty({1, size, size, 3}, nn::DType::f32, nn::Device::host);
  kernels::affine_warp<kernels::Host, std::uint8_t>(
      x.stream(), {rgb.pixels.data(), rgb.height, rgb.width, 3}, {x.data<float>(), size, size, 3},
      to_picture.affine(), supersample);
  const std::vector<nn::Tensor> outputs = network_(x.to(network_.device()));
  const std::vector<float> places = outputs[0].to(nn::Device::host).to_host<float>();
  Mesh mesh;
  for (int i = 0; i < Mesh::kPoints; ++i) {
    // The network counts from the picture's corner, so centres lie half a pixel further.
    mesh.points[i] = to_picture({places[3 * i] - 0.5, places[3 * i + 1] - 0.5});
    mesh.depth[i] = places[3 * i + 2] * to_picture.scale();
  }
  mesh.presence = 1 / (1 + std::exp(-outputs[1].item()));
  return mesh;
}

std::optional<Mesh> MeshFinder::find(const Image& rgb, const Detection& face) const {
  if (rgb.channels != 3 || rgb.empty())
    throw Error(ErrorKind::failure, "find_mesh: expected an RGB picture");
  Detection start = face;
  if (face.eyes[0] && face.eyes[1]) start.roll = angle_between(*face.eyes[0], *face.eyes[1]);
  Mesh mesh = look(rgb, start);
  for (int looks = 1; looks < kMostLooks; ++looks) {
    const Detection square = mesh.square();
    if ((face.mesh || looks >= kFirstLooks) && settled(start, square)) break;
    start = square;
    mesh = look(rgb, start);
  }
  if (mesh.presence < kLeastPresence) return std::nullopt;
  return mesh;
}
}  // namespace faceswap
