// fit_placement() recovers known placements, and is finite for what has none.
#include "faceswap/faces/rigid_fit.h"

#include <gtest/gtest.h>

#include <cmath>
#include <random>
#include <vector>

namespace {

using namespace faceswap;

std::mt19937 random_numbers(7);

double uniform(double from, double to) {
  return std::uniform_real_distribution(from, to)(random_numbers);
}

std::vector<Point3> random_points(int count) {
  std::vector<Point3> points;
  for (int i = 0; i < count; ++i)
    points.push_back({uniform(-50, 50), uniform(-50, 50), uniform(-50, 50)});
  return points;
}

// Rotations about z, y and x, one after the other.
Placement random_placement() {
  Placement p;
  p.scale = std::exp(uniform(-3, 3));
  p.shift = {uniform(-500, 500), uniform(-500, 500), uniform(-500, 500)};
  const double a = uniform(-M_PI, M_PI), b = uniform(-M_PI, M_PI), c = uniform(-M_PI, M_PI);
  const double ca = std::cos(a), sa = std::sin(a), cb = std::cos(b), sb = std::sin(b),
               cc = std::cos(c), sc = std::sin(c);
  const double rotation[3][3] = {{ca * cb, ca * sb * sc - sa * cc, ca * sb * cc + sa * sc},
                                 {sa * cb, sa * sb * sc + ca * cc, sa * sb * cc - ca * sc},
                                 {-sb, cb * sc, cb * cc}};
  for (int i = 0; i < 3; ++i)
    for (int j = 0; j < 3; ++j) p.rotation[i][j] = rotation[i][j];
  return p;
}

std::vector<Point3> placed(const Placement& placement, const std::vector<Point3>& points) {
  std::vector<Point3> result;
  for (const Point3& p : points) result.push_back(placement(p));
  return result;
}

double away(Point3 a, Point3 b) { return std::hypot(a.x - b.x, a.y - b.y, a.z - b.z); }

double determinant(const double (&r)[3][3]) {
  return r[0][0] * (r[1][1] * r[2][2] - r[1][2] * r[2][1]) -
         r[0][1] * (r[1][0] * r[2][2] - r[1][2] * r[2][0]) +
         r[0][2] * (r[1][0] * r[2][1] - r[1][1] * r[2][0]);
}

void expect_rotation(const Placement& p) {
  EXPECT_TRUE(std::isfinite(p.scale + p.shift.x + p.shift.y + p.shift.z));
  EXPECT_GT(p.scale, 0);
  for (int i = 0; i < 3; ++i)
    for (int j = 0; j < 3; ++j) {
      double dot = 0;
      for (int k = 0; k < 3; ++k) dot += p.rotation[i][k] * p.rotation[j][k];
      EXPECT_NEAR(dot, i == j, 1e-9);
    }
  EXPECT_NEAR(determinant(p.rotation), 1, 1e-9);
}

TEST(RigidFit, RecoversRandomPlacements) {
  for (const int count : {3, 4, 20, 468})
    for (int i = 0; i < 200; ++i) {
      const Placement truth = random_placement();
      const std::vector<Point3> from = random_points(count), to = placed(truth, from);
      const Placement found = fit_placement(from, to);
      EXPECT_NEAR(found.scale / truth.scale, 1, 1e-9);
      for (const Point3& p : random_points(3)) {  // also elsewhere
        EXPECT_LT(away(found(p), truth(p)), 1e-9 * (1000 + 100 * truth.scale)) << count;
        EXPECT_LT(away(found.inverse(found(p)), p), 1e-9 * (100 + 1000 / truth.scale));
      }
    }
}

// Half a turn about each axis: three of the quaternion's four numbers vanish.
TEST(RigidFit, HalfTurnsAndNoTurn) {
  const std::vector<Point3> from = random_points(10);
  for (const auto& signs : {Point3{1, 1, 1}, {1, -1, -1}, {-1, 1, -1}, {-1, -1, 1}}) {
    std::vector<Point3> to;
    for (const Point3& p : from) to.push_back({signs.x * p.x, signs.y * p.y, signs.z * p.z});
    const Placement found = fit_placement(from, to);
    for (std::size_t i = 0; i < from.size(); ++i) EXPECT_LT(away(found(from[i]), to[i]), 1e-7);
  }
}

TEST(RigidFit, IsTheLeastSquares) {
  const Placement truth = random_placement();
  const std::vector<Point3> from = random_points(30);
  std::vector<Point3> to = placed(truth, from);
  for (Point3& p : to)
    p = {p.x + truth.scale * uniform(-5, 5), p.y + truth.scale * uniform(-5, 5),
         p.z + truth.scale * uniform(-5, 5)};
  const auto error = [&](const Placement& p) {
    double sum = 0;
    for (std::size_t i = 0; i < from.size(); ++i) sum += std::pow(away(p(from[i]), to[i]), 2);
    return sum;
  };
  const Placement found = fit_placement(from, to);
  EXPECT_LT(error(found), error(truth));
  for (int axis = 0; axis < 3; ++axis)
    for (const double step : {-1e-3, 1e-3}) {
      // A small turn about the axis through the middle, and a shift along it.
      Placement turned = found, shifted = found;
      const int i = (axis + 1) % 3, j = (axis + 2) % 3;
      for (int k = 0; k < 3; ++k) {
        turned.rotation[i][k] += step * found.rotation[j][k];
        turned.rotation[j][k] -= step * found.rotation[i][k];
      }
      EXPECT_GT(error(turned), error(found)) << axis;
      (axis == 0   ? shifted.shift.x
       : axis == 1 ? shifted.shift.y
                   : shifted.shift.z) += step * truth.scale;
      EXPECT_GT(error(shifted), error(found)) << axis;
    }
}

TEST(RigidFit, MirroredAndFlatSetsAreFinite) {
  const std::vector<Point3> from = random_points(12);
  std::vector<Point3> mirrored, flat, line, same;
  for (const Point3& p : from) {
    mirrored.push_back({-p.x, p.y, p.z});
    flat.push_back({p.x, p.y, 0});
    line.push_back({p.x, 2 * p.x, -p.x});
    same.push_back({3, 4, 5});
  }
  for (const auto& a : {from, mirrored, flat, line, same})
    for (const auto& b : {from, mirrored, flat, line, same}) expect_rotation(fit_placement(a, b));
  // Flat, but not on a line: the rotation is known.
  const Placement truth = random_placement(), found = fit_placement(flat, placed(truth, flat));
  for (const Point3& p : from)
    EXPECT_LT(away(found(p), truth(p)), 1e-9 * (1000 + 100 * truth.scale));
}
}  // namespace
