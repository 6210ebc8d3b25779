#include "faceswap/faces/face_pose.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "faceswap/faces/rigid_fit.h"

namespace faceswap {
namespace {

// A point of the template and its mirror image with -x (the same one on the middle line).
struct TemplatePair {
  int left, right;
  Point3 right_place;  // x right, y down, z away; the outer eye corners lie 100 apart
};

// The network's own points on faces that look at the camera: the mean of two rendered heads
// turned back by their exact pose, which also gives the zero of pitch, and of four clips.
// The two differ by 2 % of the points' spread.
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
    const Point3 right = pair.right_place;
    f(pair.right, right);
    if (pair.left != pair.right) f(pair.left, Point3{-right.x, right.y, right.z});
  }
}

double degrees(double radians) { return radians * 180 / M_PI; }
}  // namespace

FacePose pose_of(const Mesh& mesh) {
  std::vector<Point3> from, to;
  for_each_point([&](int i, Point3 place) {
    from.push_back(place);
    to.push_back(mesh.point(i));
  });
  const auto& m = fit_placement(from, to).rotation;
  return {.yaw = degrees(std::atan2(m[2][0], m[2][2])),
          .pitch = degrees(-std::asin(std::clamp(m[2][1], -1.0, 1.0))),
          .roll = degrees(std::atan2(-m[0][1], m[1][1]))};
}
}  // namespace faceswap
