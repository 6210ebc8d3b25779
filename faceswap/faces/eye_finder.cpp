#include "faceswap/faces/eye_finder.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include <fmt/format.h>

#include "faceswap/faces/detector.h"
#include "faceswap/faces/mesh.h"
#include "kernels/image/resample.h"

namespace faceswap {
namespace {

constexpr double kZoom = 2.8;    // of the network's picture over the eye's width
constexpr double kHidden = 0.5;  // width of an eye over the other's
constexpr double kAway = 0.5;    // most distance from the mesh's eye, in widths
constexpr int kPoints = 71, kRing = 16;

// The network's first 16 points as landmarks: the lower lid from the outer corner to
// the inner one, then the upper lid.
constexpr int kLeftRing[kRing] = {33,  7,   163, 144, 145, 153, 154, 155,
                                  133, 246, 161, 160, 159, 158, 157, 173};
constexpr int kRightRing[kRing] = {263, 249, 390, 373, 374, 380, 381, 382,
                                   362, 466, 388, 387, 386, 385, 384, 398};
constexpr int kOuter = 0, kInner = 8;  // places in the rings

// to[size,size,3] = from, mirrored
void mirror(const float* from, float* to, int size) {
  for (int y = 0; y < size; ++y)
    for (int x = 0; x < size; ++x)
      std::copy_n(&from[(y * size + x) * 3], 3, &to[(y * size + size - 1 - x) * 3]);
}

// Point i of an eye in the mirrored one: the corners change places.
constexpr int mirrored_point(int i) { return i <= 8 ? 8 - i : 24 - i; }

}  // namespace

EyeFinder::EyeFinder(const std::filesystem::path& file, nn::Device device)
    : network_(file, device) {
  const auto& outputs = network_.outputs();
  const nn::Shape& input = network_.input();
  if (outputs.size() != 2 || outputs[0].size != 3 * kPoints || outputs[1].size != 3 * 5 ||
      input[0] != input[1] || input[2] != 3)
    throw Error(ErrorKind::input,
                fmt::format("network {}: expected a square RGB picture as input, 71 points of an "
                            "eye and 5 of its iris as outputs; run tools/install_deps.sh faces",
                            file.string()));
}

void EyeFinder::refine(const Image& rgb, std::span<Point> landmarks) const {
  if (rgb.channels != 3 || rgb.empty() || landmarks.size() != Mesh::kPoints)
    throw Error(ErrorKind::failure, "refine eyes: expected an RGB picture and 468 landmarks");
  const int size = static_cast<int>(network_.input()[0]);
  const auto width = [&](const int* ring) {
    return distance(landmarks[ring[kOuter]], landmarks[ring[kInner]]);
  };
  const double widths[2] = {width(kLeftRing), width(kRightRing)};
  for (int eye = 0; eye < 2; ++eye) {
    if (widths[eye] < kHidden * widths[1 - eye] || !(widths[eye] > 1)) continue;
    const int* ring = eye == 0 ? kLeftRing : kRightRing;
    const Point outer = landmarks[ring[kOuter]], inner = landmarks[ring[kInner]];
    const Point left = eye == 0 ? outer : inner, right = eye == 0 ? inner : outer;
    Detection square;
    square.center = {(left.x + right.x) / 2, (left.y + right.y) / 2};
    square.side = widths[eye];
    square.roll = std::atan2(right.y - left.y, right.x - left.x);
    const Similarity to_picture = square_to_patch(square, kZoom, size).inverse();
    const int supersample = std::clamp(static_cast<int>(std::ceil(to_picture.scale() - 0.1)), 1, 8);
    // The eye as it is and mirrored; the second one counts from its image-right corner.
    const nn::Tensor x = nn::Tensor::empty({2, size, size, 3}, nn::DType::f32, nn::Device::host);
    float* const plain = x.data<float>();
    kernels::affine_warp<kernels::Host, std::uint8_t>(
        x.stream(), {rgb.pixels.data(), rgb.height, rgb.width, 3}, {plain, size, size, 3},
        to_picture.affine(), supersample);
    mirror(plain, plain + std::ptrdiff_t{3} * size * size, size);
    const std::vector<float> places =
        network_(x.to(network_.device()))[0].to(nn::Device::host).to_host<float>();
    const float *first = places.data(), *second = first + 3 * kPoints;
    Point found[kRing], middle;
    for (int i = 0; i < kRing; ++i) {
      const int j = mirrored_point(i);
      // The network counts from the picture's corner.
      const double px = (first[3 * i] + size - second[3 * j]) / 2 - 0.5,
                   py = (first[3 * i + 1] + second[3 * j + 1]) / 2 - 0.5;
      found[i] = to_picture({px, py});
      middle = {middle.x + found[i].x / kRing, middle.y + found[i].y / kRing};
    }
    if (!(distance(middle, square.center) < kAway * widths[eye])) continue;
    // The points run from the image-left corner; the right eye's ring from its outer one.
    for (int i = 0; i < kRing; ++i) landmarks[ring[eye == 0 ? i : mirrored_point(i)]] = found[i];
  }
}
}  // namespace faceswap
