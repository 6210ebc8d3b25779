#include "faceswap/faces/similarity.h"

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

kernels::Affine PixelScale::to_oblong(const Similarity& s) const {
  const auto f = [](double v) { return static_cast<float>(v); };
  const Point shift = oblong({s.tx, s.ty});
  return {f(s.a * x), f(-s.b * x), f(shift.x), f(s.b * y), f(s.a * y), f(shift.y)};
}

kernels::Affine PixelScale::from_oblong(Point origin, const Similarity& s) const {
  const auto f = [](double v) { return static_cast<float>(v); };
  const Point shift = s(square(origin));
  return {f(s.a / x), f(-s.b / y), f(shift.x), f(s.b / x), f(s.a / y), f(shift.y)};
}

Similarity rotation_about(Point center, double angle, double scale) {
  const double a = scale * std::cos(angle), b = scale * std::sin(angle);
  return {a, b, center.x - a * center.x + b * center.y, center.y - b * center.x - a * center.y};
}

Similarity pixel_scaling(double scale) { return {scale, 0, 0.5 * scale - 0.5, 0.5 * scale - 0.5}; }

// S. Umeyama, Least-squares estimation of transformation parameters between two point
// patterns, PAMI 1991. In the plane the similarity is z' = alpha z + t with complex
// alpha, whose least-squares value has a closed form without an SVD or mirrored fits.
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
  if (!(spread > 0))
    throw Error(ErrorKind::failure,
                fmt::format("fit_similarity: all {} points are equal, expected at least two "
                            "different ones",
                            from.size()));
  const double a = re / spread, b = im / spread;
  return {a, b, mean_to.x - a * mean_from.x + b * mean_from.y,
          mean_to.y - b * mean_from.x - a * mean_from.y};
}
}  // namespace faceswap
