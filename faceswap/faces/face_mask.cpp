#include "faceswap/faces/face_mask.h"

#include <algorithm>
#include <cmath>
#include <span>
#include <utility>

#include <fmt/format.h>

#include "faceswap/faces/mesh.h"
#include "faceswap/faces/skin.h"
#include "kernels/image/blend.h"
#include "kernels/simt/single_threaded.h"

namespace faceswap {
namespace {

// Chosen for the overlap with the exact masks of 60 rendered heads (mean 0.90) and by
// eye on four clips. Lengths in mask pixels.
constexpr double kRaise = 0.25;  // of the forehead's edge, share of its height over the brows
constexpr double kBlur = 1;      // before colours are compared
constexpr float kUnlike = 0.06f, kLike = 0.2f;  // likeness that is certainly not, and is, skin
constexpr double kFeatureMargin = 2;            // round eyes, nostrils and lips
constexpr double kThinnest = 3;                 // radius of the least thing in front
constexpr double kReach = 6;                    // from a landmark to the skin that it vouches for
constexpr double kEdge = 4;      // along the outline, not counted as covered: hair, a turned cheek
constexpr double kHidden = 0.5;  // width of an eye over the other's: behind the nose
constexpr double kSoft = 1.5;    // deviation of the blur of the mask's edge

// Landmarks, as in mesh.h.
constexpr int kForehead[] = {54, 103, 67, 109, 10, 338, 297, 332, 284};
constexpr int kBrows[] = {70, 63, 105, 66, 107, 336, 296, 334, 293, 300};
constexpr int kCheeksAndNose[] = {117, 118, 50, 205, 36, 6, 197, 4, 346, 347, 280, 425, 266};
constexpr int kLeftEyeAndBrow[] = {33,  7,  163, 144, 145, 153, 154, 155,
                                   133, 70, 63,  105, 66,  107, 55,  46};
constexpr int kRightEyeAndBrow[] = {263, 249, 390, 373, 374, 380, 381, 382,
                                    362, 300, 293, 334, 296, 336, 285, 276};
constexpr int kNostrils[] = {98, 97, 2, 326, 327, 294, 278, 4, 48, 64};
constexpr int kLips[] = {61,  146, 91,  181, 84,  17, 314, 405, 321, 375,
                         291, 409, 270, 269, 267, 0,  37,  39,  40,  185};

double cross(Point o, Point a, Point b) {
  return (a.x - o.x) * (b.y - o.y) - (a.y - o.y) * (b.x - o.x);
}

// Andrew's monotone chain: the lower, then the upper side.
std::vector<Point> convex_hull(std::vector<Point> points) {
  std::sort(points.begin(), points.end(),
            [](Point a, Point b) { return a.x != b.x ? a.x < b.x : a.y < b.y; });
  std::vector<Point> hull;
  for (int side = 0; side < 2; ++side) {
    const std::size_t first = hull.size();
    for (const Point p : points) {
      while (hull.size() >= first + 2 && cross(hull[hull.size() - 2], hull.back(), p) <= 0)
        hull.pop_back();
      hull.push_back(p);
    }
    hull.pop_back();  // begins the other side
    std::reverse(points.begin(), points.end());
  }
  return hull;
}

FloatImage blank() { return {kMaskSize, kMaskSize, 1}; }

// 1 inside the hull grown by `margin` pixels, 0 outside, one pixel of smooth edge.
FloatImage filled_hull(std::vector<Point> points, double margin) {
  const std::vector<Point> hull = convex_hull(std::move(points));
  FloatImage mask = blank();
  if (hull.size() < 3) return mask;
  struct Edge {
    float x, y, offset;  // x * px + y * py + offset: pixels inside the edge's line
  };
  std::vector<Edge> edges;
  for (std::size_t i = 0; i < hull.size(); ++i) {
    const Point a = hull[i], b = hull[(i + 1) % hull.size()];
    const double length = distance(a, b), x = (a.y - b.y) / length, y = (b.x - a.x) / length;
    edges.push_back({static_cast<float>(x), static_cast<float>(y),
                     static_cast<float>(margin + 0.5 - x * a.x - y * a.y)});
  }
  for (int y = 0; y < kMaskSize; ++y)
    for (int x = 0; x < kMaskSize; ++x) {
      float inside = 1;
      for (const Edge& edge : edges) {
        inside = std::min(
            inside, edge.x * static_cast<float>(x) + edge.y * static_cast<float>(y) + edge.offset);
        if (inside <= 0) break;
      }
      *mask.at(x, y) = std::max(inside, 0.f);
    }
  return mask;
}

std::vector<Point> chosen(const std::vector<Point>& landmarks, std::span<const int> indices) {
  std::vector<Point> points;
  for (const int i : indices) points.push_back(landmarks[static_cast<std::size_t>(i)]);
  return points;
}

Point mean_of(const std::vector<Point>& points) {
  Point sum;
  for (const Point p : points) sum = {sum.x + p.x, sum.y + p.y};
  const auto n = static_cast<double>(points.size());
  return {sum.x / n, sum.y / n};
}

// Of landmarks in the mask.
FloatImage filled_region(const std::vector<Point>& landmarks) {
  const Point brows = mean_of(chosen(landmarks, kBrows)), top = landmarks[10];
  std::vector<Point> outline = landmarks;
  for (const Point p : chosen(landmarks, kForehead))
    outline.push_back({p.x + kRaise * (top.x - brows.x), p.y + kRaise * (top.y - brows.y)});
  return filled_hull(std::move(outline), 0);
}

// 1 where the frame has a picture.
FloatImage inside_frame(const Similarity& to_frame, int width, int height) {
  FloatImage inside = blank();
  for (int y = 0; y < kMaskSize; ++y)
    for (int x = 0; x < kMaskSize; ++x) {
      const Point p = to_frame({static_cast<double>(x), static_cast<double>(y)});
      *inside.at(x, y) =
          p.x > -0.5 && p.y > -0.5 && p.x < width - 0.5 && p.y < height - 0.5 ? 1.f : 0.f;
    }
  return inside;
}

// How little a pixel looks like this face's skin, 0 to 1; 0 on eyes, brows, nostrils,
// lips.
FloatImage unlike_skin(const Image& crop, const std::vector<Point>& landmarks) {
  // The crop stands for the frame here.
  const Image small = crop_face(crop, pixel_scaling(kCanonicalSize / crop.width), kMaskSize);
  FloatImage picture(kMaskSize, kMaskSize, 3);
  for (std::size_t i = 0; i < picture.pixels.size(); ++i)
    picture.pixels[i] = static_cast<float>(small.pixels[i]) / 255;
  const std::vector<float> lab = smooth_lab(picture, kBlur);
  const FloatImage sure = filled_hull(chosen(landmarks, kCheeksAndNose), 0);
  std::vector<std::size_t> samples;
  for (std::size_t i = 0; i < sure.pixels.size(); ++i)
    if (sure.pixels[i] > 0.5f) samples.push_back(i);
  FloatImage unlike = blank();
  if (samples.empty()) return unlike;
  const SkinColor skin(lab, samples);
  for (std::size_t i = 0; i < unlike.pixels.size(); ++i)
    unlike.pixels[i] =
        std::clamp((kLike - skin.likeness(&lab[3 * i])) / (kLike - kUnlike), 0.f, 1.f);
  const double left = distance(landmarks[33], landmarks[133]),
               right = distance(landmarks[263], landmarks[362]);
  std::vector<std::span<const int>> features = {kNostrils, kLips};
  if (left > kHidden * right) features.emplace_back(kLeftEyeAndBrow);
  if (right > kHidden * left) features.emplace_back(kRightEyeAndBrow);
  for (const std::span<const int> feature : features) {
    const FloatImage here = filled_hull(chosen(landmarks, feature), kFeatureMargin);
    for (std::size_t i = 0; i < unlike.pixels.size(); ++i)
      unlike.pixels[i] = std::min(unlike.pixels[i], 1 - here.pixels[i]);
  }
  return unlike;
}

// Keeps what is connected with the border, and a smooth edge of it.
void keep_from_border(FloatImage& mask) {
  FloatImage reached = blank();
  std::vector<std::pair<int, int>> open;
  const auto visit = [&](int x, int y) {
    if (x < 0 || y < 0 || x >= kMaskSize || y >= kMaskSize) return;
    if (*reached.at(x, y) > 0 || *mask.at(x, y) < 0.5f) return;
    *reached.at(x, y) = 1;
    open.emplace_back(x, y);
  };
  for (int i = 0; i < kMaskSize; ++i) {
    visit(i, 0);
    visit(i, kMaskSize - 1);
    visit(0, i);
    visit(kMaskSize - 1, i);
  }
  while (!open.empty()) {
    const auto [x, y] = open.back();
    open.pop_back();
    visit(x - 1, y);
    visit(x + 1, y);
    visit(x, y - 1);
    visit(x, y + 1);
  }
  erode(reached, -2);
  for (std::size_t i = 0; i < mask.pixels.size(); ++i)
    mask.pixels[i] = std::min(mask.pixels[i], reached.pixels[i]);
}

// 1 near landmarks, with some on all sides: not in the hollows of a profile, which the
// hull closes.
FloatImage near_landmarks(const std::vector<Point>& landmarks) {
  FloatImage near = filled_hull(chosen(landmarks, kLips), 0);
  for (const Point p : landmarks) {
    const double x = std::round(p.x), y = std::round(p.y);
    if (x >= 0 && y >= 0 && x < kMaskSize && y < kMaskSize)
      *near.at(static_cast<int>(x), static_cast<int>(y)) = 1;
  }
  erode(near, -kReach);
  erode(near, kReach + kEdge);
  return near;
}

Similarity similarity_to_mask(const Face& face) {
  return face.to_canonical.then(canonical_to_crop(kMaskSize));
}

std::vector<Point> landmarks_in_mask(const Face& face) {
  const Similarity to_mask = similarity_to_mask(face);
  std::vector<Point> landmarks;
  for (const Point p : face.landmarks) landmarks.push_back(to_mask(p));
  return landmarks;
}

Image to_bytes(const FloatImage& mask) {
  Image bytes(kMaskSize, kMaskSize, 1);
  for (std::size_t i = 0; i < mask.pixels.size(); ++i)
    bytes.pixels[i] =
        static_cast<std::uint8_t>(std::lround(255 * std::clamp(mask.pixels[i], 0.f, 1.f)));
  return bytes;
}

double sum_of(const FloatImage& mask) {
  double sum = 0;
  for (const float v : mask.pixels) sum += v;
  return sum;
}
}  // namespace

FaceMask face_mask(const Face& face, const Image& crop, int frame_width, int frame_height) {
  FaceMask result;
  if (face.landmarks.empty()) return result;
  if (face.landmarks.size() != Mesh::kPoints || crop.channels != 3 || crop.width < 1 ||
      crop.width != crop.height)
    throw Error(
        ErrorKind::failure,
        fmt::format("face_mask: {} landmarks and a crop of {}x{}x{}, expected {} and a "
                    "square RGB picture",
                    face.landmarks.size(), crop.width, crop.height, crop.channels, Mesh::kPoints));
  // Pictures so small gain nothing from threads, and the caller may measure several
  // faces.
  const simt::SingleThreaded one_thread;
  const Similarity to_mask = similarity_to_mask(face);
  const std::vector<Point> landmarks = landmarks_in_mask(face);

  FloatImage mask = filled_region(landmarks);
  const double whole = sum_of(mask);
  const FloatImage inside = inside_frame(to_mask.inverse(), frame_width, frame_height);
  FloatImage front = unlike_skin(crop, landmarks);
  for (std::size_t i = 0; i < front.pixels.size(); ++i)
    front.pixels[i] = std::max(front.pixels[i], 1 - mask.pixels[i]);
  erode(front, kThinnest);
  erode(front, -kThinnest);
  keep_from_border(front);

  const FloatImage counted = near_landmarks(landmarks);
  double visible = 0, covered = 0, counted_sum = 0;
  for (std::size_t i = 0; i < mask.pixels.size(); ++i) {
    const float seen = std::min(counted.pixels[i], inside.pixels[i]);
    counted_sum += seen;
    covered += std::min(seen, front.pixels[i]);
    visible += std::min(mask.pixels[i], inside.pixels[i]);
    mask.pixels[i] = std::min({mask.pixels[i], inside.pixels[i], 1 - front.pixels[i]});
  }
  result.visible = whole > 0 ? visible / whole : 0;
  result.covered = counted_sum > 0 ? covered / counted_sum : 0;

  FloatImage soft = blank();
  kernels::gaussian_blur<kernels::Host>(kernels::Stream::of(kernels::Device::host),
                                        {mask.pixels.data(), kMaskSize, kMaskSize, 1},
                                        soft.pixels.data(), static_cast<float>(kSoft));
  result.picture = to_bytes(soft);
  return result;
}

Image face_region(const Face& face) {
  return face.landmarks.size() == Mesh::kPoints ? to_bytes(filled_region(landmarks_in_mask(face)))
                                                : Image();
}
}  // namespace faceswap
