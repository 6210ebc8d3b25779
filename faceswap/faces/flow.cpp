// Pyramidal Lucas-Kanade: a (2r+1)^2 window around a point moves as one. With the
// window's grey values I, its gradients g and the other picture J, Gauss-Newton rounds
// minimise sum (I(p) - J(p + d))^2 over the shift d:
//     (sum g g^T) step = sum g (I - J),   d += step
// from the coarsest level of a picture pyramid to the finest; each level starts from
// twice the shift of the one above.
// Work per point: levels x rounds x 441 bilinear samples.
#include "faceswap/faces/flow.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <tuple>

namespace faceswap {
namespace {

constexpr int kRadius = 10;  // of the window
constexpr int kWindow = 2 * kRadius + 1;
constexpr int kLevels = 4;
constexpr int kRounds = 12;

struct Plane {  // one level of a pyramid, as floats
  int width = 0, height = 0;
  std::vector<float> values;      // [height, width]
  float at(int x, int y) const {  // the nearest edge pixel outside
    return values[static_cast<std::size_t>(std::clamp(y, 0, height - 1)) * width +
                  std::clamp(x, 0, width - 1)];
  }
};

// Half the size after a 1-4-6-4-1 blur in each direction. Pixel (x, y) of the result
// lies over pixel (2x, 2y).
Plane half(const Plane& p) {
  Plane rows{(p.width + 1) / 2, p.height, {}}, out{(p.width + 1) / 2, (p.height + 1) / 2, {}};
  rows.values.resize(static_cast<std::size_t>(rows.width) * rows.height);
  out.values.resize(static_cast<std::size_t>(out.width) * out.height);
  for (int y = 0; y < rows.height; ++y)
    for (int x = 0; x < rows.width; ++x)
      rows.values[static_cast<std::size_t>(y) * rows.width + x] =
          (p.at(2 * x - 2, y) + p.at(2 * x + 2, y) + 4 * (p.at(2 * x - 1, y) + p.at(2 * x + 1, y)) +
           6 * p.at(2 * x, y)) /
          16;
  for (int y = 0; y < out.height; ++y)
    for (int x = 0; x < out.width; ++x)
      out.values[static_cast<std::size_t>(y) * out.width + x] =
          (rows.at(x, 2 * y - 2) + rows.at(x, 2 * y + 2) +
           4 * (rows.at(x, 2 * y - 1) + rows.at(x, 2 * y + 1)) + 6 * rows.at(x, 2 * y)) /
          16;
  return out;
}

std::vector<Plane> pyramid(const Image& gray) {
  std::vector<Plane> levels(1);
  levels[0] = {gray.width, gray.height, {gray.pixels.begin(), gray.pixels.end()}};
  while (static_cast<int>(levels.size()) < kLevels &&
         std::min(levels.back().width, levels.back().height) > kWindow)
    levels.push_back(half(levels.back()));
  return levels;
}

// The window round `center` with `margin` more pixels on each side, bilinear. One pair
// of fractions serves the whole window.
void sample_window(const Plane& p, Point center, int margin,
                   float* out) {  // [side, side], side = kWindow + 2 margin
  const int side = kWindow + 2 * margin, reach = kRadius + margin;
  const int x0 = static_cast<int>(std::floor(center.x)),
            y0 = static_cast<int>(std::floor(center.y));
  const float fx = static_cast<float>(center.x - x0), fy = static_cast<float>(center.y - y0);
  const float w00 = (1 - fx) * (1 - fy), w01 = fx * (1 - fy), w10 = (1 - fx) * fy, w11 = fx * fy;
  const int left = x0 - reach, top = y0 - reach;
  if (left >= 0 && top >= 0 && left + side < p.width && top + side < p.height) {
    for (int y = 0; y < side; ++y) {
      const float* upper = &p.values[static_cast<std::size_t>(top + y) * p.width + left];
      const float* lower = upper + p.width;
      for (int x = 0; x < side; ++x)
        out[y * side + x] =
            w00 * upper[x] + w01 * upper[x + 1] + w10 * lower[x] + w11 * lower[x + 1];
    }
  } else {
    for (int y = 0; y < side; ++y)
      for (int x = 0; x < side; ++x)
        out[y * side + x] = w00 * p.at(left + x, top + y) + w01 * p.at(left + x + 1, top + y) +
                            w10 * p.at(left + x, top + y + 1) +
                            w11 * p.at(left + x + 1, top + y + 1);
  }
}

// Refines `there`, the place in `second` of the point `here` of `first`, on one level.
// False: no texture, or outside the picture.
bool refine_point(const Plane& first, const Plane& second, Point here, Point& there) {
  constexpr int kSide = kWindow + 2;
  float around[kSide * kSide], gx[kWindow * kWindow], gy[kWindow * kWindow],
      window[kWindow * kWindow], moved[kWindow * kWindow];
  sample_window(first, here, 1, around);
  double xx = 0, xy = 0, yy = 0;
  for (int y = 0; y < kWindow; ++y) {
    float row_xx = 0, row_xy = 0, row_yy = 0;
    for (int x = 0; x < kWindow; ++x) {
      const float* p = &around[(y + 1) * kSide + x + 1];
      const float dx = 0.5f * (p[1] - p[-1]), dy = 0.5f * (p[kSide] - p[-kSide]);
      const int i = y * kWindow + x;
      gx[i] = dx, gy[i] = dy, window[i] = p[0];
      row_xx += dx * dx, row_xy += dx * dy, row_yy += dy * dy;
    }
    xx += row_xx, xy += row_xy, yy += row_yy;
  }
  const double determinant = xx * yy - xy * xy;
  const double smallest = 0.5 * (xx + yy - std::sqrt((xx - yy) * (xx - yy) + 4 * xy * xy));
  if (smallest / (kWindow * kWindow) < 0.05 || determinant <= 0) return false;
  for (int round = 0; round < kRounds; ++round) {
    if (!(there.x > -kRadius && there.y > -kRadius && there.x < second.width - 1 + kRadius &&
          there.y < second.height - 1 + kRadius))
      return false;
    sample_window(second, there, 0, moved);
    double bx = 0, by = 0;
    for (int y = 0; y < kWindow; ++y) {
      float row_x = 0, row_y = 0;
      for (int i = y * kWindow; i < (y + 1) * kWindow; ++i) {
        const float difference = window[i] - moved[i];
        row_x += gx[i] * difference, row_y += gy[i] * difference;
      }
      bx += row_x, by += row_y;
    }
    const double step_x = (yy * bx - xy * by) / determinant,
                 step_y = (xx * by - xy * bx) / determinant;
    there.x += step_x, there.y += step_y;
    if (step_x * step_x + step_y * step_y < 0.01 * 0.01) break;
  }
  return true;
}

std::optional<Point> follow_point(const std::vector<Plane>& first, const std::vector<Plane>& second,
                                  Point point) {
  Point shift;
  for (int level = static_cast<int>(first.size()) - 1; level >= 0; --level) {
    const double scale = 1.0 / (1 << level);
    const Point here{point.x * scale, point.y * scale};
    Point there{here.x + shift.x, here.y + shift.y};
    const std::size_t l = static_cast<std::size_t>(level);
    if (refine_point(first[l], second[l], here, there)) {
      shift = {there.x - here.x, there.y - here.y};
    } else if (level == 0) {
      return std::nullopt;
    }
    if (level > 0) shift = {2 * shift.x, 2 * shift.y};
  }
  const Point there{point.x + shift.x, point.y + shift.y};
  if (!(there.x >= 0 && there.y >= 0 && there.x <= first[0].width - 1 &&
        there.y <= first[0].height - 1))
    return std::nullopt;
  return there;
}

std::vector<std::optional<Point>> follow_all(const std::vector<Plane>& first,
                                             const std::vector<Plane>& second,
                                             const std::vector<Point>& points) {
  std::vector<std::optional<Point>> found(points.size());
  for (std::size_t i = 0; i < points.size(); ++i) found[i] = follow_point(first, second, points[i]);
  return found;
}

double squared_distance(Point a, Point b) {
  return (a.x - b.x) * (a.x - b.x) + (a.y - b.y) * (a.y - b.y);
}
}  // namespace

std::vector<Point> find_corners(const Image& gray, const Ellipse& where, int most) {
  constexpr double kQuality = 0.005;  // least strength, share of the strongest corner's
  constexpr double kDistance = 4;     // least distance of two corners, pixels
  const int w = gray.width, h = gray.height;
  // [h, w], the smaller eigenvalue of sum g g^T.
  std::vector<float> strength(static_cast<std::size_t>(w) * h, 0.0f);
  const auto inside = [&where](int x, int y) {
    const double dx = (x - where.center.x) / where.radius_x,
                 dy = (y - where.center.y) / where.radius_y;
    return dx * dx + dy * dy <= 1;
  };
  float strongest = 0;
  for (int y = 2; y + 2 < h; ++y)
    for (int x = 2; x + 2 < w; ++x) {
      if (!inside(x, y)) continue;
      float xx = 0, xy = 0, yy = 0;
      for (int j = -1; j <= 1; ++j)
        for (int i = -1; i <= 1; ++i) {
          const std::uint8_t* p = gray.at(x + i, y + j);
          const float dx = 0.5f * static_cast<float>(p[1] - p[-1]),
                      dy = 0.5f * static_cast<float>(p[w] - p[-w]);
          xx += dx * dx, xy += dx * dy, yy += dy * dy;
        }
      const float value = 0.5f * (xx + yy - std::sqrt((xx - yy) * (xx - yy) + 4 * xy * xy));
      strength[static_cast<std::size_t>(y) * w + x] = value;
      strongest = std::max(strongest, value);
    }
  struct Corner {
    float strength;
    int x, y;
  };
  std::vector<Corner> peaks;
  for (int y = 2; y + 2 < h; ++y)
    for (int x = 2; x + 2 < w; ++x) {
      const float* p = &strength[static_cast<std::size_t>(y) * w + x];
      if (*p <= 0 || *p < kQuality * strongest) continue;
      if (*p >= p[-1] && *p >= p[1] && *p >= p[-w] && *p >= p[w]) peaks.push_back({*p, x, y});
    }
  std::sort(peaks.begin(), peaks.end(), [](const Corner& a, const Corner& b) {
    return std::tie(b.strength, a.y, a.x) < std::tie(a.strength, b.y, b.x);
  });
  std::vector<Point> corners;
  for (const Corner& peak : peaks) {
    if (static_cast<int>(corners.size()) >= most) break;
    const Point p{static_cast<double>(peak.x), static_cast<double>(peak.y)};
    if (std::none_of(corners.begin(), corners.end(),
                     [p](Point q) { return squared_distance(p, q) < kDistance * kDistance; }))
      corners.push_back(p);
  }
  return corners;
}

std::vector<std::optional<Point>> follow_points(const Image& first, const Image& second,
                                                const std::vector<Point>& points) {
  return follow_all(pyramid(first), pyramid(second), points);
}

std::optional<Similarity> robust_similarity(const std::vector<Point>& from,
                                            const std::vector<Point>& to) {
  constexpr double kTolerance = 1.2 * 1.2, kShare = 0.35;
  constexpr std::size_t kLeast = 8;
  constexpr int kTrials = 120;
  const std::size_t n = from.size();
  if (n < kLeast || to.size() != n) return std::nullopt;
  const auto agreeing = [&](const Similarity& s) {
    std::vector<std::size_t> inliers;
    for (std::size_t i = 0; i < n; ++i)
      if (squared_distance(s(from[i]), to[i]) < kTolerance) inliers.push_back(i);
    return inliers;
  };
  std::uint64_t random = 0x9e3779b97f4a7c15ull;  // fixed, for reproducible motion
  const auto draw = [&random](std::size_t below) {
    random = random * 6364136223846793005ull + 1442695040888963407ull;
    return static_cast<std::size_t>((random >> 33) % below);
  };
  std::vector<std::size_t> best;
  for (int trial = 0; trial < kTrials; ++trial) {
    const std::size_t i = draw(n), j = draw(n);
    if (squared_distance(from[i], from[j]) < 100) continue;  // too close to fit angle and scale
    std::vector<std::size_t> inliers = agreeing(fit_similarity({from[i], from[j]}, {to[i], to[j]}));
    if (inliers.size() > best.size()) best = std::move(inliers);
  }
  Similarity motion;
  for (int round = 0; round < 3; ++round) {  // fit to the inliers, find them again
    if (best.size() < kLeast || static_cast<double>(best.size()) < kShare * static_cast<double>(n))
      return std::nullopt;
    std::vector<Point> a, b;
    for (const std::size_t i : best) a.push_back(from[i]), b.push_back(to[i]);
    motion = fit_similarity(a, b);
    best = agreeing(motion);
  }
  if (!(motion.scale() > 0.5 && motion.scale() < 2.0)) return std::nullopt;
  return motion;
}

std::optional<Similarity> estimate_motion(const Image& first, const Image& second,
                                          const Ellipse& where) {
  const std::vector<Plane> a = pyramid(first), b = pyramid(second);
  const std::vector<Point> corners = find_corners(first, where, 80);
  const std::vector<std::optional<Point>> there = follow_all(a, b, corners);
  std::vector<Point> from, to;
  for (std::size_t i = 0; i < corners.size(); ++i) {
    if (!there[i]) continue;
    const std::optional<Point> back = follow_point(b, a, *there[i]);
    if (back && squared_distance(*back, corners[i]) < 1)
      from.push_back(corners[i]), to.push_back(*there[i]);
  }
  return robust_similarity(from, to);
}
}  // namespace faceswap
