// Similarities, the aligned crop and the egg-shaped face region. No detection here: see opencv_cascade.cpp and tracker.cpp.
#include "faceswap/faces/face.h"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>

namespace faceswap {

Similarity Similarity::inverse() const {
  const double length2 = a * a + b * b;
  if (!(length2 > 0)) throw Error(ErrorKind::failure, "similarity: scale 0 has no inverse");
  const double ia = a / length2, ib = -b / length2;
  return {ia, ib, -(ia * tx - ib * ty), -(ib * tx + ia * ty)};
}

Similarity Similarity::then(const Similarity& next) const {
  const Point shifted = next({tx, ty});
  return {next.a * a - next.b * b, next.a * b + next.b * a, shifted.x, shifted.y};
}

double Similarity::scale() const { return std::hypot(a, b); }
double Similarity::angle() const { return std::atan2(b, a); }

kernels::Affine Similarity::affine() const {
  const auto f = [](double v) { return static_cast<float>(v); };
  return {f(a), f(-b), f(tx), f(b), f(a), f(ty)};
}

Similarity similarity_from_eyes(Point left, Point right) {
  return fit_similarity({left, right}, {kCanonicalEyes[0], kCanonicalEyes[1]});
}

Similarity canonical_to_crop(int size) {
  // Pixel centres lie at whole coordinates, so a pixel's area starts half a pixel earlier: scale areas, not centres.
  const double s = size / kCanonicalSize;
  return {s, 0, 0.5 * s - 0.5, 0.5 * s - 0.5};
}

// S. Umeyama, Least-squares estimation of transformation parameters between two point patterns, PAMI 1991. In the plane the
// similarity is one complex factor, z' = alpha z + t, and the least-squares alpha has a closed form without an SVD.
// Mirrored fits cannot come out: a complex factor only turns and scales.
Similarity fit_similarity(const std::vector<Point>& from, const std::vector<Point>& to) {
  if (from.size() != to.size() || from.size() < 2)
    throw Error(
        ErrorKind::failure,
        fmt::format("fit_similarity: expects two lists of at least 2 points each, got {} and {}",
                    from.size(), to.size()));
  const double n = static_cast<double>(from.size());
  Point mean_from, mean_to;
  for (std::size_t i = 0; i < from.size(); ++i) {
    mean_from.x += from[i].x / n, mean_from.y += from[i].y / n;
    mean_to.x += to[i].x / n, mean_to.y += to[i].y / n;
  }
  double spread = 0, re = 0, im = 0;  // sum |p|^2, and sum conj(p) q
  for (std::size_t i = 0; i < from.size(); ++i) {
    const double px = from[i].x - mean_from.x, py = from[i].y - mean_from.y;
    const double qx = to[i].x - mean_to.x, qy = to[i].y - mean_to.y;
    spread += px * px + py * py;
    re += px * qx + py * qy;
    im += px * qy - py * qx;
  }
  if (!(spread > 0)) throw Error(ErrorKind::failure, "fit_similarity: all points lie on one spot");
  const double a = re / spread, b = im / spread;
  return {a, b, mean_to.x - a * mean_from.x + b * mean_from.y,
          mean_to.y - b * mean_from.x - a * mean_from.y};
}

Image crop_face(const Image& frame, const Similarity& to_canonical, int size) {
  if (frame.empty() || frame.width < 1 || frame.height < 1)
    throw Error(ErrorKind::failure, "crop_face: the frame is empty");
  if (size < 1)
    throw Error(ErrorKind::failure,
                fmt::format("crop_face: size must be at least 1, got {}", size));
  const Similarity crop_to_frame = to_canonical.then(canonical_to_crop(size)).inverse();
  const int supersample =
      std::clamp(static_cast<int>(std::ceil(crop_to_frame.scale() - 0.1)), 1, 8);
  std::vector<float> values(static_cast<std::size_t>(size) * size *
                            frame.channels);  // [size, size, channels]
  kernels::affine_warp<kernels::Host, std::uint8_t>(
      kernels::Stream::of(kernels::Device::host),
      {frame.pixels.data(), frame.height, frame.width, frame.channels},
      {values.data(), size, size, frame.channels}, crop_to_frame.affine(), supersample);
  Image crop(size, size, frame.channels);
  for (std::size_t i = 0; i < values.size(); ++i)
    crop.pixels[i] =
        static_cast<std::uint8_t>(std::lround(std::clamp(values[i], 0.0f, 1.0f) * 255.0f));
  return crop;
}

FloatImage egg_mask(int size, double growth) {
  constexpr double kCenter = 128, kRadiusX = 74, kRadiusUp = 62, kRadiusDown = 92,
                   kNarrowing = 0.22;
  // level 1 is the outline; level < 1 inside. The lower half loses width towards the chin.
  const auto level = [growth](double x, double y) {
    const double v = (y - kCenter) / (growth * (y < kCenter ? kRadiusUp : kRadiusDown));
    const double narrow = v > 0 ? 1 - kNarrowing * std::min(v, 1.5) * std::min(v, 1.5) : 1;
    return std::hypot((x - kCenter) / (growth * kRadiusX * narrow), v);
  };
  FloatImage mask(size, size, 1);
  const Similarity to_canonical = canonical_to_crop(size).inverse();
  const double pixel = to_canonical.scale();  // one crop pixel in canonical units
  for (int y = 0; y < size; ++y)
    for (int x = 0; x < size; ++x) {
      const Point p = to_canonical({static_cast<double>(x), static_cast<double>(y)});
      const double here = level(p.x, p.y), h = 0.5 * pixel;
      const double slope =
          std::hypot(level(p.x + h, p.y) - level(p.x - h, p.y),
                     level(p.x, p.y + h) - level(p.x, p.y - h));  // change per pixel
      *mask.at(x, y) =
          static_cast<float>(std::clamp(0.5 + (1 - here) / std::max(slope, 1e-9), 0.0, 1.0));
    }
  return mask;
}

}  // namespace faceswap
