// The mesh: its geometry with a network that gives the same points whatever it sees, and,
// where it is installed, the real one on rendered heads with known eyes.
#include "faceswap/faces/mesh.h"

#include <fmt/format.h>

#include <cmath>
#include <memory>

#include "faceswap/faces/mesh_detector.h"
#include "faceswap/faces/network_files.h"
#include "faceswap/faces/steady_eyes.h"
#include "faceswap/synthetic/head.h"
#include "tests/faceswap/faces/layer_list_file.h"
#include "tests/faceswap/kind_of.h"
#include "tests/faceswap/scratch.h"

namespace {

using namespace faceswap;

constexpr int kSide = 6;  // pixels of the stand-in's picture

// The places that the stand-in gives: on a circle round the middle, the outer eye corners
// level, `reach` its diameter as a share of the picture.
std::vector<float> places(double reach) {
  std::vector<float> v;
  for (int i = 0; i < Mesh::kPoints; ++i) {
    double angle = 2 * M_PI * i / 4;  // four points touch the square round the circle
    if (i == 33) angle = M_PI;
    if (i == 263) angle = 0;
    v.push_back(static_cast<float>(kSide * (0.5 + 0.5 * reach * std::cos(angle))));
    v.push_back(static_cast<float>(kSide * (0.5 + 0.5 * reach * std::sin(angle))));
    v.push_back(static_cast<float>(i) / Mesh::kPoints);
  }
  return v;
}

// Presence: brightness - 1/2, times 20, of the mean over the picture.
NetworkText stand_in(double reach) {
  constexpr int kInput = kSide * kSide * 3;
  NetworkText network;
  network.layers = nlohmann::json::parse(fmt::format(
      R"({{"input": [{0}, {0}, 3], "layers": [
      {{"op": "conv2d", "in": [0], "weight": "w1", "bias": "b1", "stride": {0}}},
      {{"op": "conv2d", "in": [0], "weight": "w2", "bias": "b2", "stride": {0}}}],
      "outputs": [{{"name": "points", "parts": [1]}}, {{"name": "presence", "parts": [2]}}]}})",
      kSide));
  constexpr int kNumbers = 3 * Mesh::kPoints;
  network.tensors = {
      {"w1", {{kNumbers, kSide, kSide, 3}, std::vector<float>(kNumbers * kInput)}},
      {"b1", {{kNumbers}, places(reach)}},
      {"w2", {{1, kSide, kSide, 3}, std::vector<float>(kInput, 20.f / kInput)}},
      {"b2", {{1}, {-10.f}}},
  };
  return network;
}

Image picture(std::uint8_t value) {
  Image rgb(200, 150);
  rgb.pixels.assign(rgb.pixels.size(), value);
  return rgb;
}

Detection square(Point center, double side, double roll) {
  Detection d;
  d.center = center;
  d.side = side;
  d.roll = roll;
  return d;
}

TEST(Mesh, PointsLieInThePicture) {
  const Scratch scratch;
  // The circle is as large as the detector's square: the second look sees the same.
  const MeshFinder finder(write_network(scratch / "mesh.safetensors", stand_in(1 / 1.5)));
  for (const double roll : {0.0, 0.5, -2.0}) {
    const auto mesh = finder.find(picture(255), square({90, 70}, 40, roll));
    ASSERT_TRUE(mesh);
    for (int i = 0; i < 4; ++i) {
      const double angle = roll + 2 * M_PI * i / 4;
      EXPECT_NEAR(mesh->points[i].x, 90 + 20 * std::cos(angle), 1e-4) << i << ", roll " << roll;
      EXPECT_NEAR(mesh->points[i].y, 70 + 20 * std::sin(angle), 1e-4) << i << ", roll " << roll;
      EXPECT_NEAR(mesh->depth[i], static_cast<double>(i) / Mesh::kPoints * 60 / kSide, 1e-4);
    }
    EXPECT_NEAR(std::remainder(mesh->roll() - roll, 2 * M_PI), 0, 1e-5);
    EXPECT_NEAR(mesh->presence, 1 / (1 + std::exp(-10.0)), 1e-5);
  }
}

TEST(Mesh, LooksAgainUntilTheSquareHoldsStill) {
  const Scratch scratch;
  const MeshFinder finder(write_network(scratch / "mesh.safetensors", stand_in(0.5)));
  const auto mesh = finder.find(picture(255), square({90, 70}, 40, 0));
  ASSERT_TRUE(mesh);
  // Each circle is half of 1.5 times its square: 40, 30, 22.5, and 16.875 in the fourth look.
  EXPECT_NEAR(mesh->points[0].x, 90 + 0.25 * 1.5 * 16.875, 1e-4);
}

