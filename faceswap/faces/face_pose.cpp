#include "faceswap/faces/face_pose.h"

#include <algorithm>
#include <cmath>

namespace faceswap {
namespace {

struct Vector {
  double x, y, z;
};

// A point of the template and its mirror image with -x (the same one on the middle
// line).
struct TemplatePair {
  int left, right;
  Vector right_place;  // x right, y down, z away; the outer eye corners lie 100 apart
};

// The network's own points on faces that look at the camera: the mean of two rendered
// heads turned back by their exact pose, which also gives the zero of pitch, and of
// four clips. The two differ by 2 % of the points' spread.
constexpr TemplatePair kTemplate[] = {
    {33, 263, {50.0, -3.0, 2.3}},     // eye corners, outer and inner
    {133, 362, {19.4, -1.1, -4.3}},   //
    {127, 356, {76.6, -0.7, 56.6}},   // temples
    {234, 454, {75.5, 14.2, 61.8}},   //
    {162, 389, {76.0, -16.4, 45.3}},  //
    {21, 251, {72.6, -29.0, 31.4}},   //
    {54, 284, {65.8, -40.7, 17.9}},   // forehead
    {103, 332, {55.0, -49.9, 3.8}},   //
    {67, 297, {38.6, -55.8, -8.6}},   //
    {117, 346, {57.7, 15.1, 3.2}},    // cheekbones
    {50, 280, {53.2, 32.0, -3.1}},    //
    {205, 425, {43.4, 41.2, -8.8}},   //
    {98, 327, {18.5, 44.6, -18.2}},   // wings of the nose
    {48, 278, {20.7, 37.8, -26.7}},   //
    {10, 10, {0, -58.9, -17.8}},      // middle line, from the hair to below the nose
    {151, 151, {0, -42.1, -21.5}},    //
    {9, 9, {0, -25.4, -23.7}},        //
    {168, 168, {0, -7.3, -21.9}},     //
    {6, 6, {0, 1.9, -26.7}},          //
    {197, 197, {0, 9.8, -32.1}},      //
    {5, 5, {0, 24.5, -43.8}},         //
    {4, 4, {0, 33.6, -46.5}},         //
    {1, 1, {0, 40.4, -44.1}},         //
    {2, 2, {0, 47.1, -27.0}}};

template <class F> void for_each_point(const F& f) {
  for (const TemplatePair& pair : kTemplate) {
    const Vector right = pair.right_place;
    f(pair.right, right);
    if (pair.left != pair.right) f(pair.left, Vector{-right.x, right.y, right.z});
  }
}

struct Matrix4 {
  double v[4][4];
};

// Of the greatest eigenvalue. Each squaring squares the ratio of the eigenvalues, so
// that only this one's vector is left in every column.
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

double degrees(double radians) { return radians * 180 / M_PI; }
}  // namespace

FacePose pose_of(const Mesh& mesh) {
  Vector middle_template{}, middle{};
  double count = 0;
  for_each_point([&](int i, Vector t) {
    middle_template.y += t.y, middle_template.z += t.z;
    middle.x += mesh.points[i].x, middle.y += mesh.points[i].y, middle.z += mesh.depth[i];
    ++count;
  });
  double s[3][3]{};  // sum of template x mesh, about their middles
  for_each_point([&](int i, Vector t) {
    const double from[3] = {t.x, t.y - middle_template.y / count, t.z - middle_template.z / count};
    const double to[3] = {mesh.points[i].x - middle.x / count, mesh.points[i].y - middle.y / count,
                          mesh.depth[i] - middle.z / count};
    for (int a = 0; a < 3; ++a)
      for (int b = 0; b < 3; ++b) s[a][b] += from[a] * to[b];
  });
  const double yz = s[1][2] - s[2][1], zx = s[2][0] - s[0][2], xy = s[0][1] - s[1][0];
  const double x_y = s[0][1] + s[1][0], z_x = s[2][0] + s[0][2], y_z = s[1][2] + s[2][1];
  double q[4];  // the unit quaternion w, x, y, z
  dominant_eigenvector({{{s[0][0] + s[1][1] + s[2][2], yz, zx, xy},
                         {yz, s[0][0] - s[1][1] - s[2][2], x_y, z_x},
                         {zx, x_y, s[1][1] - s[0][0] - s[2][2], y_z},
                         {xy, z_x, y_z, s[2][2] - s[0][0] - s[1][1]}}},
                       q);
  const auto [w, x, y, z] = q;
  const double m01 = 2 * (x * y - w * z), m11 = 1 - 2 * (x * x + z * z);  // of the rotation
  const double m20 = 2 * (x * z - w * y), m21 = 2 * (y * z + w * x), m22 = 1 - 2 * (x * x + y * y);
  return {.yaw = degrees(std::atan2(m20, m22)),
          .pitch = degrees(-std::asin(std::clamp(m21, -1.0, 1.0))),
          .roll = degrees(std::atan2(-m01, m11))};
}
}  // namespace faceswap
