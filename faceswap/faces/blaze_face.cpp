// V. Bazarevsky et al., BlazeFace: sub-millisecond neural face detection on mobile GPUs,
// 2019. One prediction for each cell (column c, row r) of a grid over a square picture of S
// pixels, in pixels about the cell's centre ((c + 1/2), (r + 1/2)) S / cells:
//     centre x, y, width, height, then image-left eye, image-right eye, nose, mouth, ears
// and a score, whose sigmoid is the confidence.
#include "faceswap/faces/blaze_face.h"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>

#include "kernels/image/resample.h"

namespace faceswap {
namespace {

constexpr int kNumbers = 16;  // of a prediction
constexpr double kLeastConfidence = 0.6;
constexpr double kApart = 0.4;  // of the side: nearer faces are one
}  // namespace

BlazeFace::BlazeFace(const std::filesystem::path& file, nn::Device device)
    : network_(file, device) {
  const auto& outputs = network_.outputs();
  const nn::Shape& input = network_.input();
  if (outputs.size() == 2)
    cells_ = static_cast<int>(std::lround(std::sqrt(static_cast<double>(outputs[1].size))));
  if (outputs.size() != 2 || cells_ < 1 || outputs[1].size != std::int64_t{cells_} * cells_ ||
      outputs[0].size != kNumbers * outputs[1].size || input[0] != input[1] || input[2] != 3)
    throw Error(ErrorKind::input,
                fmt::format("network {}: expected a square RGB picture as input, {} numbers and a "
                            "score for each cell of a square grid as outputs; run "
                            "tools/install_deps.sh faces",
                            file.string(), kNumbers));
}

std::vector<Detection> BlazeFace::find(const Image& rgb) const {
  const int size = static_cast<int>(network_.input()[0]);
  // The whole picture in the middle of the square.
  Detection whole;
  whole.center = {(rgb.width - 1) / 2., (rgb.height - 1) / 2.};
  whole.side = std::max(rgb.width, rgb.height);
  const Similarity to_rgb = square_to_patch(whole, 1, size).inverse();
  const nn::Tensor x = nn::Tensor::empty({1, size, size, 3}, nn::DType::f32, nn::Device::host);
  float* const values = x.data<float>();
  kernels::affine_warp<kernels::Host, std::uint8_t>(
      x.stream(), {rgb.pixels.data(), rgb.height, rgb.width, 3}, {values, size, size, 3},
      to_rgb.affine(), std::clamp(static_cast<int>(std::ceil(to_rgb.scale() - 0.1)), 1, 8));
  for (std::int64_t i = 0; i < x.numel(); ++i) values[i] = 2 * values[i] - 1;  // as it learnt
  const std::vector<nn::Tensor> outputs = network_(x.to(network_.device()));
  const std::vector<float> boxes = outputs[0].to(nn::Device::host).to_host<float>(),
                           scores = outputs[1].to(nn::Device::host).to_host<float>();
  std::vector<Detection> all;
  const double cell = static_cast<double>(size) / cells_;
  for (int i = 0; i < cells_ * cells_; ++i) {
    const double confidence = 1 / (1 + std::exp(-static_cast<double>(scores[i])));
    if (confidence < kLeastConfidence) continue;
    const float* const p = &boxes[static_cast<std::size_t>(i) * kNumbers];
    const auto place = [&](int k) {  // pixel centres lie at whole coordinates
      return to_rgb(
          {(i % cells_ + 0.5) * cell + p[k] - 0.5, (i / cells_ + 0.5) * cell + p[k + 1] - 0.5});
    };
    Detection face;
    face.center = place(0);
    face.side = std::max(p[2], p[3]) * to_rgb.scale();
    face.eyes[0] = place(4);
    face.eyes[1] = place(6);
    face.roll = std::atan2(face.eyes[1]->y - face.eyes[0]->y, face.eyes[1]->x - face.eyes[0]->x);
    face.confidence = confidence;
    if (std::isfinite(face.side) && face.side > 1) all.push_back(face);
  }
  std::stable_sort(all.begin(), all.end(), [](const Detection& a, const Detection& b) {
    return a.confidence > b.confidence;
  });
  std::vector<Detection> faces;
  for (const Detection& face : all)
    if (std::none_of(faces.begin(), faces.end(), [&](const Detection& other) {
          return distance(face.center, other.center) < kApart * std::max(face.side, other.side);
        }))
      faces.push_back(face);
  return faces;
}
}  // namespace faceswap
