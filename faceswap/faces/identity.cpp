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
// A point of the mesh, and the mean place in dlib's aligned faces of the point of the
// 68-point scheme that it stands for: shares of the face's size, without the margin
// (dlib/image_transforms/interpolation.h, Boost licence). As there, without the brows and
// the lower lip, which move most.
struct Anchor {
  int point;
  Point place;
};
constexpr Anchor kAnchors[] = {
    // Bridge and tip of the nose, and its lower edge.
    {168, {0.490127, 0.203352}},
    {197, {0.490127, 0.307009}},
    {5, {0.490127, 0.409805}},
    {4, {0.490127, 0.515625}},
    {98, {0.366880, 0.587326}},
    {97, {0.426036, 0.609345}},
    {2, {0.490127, 0.628106}},
    {326, {0.554217, 0.609345}},
    {327, {0.613373, 0.587326}},
    // The image-left eye from its outer corner, over the upper lid.
    {33, {0.121737, 0.216423}},
    {160, {0.187122, 0.178758}},
    {158, {0.265825, 0.179852}},
    {133, {0.334606, 0.231733}},
    {153, {0.260918, 0.245099}},
    {144, {0.182743, 0.244077}},
    // The image-right eye from its inner corner.
    {362, {0.645647, 0.231733}},
    {385, {0.714428, 0.179852}},
    {387, {0.793132, 0.178758}},
    {263, {0.858516, 0.216423}},
    {373, {0.797510, 0.244077}},
    {380, {0.719335, 0.245099}},
    // The upper lip: its outer edge from corner to corner, then its inner one.
    {61, {0.254149, 0.780233}},
    {39, {0.340985, 0.745405}},
    {37, {0.428858, 0.727388}},
    {0, {0.490127, 0.742578}},
    {267, {0.551395, 0.727388}},
    {269, {0.639268, 0.745405}},
    {291, {0.726104, 0.780233}},
    {78, {0.290379, 0.784792}},
    {82, {0.428096, 0.778746}},
    {13, {0.490127, 0.785343}},
    {312, {0.552157, 0.778746}},
    {308, {0.689874, 0.784792}},
};

// x [2,S,S,3]: the second picture becomes the first, seen in a mirror.
void mirror_first(const nn::Tensor& x) {
  float* const picture = x.data<float>();
  for (int row = 0; row < kSide; ++row)
    for (int column = 0; column < kSide; ++column)
      std::copy_n(picture + (row * kSide + kSide - 1 - column) * 3, 3,
                  picture + ((kSide + row) * kSide + column) * 3);
}
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
  const nn::Tensor x = nn::Tensor::empty({2, kSide, kSide, 3}, nn::DType::f32, nn::Device::host);
  kernels::affine_warp<kernels::Host, std::uint8_t>(
      x.stream(), {rgb.pixels.data(), rgb.height, rgb.width, 3}, {x.data<float>(), kSide, kSide, 3},
      to_picture.affine(), supersample);
  mirror_first(x);
  const std::vector<float> both =
      network_(x.to(network_.device()))[0].to(nn::Device::host).to_host<float>();
  std::vector<float> mean(kNumbers);
  for (int i = 0; i < kNumbers; ++i) mean[i] = (both[i] + both[kNumbers + i]) / 2;
  return mean;
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
