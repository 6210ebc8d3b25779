#include "faceswap/faces/eye_finder.h"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>

#include "kernels/image/resample.h"

namespace faceswap {
namespace {

constexpr double kZoom = 2.8;  // of the network's picture over the width of the eye
constexpr int kRing = 16;      // points round the eye, the first of the network's 71
constexpr int kCorners[2][2] = {{33, 133}, {362, 263}};  // of the mesh
}  // namespace

EyeFinder::EyeFinder(const std::filesystem::path& file, nn::Device device)
    : network_(file, device) {
  const auto& outputs = network_.outputs();
  const nn::Shape& input = network_.input();
  if (outputs.size() != 2 || outputs[0].size != 3 * 71 || outputs[1].size != 3 * 5 ||
      input[0] != input[1] || input[2] != 3)
    throw Error(ErrorKind::input,
                fmt::format("network {}: expected a square RGB picture as input and 71 and 5 "
                            "points as outputs; run tools/install_deps.sh faces",
                            file.string()));
}

std::array<Point, 2> EyeFinder::find(const Image& rgb, const Mesh& mesh) const {
  const int size = static_cast<int>(network_.input()[0]);
  const std::int64_t numbers = std::int64_t{3} * size * size;
  // Left eye, left eye mirrored, right eye, right eye mirrored.
  const nn::Tensor x = nn::Tensor::empty({4, size, size, 3}, nn::DType::f32, nn::Device::host);
  Similarity to_picture[2];
  for (int eye = 0; eye < 2; ++eye) {
    const Point a = mesh.points[kCorners[eye][0]], b = mesh.points[kCorners[eye][1]];
    Detection square;
    square.center = {(a.x + b.x) / 2, (a.y + b.y) / 2};
    square.side = std::max(1., distance(a, b));
    square.roll = mesh.roll();
    to_picture[eye] = square_to_patch(square, kZoom, size).inverse();
    float* const seen = x.data<float>() + 2 * eye * numbers;
    const int supersample =
        std::clamp(static_cast<int>(std::ceil(to_picture[eye].scale() - 0.1)), 1, 8);
    kernels::affine_warp<kernels::Host, std::uint8_t>(
        x.stream(), {rgb.pixels.data(), rgb.height, rgb.width, 3}, {seen, size, size, 3},
        to_picture[eye].affine(), supersample);
    float* const mirrored = seen + numbers;
    for (int row = 0; row < size; ++row)
      for (int column = 0; column < size; ++column)
        std::copy_n(seen + 3 * (row * size + column), 3,
                    mirrored + 3 * (row * size + size - 1 - column));
  }
  const nn::Tensor ring = network_(x.to(network_.device()))[0].to(nn::Device::host);
  const std::vector<float> places = ring.to_host<float>();  // [4, 71 * 3]
  std::array<Point, 2> eyes;
  for (int eye = 0; eye < 2; ++eye) {
    Point sum;
    for (int seen = 0; seen < 2; ++seen)
      for (int i = 0; i < kRing; ++i) {
        const float* const p = &places[static_cast<std::size_t>((2 * eye + seen) * 71 + i) * 3];
        // The network counts from the picture's corner.
        const double across = p[0] - 0.5;
        sum.x += seen ? size - 1 - across : across;
        sum.y += p[1] - 0.5;
      }
    eyes[eye] = to_picture[eye]({sum.x / (2 * kRing), sum.y / (2 * kRing)});
  }
  return eyes;
}
}  // namespace faceswap
