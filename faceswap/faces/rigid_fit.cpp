#include "faceswap/faces/rigid_fit.h"

#include <algorithm>
#include <cmath>

namespace faceswap {
namespace {

struct Matrix4 {
  double v[4][4];
};

// Of the greatest eigenvalue. Each squaring squares the ratio of the eigenvalues, so that
// only this one's vector is left in every column.
void dominant_eigenvector(Matrix4 m, double (&vector)[4]) {
  double shift = 0;  // makes every eigenvalue positive
  for (const auto& row : m.v)
    for (const double value : row) shift += std::abs(value);
  for (int i = 0; i < 4; ++i) m.v[i][i] += shift + 1e-30;
  for (int pass = 0; pass < 40; ++pass) {
    Matrix4 square{};
    double largest = 0;
    for (int i = 0; i < 4; ++i)
      for (int j = 0; j < 4; ++j) {
        for (int k = 0; k < 4; ++k) square.v[i][j] += m.v[i][k] * m.v[k][j];
        largest = std::max(largest, std::abs(square.v[i][j]));
      }
    for (int i = 0; i < 4; ++i)
      for (int j = 0; j < 4; ++j) m.v[i][j] = square.v[i][j] / largest;
  }
  int column = 0;
  for (int j = 1; j < 4; ++j)
    if (m.v[j][j] > m.v[column][column]) column = j;
  double length = 0;
  for (int i = 0; i < 4; ++i) length = std::hypot(length, m.v[i][column]);
  for (int i = 0; i < 4; ++i) vector[i] = m.v[i][column] / length;
}

Point3 middle_of(std::span<const Point3> points) {
  Point3 sum;
  for (const Point3& p : points) sum = {sum.x + p.x, sum.y + p.y, sum.z + p.z};
  const auto n = static_cast<double>(points.size());
  return {sum.x / n, sum.y / n, sum.z / n};
}
}  // namespace

Point3 Placement::operator()(Point3 p) const {
  const auto row = [&](int i) {
    return scale * (rotation[i][0] * p.x + rotation[i][1] * p.y + rotation[i][2] * p.z);
  };
  return {row(0) + shift.x, row(1) + shift.y, row(2) + shift.z};
}

Point3 Placement::inverse(Point3 p) const {
  const double x = p.x - shift.x, y = p.y - shift.y, z = p.z - shift.z;
  const auto column = [&](int i) {
    return (rotation[0][i] * x + rotation[1][i] * y + rotation[2][i] * z) / scale;
  };
  return {column(0), column(1), column(2)};
}

Placement fit_placement(std::span<const Point3> from, std::span<const Point3> to) {
  const Point3 from_middle = middle_of(from), to_middle = middle_of(to);
  double s[3][3]{}, spread = 0;  // s: the sum of from x to, about their middles
  for (std::size_t i = 0; i < from.size(); ++i) {
    const double f[3] = {from[i].x - from_middle.x, from[i].y - from_middle.y,
                         from[i].z - from_middle.z},
                 t[3] = {to[i].x - to_middle.x, to[i].y - to_middle.y, to[i].z - to_middle.z};
    for (int a = 0; a < 3; ++a) {
      spread += f[a] * f[a];
      for (int b = 0; b < 3; ++b) s[a][b] += f[a] * t[b];
    }
  }
  const double yz = s[1][2] - s[2][1], zx = s[2][0] - s[0][2], xy = s[0][1] - s[1][0];
  const double x_y = s[0][1] + s[1][0], z_x = s[2][0] + s[0][2], y_z = s[1][2] + s[2][1];
  double q[4];  // the unit quaternion w, x, y, z
  dominant_eigenvector({{{s[0][0] + s[1][1] + s[2][2], yz, zx, xy},
                         {yz, s[0][0] - s[1][1] - s[2][2], x_y, z_x},
                         {zx, x_y, s[1][1] - s[0][0] - s[2][2], y_z},
                         {xy, z_x, y_z, s[2][2] - s[0][0] - s[1][1]}}},
                       q);
  const auto [w, x, y, z] = q;
  Placement placement{
      .scale = 1,
      .rotation = {{1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)},
                   {2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)},
                   {2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)}},
      .shift = {}};
  double along = 0;  // the sum of to . (rotation from)
  for (int a = 0; a < 3; ++a)
    for (int b = 0; b < 3; ++b) along += placement.rotation[b][a] * s[a][b];
  placement.scale = spread > 0 && along > 0 ? along / spread : 1;
  const Point3 moved = placement(from_middle);
  placement.shift = {to_middle.x - moved.x, to_middle.y - moved.y, to_middle.z - moved.z};
  return placement;
}
}  // namespace faceswap
