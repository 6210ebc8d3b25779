// The mesh: its geometry with a network that gives the same points whatever it sees, and,
// where it is installed, the real one on rendered heads with known eyes.
#include "faceswap/faces/mesh.h"

#include <fmt/format.h>

#include <cmath>

#include "faceswap/faces/network_files.h"
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

TEST(Mesh, TheSecondLookFitsTheFirstPoints) {
  const Scratch scratch;
  const MeshFinder finder(write_network(scratch / "mesh.safetensors", stand_in(0.5)));
  const auto mesh = finder.find(picture(255), square({90, 70}, 40, 0));
  ASSERT_TRUE(mesh);
  // The first circle has a diameter of 30 (half of 1.5 x 40), the second of half 1.5 x 30.
  EXPECT_NEAR(mesh->points[0].x, 90 + 0.25 * 1.5 * 30, 1e-4);
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
}  // namespace
