#include "faceswap/faces/identity.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "faceswap/faces/mesh.h"
#include "kernels/image/resample.h"

namespace faceswap {
namespace {

constexpr int kSide = 150;
constexpr double kMargin = 0.25;  // round the face, on each side; share of its size
// A point of the mesh, and its mean place in dlib's aligned faces: shares of the face's
// size, without the margin (dlib/image_transforms/interpolation.h, Boost licence).
struct Anchor {
  int point;
  Point place;
};
constexpr Anchor kAnchors[] = {
    {33, {0.1205750620789, 0.2137274526848}},   // image-left eye, outer corner
    {133, {0.3340850613712, 0.2290642403242}},  // its inner corner
    {362, {0.6460604764104, 0.2289674387677}},  // image-right eye, inner corner
    {263, {0.8595674595992, 0.2134981538014}},  // its outer corner
    {2, {0.4901123135679, 0.6277975316475}},    // below the nose
};
}  // namespace

Similarity to_identity_chip(const std::vector<Point>& landmarks) {
  if (landmarks.size() != Mesh::kPoints)
    throw Error(ErrorKind::failure, fmt::format("identity: {} landmarks, expected {}",
                                                landmarks.size(), Mesh::kPoints));
  std::vector<Point> from, to;
  const auto in_chip = [](double share) { return (kMargin + share) / (1 + 2 * kMargin) * kSide; };
  for (const auto& [point, place] : kAnchors) {
    from.push_back(landmarks[static_cast<std::size_t>(point)]);
    to.push_back({in_chip(place.x), in_chip(place.y)});
  }
  return fit_similarity(from, to);
}

IdentityNetwork::IdentityNetwork(const std::filesystem::path& file, nn::Device device)
    : network_(file, device) {
  const auto& outputs = network_.outputs();
  if (outputs.size() != 1 || outputs[0].size != kNumbers ||
      network_.input() != nn::Shape{kSide, kSide, 3})
    throw Error(
        ErrorKind::input,
        fmt::format("network {}: expected an RGB picture of {} x {} as input and {} numbers "
                    "as output; run tools/install_deps.sh faces",
                    file.string(), kSide, kSide, kNumbers));
}

std::vector<float> IdentityNetwork::operator()(const Image& rgb,
                                               const std::vector<Point>& landmarks) const {
  if (rgb.channels != 3 || rgb.empty())
    throw Error(ErrorKind::failure, "identity: expected an RGB picture");
  const Similarity to_picture = to_identity_chip(landmarks).inverse();
  const int supersample = std::clamp(static_cast<int>(std::ceil(to_picture.scale() - 0.1)), 1, 8);
  const nn::Tensor x = nn::Tensor::empty({1, kSide, kSide, 3}, nn::DType::f32, nn::Device::host);
  kernels::affine_warp<kernels::Host, std::uint8_t>(
      x.stream(), {rgb.pixels.data(), rgb.height, rgb.width, 3}, {x.data<float>(), kSide, kSide, 3},
      to_picture.affine(), supersample);
  return network_(x.to(network_.device()))[0].to(nn::Device::host).to_host<float>();
}

double identity_distance(std::span<const float> a, std::span<const float> b) {
  if (a.size() != b.size())
    throw Error(ErrorKind::failure, fmt::format("identity: {} and {} numbers", a.size(), b.size()));
  double squares = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    const double difference = static_cast<double>(a[i]) - b[i];
    squares += difference * difference;
  }
  return std::sqrt(squares);
}
}  // namespace faceswap
