#include "faceswap/faces/selection.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "faceswap/faces/gray.h"
#include "faceswap/faces/mesh.h"

namespace faceswap {
namespace {

constexpr double kDegrees = 8, kMouthOpen = 0.15, kMouthWide = 0.06, kEyeOpen = 0.12, kLight = 0.08,
                 kContrast = 0.05, kThumbnail = 0.4;
constexpr int kThumbSide = 12;
// Of the canonical square, the part that the thumbnail shows: brows to chin.
constexpr double kThumbLeft = 0.22, kThumbTop = 0.25, kThumbShare = 0.56;

// Brightness of the face at kThumbSide x kThumbSide places, 0 to 1.
std::vector<float> thumbnail(const Image& crop) {
  const double scale = kThumbSide / (kThumbShare * crop.width);
  const Similarity to_thumb{scale, 0, -kThumbLeft * crop.width * scale + 0.5 * scale - 0.5,
                            -kThumbTop * crop.height * scale + 0.5 * scale - 0.5};
  const Image small = gray_patch(to_gray(crop), to_thumb, kThumbSide, kThumbSide);
  std::vector<float> levels;
  for (const std::uint8_t v : small.pixels) levels.push_back(static_cast<float>(v) / 255);
  return levels;
}

bool is_poor(const Face& face) {
  return std::ranges::any_of(face.marks, [](FaceMark mark) {
    return mark != FaceMark::eyes_shut && mark != FaceMark::profile;
  });
}

// Good before poor, then the sharper one, then the first.
bool better(const FaceLook& a, const FaceLook& b) {
  return a.poor != b.poor ? b.poor : a.sharpness > b.sharpness;
}
}  // namespace

FaceLook look_of(const Face& face, const Image& crop) {
  FaceLook look;
  look.sharpness = face.sharpness;
  look.poor = is_poor(face);
  std::vector<float> thumb = thumbnail(crop);
  const auto n = static_cast<float>(thumb.size());
  float sum = 0, sum2 = 0, right = 0;
  for (std::size_t i = 0; i < thumb.size(); ++i) {
    sum += thumb[i], sum2 += thumb[i] * thumb[i];
    right += i % kThumbSide < kThumbSide / 2 ? -thumb[i] : thumb[i];
  }
  look.side_light = right / (n / 2);
  const float mean = sum / n, deviation = std::sqrt(std::max(1e-4f, sum2 / n - mean * mean));

  const FaceMeasures& m = face.measures;
  double mouth_wide = 0;
  if (face.landmarks.size() == Mesh::kPoints) {
    const std::vector<Point>& p = face.landmarks;
    mouth_wide = distance(p[61], p[291]) / std::max(1e-6, distance(p[234], p[454]));
  }
  for (const double value :
       {m.yaw / kDegrees, m.pitch / kDegrees, m.mouth_open / kMouthOpen, mouth_wide / kMouthWide,
        (m.eye_open[0] + m.eye_open[1]) / 2 / kEyeOpen, m.brightness / kLight,
        look.side_light / kLight, m.contrast / kContrast})
    look.values.push_back(static_cast<float>(value));
  const float weight = 1 / (static_cast<float>(kThumbnail) * std::sqrt(n));
  for (const float v : thumb) look.values.push_back(weight * (v - mean) / deviation);
  return look;
}

double difference(const FaceLook& a, const FaceLook& b) {
  double sum = 0;
  for (std::size_t i = 0; i < a.values.size(); ++i) {
    const double d = a.values[i] - b.values[i];
    sum += d * d;
  }
  return std::sqrt(sum);
}

std::vector<std::size_t> without_near_duplicates(const std::vector<FaceLook>& looks, double least) {
  std::vector<std::size_t> order(looks.size()), kept;
  std::iota(order.begin(), order.end(), 0);
  std::ranges::stable_sort(
      order, [&](std::size_t a, std::size_t b) { return better(looks[a], looks[b]); });
  for (const std::size_t i : order)
    if (std::ranges::none_of(kept,
                             [&](std::size_t k) { return difference(looks[i], looks[k]) < least; }))
      kept.push_back(i);
  std::ranges::sort(kept);
  return kept;
}

std::vector<std::size_t> choose_diverse(const std::vector<FaceLook>& looks, std::size_t count) {
  count = std::min(count, looks.size());
  std::vector<std::size_t> chosen;
  std::vector<bool> taken(looks.size());
  // Of each face, the distance to the nearest chosen one.
  std::vector<double> away(looks.size(), std::numeric_limits<double>::infinity());
  while (chosen.size() < count) {
    // Farthest first; at the start, where all are as far, the best face.
    std::size_t next = looks.size();
    for (std::size_t i = 0; i < looks.size(); ++i) {
      if (taken[i]) continue;
      if (next == looks.size() || (looks[next].poor && !looks[i].poor) ||
          (looks[next].poor == looks[i].poor &&
           (away[i] != away[next] ? away[i] > away[next] : better(looks[i], looks[next]))))
        next = i;
    }
    taken[next] = true;
    chosen.push_back(next);
    for (std::size_t i = 0; i < looks.size(); ++i)
      away[i] = std::min(away[i], difference(looks[i], looks[next]));
  }
  std::ranges::sort(chosen);
  return chosen;
}
}  // namespace faceswap