TEST(Mesh, EyesOfTheDetectorGiveTheFirstRoll) {
  const Scratch scratch;
  const MeshFinder finder(write_network(scratch / "mesh.safetensors", stand_in(1 / 1.5)));
  Detection tilted = square({90, 70}, 40, 0);
  tilted.eyes[0] = Point{80, 60};
  tilted.eyes[1] = Point{100, 80};
  EXPECT_NEAR(finder.find(picture(255), tilted)->roll(), M_PI / 4, 1e-5);
}

TEST(Mesh, NoneWithoutAFace) {
  const Scratch scratch;
  const MeshFinder finder(write_network(scratch / "mesh.safetensors", stand_in(1 / 1.5)));
  EXPECT_FALSE(finder.find(picture(100), square({90, 70}, 40, 0)));
}

TEST(Mesh, RefusesAnotherNetwork) {
  const Scratch scratch;
  NetworkText other = stand_in(0.5);
  other.layers["outputs"].erase(1);
  const auto path = write_network(scratch / "other.safetensors", other);
  std::string message;
  EXPECT_EQ(kind_of([&] { MeshFinder{path}; }, &message), ErrorKind::input);
  EXPECT_NE(message.find("468 points"), std::string::npos) << message;
}
// A detector that sees one face, with eyes of its own, at a fixed place.
struct FixedDetector final : FaceDetector {
  DetectorTraits fixed_traits;
  Detection face;
  const DetectorTraits& traits() const override { return fixed_traits; }
  void next_frame(const Image&, const Image&) override {}
  std::vector<Detection> scan(Scan) override { return {face}; }
  std::optional<Detection> follow(const Detection&, bool) override { return face; }
};

TEST(MeshDetector, PlacesTheEyesInTheWorkingPicture) {
  const Scratch scratch;
  const auto path = write_network(scratch / "mesh.safetensors", stand_in(1 / 1.5));
  auto fixed = std::make_unique<FixedDetector>();
  fixed->face = square({45, 35}, 20, 0);
  fixed->face.eyes[0] = Point{40, 35};
  fixed->face.eyes[1] = Point{50, 35};
  const Detection expected = fixed->face;
  const auto detector = make_mesh_detector(std::move(fixed), MeshFinder(path), std::nullopt);
  const Image gray(100, 75, 1), bright = picture(255), dark = picture(0);  // half as large as rgb
  detector->next_frame(gray, bright);
  const auto seen = detector->follow(expected, false);  // a new face is looked at again
  ASSERT_TRUE(seen && seen->eyes[0] && seen->eyes[1]);
  const auto mesh = MeshFinder(path).find(bright, square({90.5, 70.5}, 40, 0));
  const auto eyes = steady_eyes({mesh->left_eye(), mesh->right_eye()}, mesh->mouth());
  EXPECT_NEAR(seen->eyes[0]->x, (eyes[0].x + 0.5) / 2 - 0.5, 1e-6);
  EXPECT_NEAR(seen->eyes[1]->y, (eyes[1].y + 0.5) / 2 - 0.5, 1e-6);
  EXPECT_GT(seen->eye_sigma[0], 0);
  EXPECT_NE(seen->eyes[0]->x, 40);
  ASSERT_TRUE(seen->mesh);
  EXPECT_EQ(seen->confidence, seen->mesh->presence);

  detector->next_frame(gray, dark);
  const auto unseen = detector->follow(expected, true);  // by the finder
  ASSERT_TRUE(unseen && unseen->eyes[0]);
  EXPECT_EQ(unseen->eyes[0]->x, 40);
  EXPECT_FALSE(unseen->mesh);
}

// The eyes of a drawn head are known. The mesh was taught by photographs: where it says that
// a drawing is a face, its eyes must be near them.
TEST(Mesh, OfARenderedHead) {
  const auto path = find_network("face_landmark.safetensors");
  if (path.empty())
    GTEST_SKIP() << "face_landmark is not in " << network_folder()
                 << ": run tools/install_deps.sh faces";
  const MeshFinder finder(path);
  int found = 0;
  for (const char person : {'a', 'b'})
    for (int i = 0; i < 6; ++i) {
      const HeadPicture head =
          draw_head(head_identity(person), talking_pose(0.7 * i, 3), 320, 240, 0, 1);
      const Point left = head.landmarks[0], right = head.landmarks[1];
      const double apart = distance(left, right);
      Detection face =
          square({(left.x + right.x) / 2, (left.y + right.y) / 2 + 0.3 * apart}, 2.6 * apart, 0);
      const auto mesh = finder.find(head.rgb, face);
      if (!mesh) continue;
      ++found;
      EXPECT_LT(distance(mesh->left_eye(), left), 0.12 * apart) << person << i;
      EXPECT_LT(distance(mesh->right_eye(), right), 0.12 * apart) << person << i;
    }
  EXPECT_GE(found, 9);
}
}  // namespace
