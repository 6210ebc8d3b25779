// Thresholds were measured on rendered heads and on four clips: two public speakers at
// 25 frames a second, a talking head in 720p, a dim hall with cuts and profiles.
#include "faceswap/faces/measures.h"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>

#include "faceswap/faces/gray.h"
#include "faceswap/faces/mesh.h"

namespace faceswap {
namespace {

constexpr double kFaceHeight = 180;  // canonical pixels, from above the brows to the chin

// A model of 64 pixels sees a face of 53; this one is enlarged a little.
constexpr double kTiny = 48;
// Most of the speakers' faces have 0.71 to 0.9, the talking head 0.60 to 0.81, a singer
// in motion 0.48 to 0.66, faces out of focus in the hall 0.31 to 0.45. Rendered heads
// of all skin tones have 0.52 to 0.78, and 0.34 to 0.44 after a blur of 4 of the 64
// pixels.
constexpr double kBlurred = 0.45;
// Levels of 255. Clips in usual light have 94 to 220, faces that are hardly visible in
// the hall 59 to 70. Rendered heads of all skin tones fall below at a thirteenth of
// full light.
constexpr double kDark = 64;
constexpr double kCutOff = 0.95;  // visible share
// Free faces have 0.01 at most on the clips, and 0.003 when rendered in any skin tone;
// beyond 40 degrees of yaw some wall beside the far cheek adds up to 0.09.
constexpr double kCovered = 0.1;
// Blinks have 0.11 to 0.21, open eyes 0.25 to 0.43, half-shut ones between.
constexpr double kShut = 0.22, kOpen = 0.25;  // the mean of both eyes; either of them
constexpr double kHiddenEye = 0.5;            // width of an eye over the other's: not judged
constexpr double kProfile = 50;               // degrees of yaw; the far eye is gone at 55 to 60

constexpr int kFocusSize = 64, kLeastFocusSize = 24;

double mouth_opening(const std::vector<Point>& p) {
  return std::min(100.0, distance(p[13], p[14]) / std::max(1e-6, distance(p[78], p[308])));
}

bool eyes_shut(const std::vector<Point>& p, const FaceMeasures& measures) {
  const double width[2] = {eye_width(p, 0), eye_width(p, 1)};
  double sum = 0, most = 0;
  int seen = 0;
  for (int k = 0; k < 2; ++k) {
    if (width[k] < kHiddenEye * width[1 - k]) continue;
    sum += measures.eye_open[k], ++seen;
    most = std::max(most, measures.eye_open[k]);
  }
  return sum < kShut * seen && most < kOpen;
}

Image egg_region() {
  const FloatImage egg = egg_mask(kMaskSize, 0.9);
  Image region(kMaskSize, kMaskSize, 1);
  for (std::size_t i = 0; i < egg.pixels.size(); ++i)
    region.pixels[i] = egg.pixels[i] > 0.5f ? 255 : 0;
  return region;
}

// The value that a share of all lies below; 0 without values.
double quantile(std::vector<int> values, double share) {
  if (values.empty()) return 0;
  const auto at = values.begin() +
                  static_cast<std::ptrdiff_t>(share * static_cast<double>(values.size() - 1) + 0.5);
  std::nth_element(values.begin(), at, values.end());
  return *at;
}

// The finest detail of a grey picture along (dx, dy), inside the region.
double detail(const Image& gray, int dx, int dy, const Image& region) {
  std::vector<int> differences;
  for (int y = 1; y + 1 < gray.height; ++y)
    for (int x = 1; x + 1 < gray.width; ++x)
      if (*region.at((2 * x + 1) * region.width / (2 * gray.width),
                     (2 * y + 1) * region.height / (2 * gray.height)) > 127)
        differences.push_back(
            std::abs(*gray.at(x - dx, y - dy) + *gray.at(x + dx, y + dy) - 2 * *gray.at(x, y)));
  return quantile(std::move(differences), 0.98);
}
}  // namespace

double face_side(const Face& face) { return kFaceHeight / face.to_canonical.scale(); }

double focus(const Image& crop, const Similarity& to_canonical) {
  const Image region = egg_region();
  const double in_frame = kCanonicalSize / to_canonical.scale();  // pixels across the square
  const int half = std::clamp(static_cast<int>(in_frame), kLeastFocusSize, kFocusSize) / 2;
  const Image gray = to_gray(crop), fine = shrink_to(gray, 2 * half, 2 * half),
              coarse = shrink_to(gray, half, half);
  double least = HUGE_VAL;
  for (const auto& [dx, dy] : {std::pair{1, 0}, {0, 1}, {1, 1}, {1, -1}})
    least = std::min(least,
                     detail(fine, dx, dy, region) / std::max(1.0, detail(coarse, dx, dy, region)));
  return least;
}

void measure_face(Face& face, const Image& crop, const FaceMask& mask) {
  if (crop.channels != 3 || crop.width < kFocusSize || crop.width != crop.height)
    throw Error(ErrorKind::failure,
                fmt::format("measure_face: a crop of {}x{}x{}, expected a square RGB picture of "
                            "at least {} pixels a side",
                            crop.width, crop.height, crop.channels, kFocusSize));
  const bool meshed = face.landmarks.size() == Mesh::kPoints && !mask.picture.empty();
  const Image region = meshed ? mask.picture : egg_region();
  FaceMeasures& m = face.measures;
  m.visible = mask.visible;
  m.covered = mask.covered;
  for (int k = 0; k < 2; ++k)
    m.eye_open[k] = meshed ? std::min(100.0, eye_opening(face.landmarks, k)) : 0;
  m.mouth_open = meshed ? mouth_opening(face.landmarks) : 0;

  const int size = std::min(kMaskSize, crop.width);
  const Image gray = shrink_to(to_gray(crop), size, size);
  std::vector<int> levels;
  double sum = 0, sum2 = 0;
  for (int y = 0; y < size; ++y)
    for (int x = 0; x < size; ++x)
      if (*region.at(x * kMaskSize / size, y * kMaskSize / size) > 127) {
        const double level = *gray.at(x, y) / 255.;
        sum += level, sum2 += level * level;
        levels.push_back(*gray.at(x, y));
      }
  const double n = std::max(1.0, static_cast<double>(levels.size()));
  m.brightness = sum / n;
  m.contrast = std::sqrt(std::max(0.0, sum2 / n - m.brightness * m.brightness));
  // Nearly the whole range, so that the whites of the eyes, teeth and highlights count,
  // which have the light's colour on every skin. Shut eyes leave too little of these.
  const double range = quantile(levels, 0.995) - quantile(levels, 0.005);

  const bool shut = meshed && eyes_shut(face.landmarks, m);
  face.marks.clear();
  const auto mark = [&](FaceMark which, bool holds) {
    if (holds) face.marks.push_back(which);
  };
  mark(FaceMark::tiny, face_side(face) < kTiny);
  mark(FaceMark::blurred, focus(crop, face.to_canonical) < kBlurred);
  mark(FaceMark::dark, !shut && range < kDark);
  mark(FaceMark::cut_off, meshed && m.visible < kCutOff);
  mark(FaceMark::covered, meshed && m.covered > kCovered);
  mark(FaceMark::eyes_shut, shut);
  mark(FaceMark::profile, std::abs(m.yaw) > kProfile);
}
}  // namespace faceswap
