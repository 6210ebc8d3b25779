// The pose: a turn about the camera's axis changes the roll alone; on rendered heads of
// known pose it is right within stated degrees.
#include "faceswap/faces/face_pose.h"

#include <gtest/gtest.h>

#include <cmath>

#include "faceswap/faces/network_files.h"
#include "faceswap/synthetic/head.h"

namespace {

using namespace faceswap;

constexpr double kDegree = M_PI / 180;

TEST(FacePose, OfAMeshWithoutShape) {
  const FacePose pose = pose_of(Mesh{});
  EXPECT_TRUE(std::isfinite(pose.yaw) && std::isfinite(pose.pitch) && std::isfinite(pose.roll));
}

// Turns a mesh about the picture's axes: yaw, then pitch, then roll.
Mesh turned(const Mesh& mesh, double yaw, double pitch, double roll) {
  Mesh out = mesh;
  for (int i = 0; i < Mesh::kPoints; ++i) {
    double x = mesh.points[i].x, y = mesh.points[i].y, z = mesh.depth[i];
    const auto rotate = [](double& a, double& b, double degrees) {
      const double c = std::cos(degrees * kDegree), s = std::sin(degrees * kDegree);
      const double before = a;
      a = c * before - s * b;
      b = s * before + c * b;
    };
    rotate(x, z, yaw);     // the nose, at negative z, goes to positive x
    rotate(z, y, -pitch);  // and to negative y
    rotate(x, y, roll);
    out.points[i] = {300 + 2.5 * x, 200 + 2.5 * y};
    out.depth[i] = 2.5 * z;
  }
  return out;
}

// A head with a nose towards the camera and its points on all sides of the middle.
Mesh some_mesh() {
  Mesh mesh;
  for (int i = 0; i < Mesh::kPoints; ++i) {
    const double longitude = std::remainder(2.4 * i, M_PI), height = (i % 17 - 8) / 9.0;
    mesh.points[i] = {60 * std::sin(longitude), 70 * height};
    mesh.depth[i] = -60 * std::cos(longitude) + 20 * height * height;
  }
  return mesh;
}

// Whatever the shape, a further turn about the camera's axis is a turn of the roll
// alone.
TEST(FacePose, RollTurnsAlone) {
  const Mesh mesh = some_mesh();
  const FacePose before = pose_of(turned(mesh, 0, 0, 0));
  for (const double roll : {10.0, -75.0, 170.0}) {
    const FacePose after = pose_of(turned(mesh, 0, 0, roll));
    EXPECT_NEAR(std::remainder(after.roll - before.roll - roll, 360), 0, 1e-6);
    EXPECT_NEAR(after.yaw, before.yaw, 1e-6);
    EXPECT_NEAR(after.pitch, before.pitch, 1e-6);
  }
}

struct Errors {
  double sum = 0, most = 0;
  int count = 0;
  void add(double error) {
    sum += std::abs(error);
    most = std::max(most, std::abs(error));
    ++count;
  }
  double mean() const { return sum / count; }
};

TEST(FacePose, OfRenderedHeads) {
  const auto path = find_network("face_landmark.safetensors");
  if (path.empty())
    GTEST_SKIP() << "face_landmark is not in " << network_folder()
                 << ": run tools/install_deps.sh faces";
  const MeshFinder finder(path);
  struct Bounds {
    double turn, yaw, pitch, roll;  // degrees; of the mean errors
  };
  for (const Bounds bounds : {Bounds{0, 2, 2, 1.5}, Bounds{15, 2.5, 2, 1.5}, Bounds{30, 4, 2, 2.5},
                              Bounds{45, 4, 7, 5}}) {
    Errors yaw_errors, pitch_errors, roll_errors;
    for (const char person : {'a', 'b'})
      for (const double side : {-1.0, 1.0})
        for (const double pitch : {-20.0, 0.0, 20.0}) {
          const double yaw = side * bounds.turn, roll = 15 * side;
          HeadPose pose;  // the renderer's pitch and roll count the other way
          pose.yaw = static_cast<float>(yaw * kDegree);
          pose.pitch = static_cast<float>(-pitch * kDegree);
          pose.roll = static_cast<float>(-roll * kDegree);
          pose.scale = 0.3f;
          const HeadPicture head = draw_head(head_identity(person), pose, 360, 360, 0, 1);
          Detection face;
          face.center = {180, 188};
          face.side = 172;
          face.eyes[0] = head.landmarks[0];
          face.eyes[1] = head.landmarks[1];
          const auto mesh = finder.find(head.rgb, face);
          ASSERT_TRUE(mesh) << person << " yaw " << yaw << " pitch " << pitch;
          const FacePose found = pose_of(*mesh);
          yaw_errors.add(found.yaw - yaw);
          pitch_errors.add(found.pitch - pitch);
          roll_errors.add(found.roll - roll);
        }
    EXPECT_LT(yaw_errors.mean(), bounds.yaw) << "at " << bounds.turn;
    EXPECT_LT(pitch_errors.mean(), bounds.pitch) << "at " << bounds.turn;
    EXPECT_LT(roll_errors.mean(), bounds.roll) << "at " << bounds.turn;
    EXPECT_LT(yaw_errors.most, 3 * bounds.yaw) << "at " << bounds.turn;
  }
}
}  // namespace
