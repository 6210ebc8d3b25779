// The lids: their geometry with a network that gives the same points whatever it sees.
// Rendered blinks: test_measures.cpp.
#include "faceswap/faces/eye_finder.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cmath>

#include "tests/faceswap/faces/drawn_face.h"
#include "tests/faceswap/faces/layer_list_file.h"
#include "tests/faceswap/kind_of.h"
#include "tests/faceswap/scratch.h"

namespace {

using namespace faceswap;

constexpr int kSide = 8;  // pixels of the stand-in's picture

// Point i of the eye lies at ((i + 1) / 20, 0.4) of the picture, plus `shift` down.
NetworkText stand_in(double shift = 0) {
  NetworkText network;
  network.layers = nlohmann::json::parse(fmt::format(
      R"({{"input": [{0}, {0}, 3], "layers": [
      {{"op": "conv2d", "in": [0], "weight": "w1", "bias": "b1", "stride": {0}}},
      {{"op": "conv2d", "in": [0], "weight": "w2", "bias": "b2", "stride": {0}}}],
      "outputs": [{{"name": "eye", "parts": [1]}}, {{"name": "iris", "parts": [2]}}]}})",
      kSide));
  constexpr int kInput = kSide * kSide * 3;
  std::vector<float> places;
  for (int i = 0; i < 71; ++i) {
    places.push_back(static_cast<float>(kSide * (i % 16 + 1) / 20.));
    places.push_back(static_cast<float>(kSide * (0.4 + shift)));
    places.push_back(0);
  }
  network.tensors = {
      {"w1", {{213, kSide, kSide, 3}, std::vector<float>(213 * kInput)}},
      {"b1", {{213}, places}},
      {"w2", {{15, kSide, kSide, 3}, std::vector<float>(15 * kInput)}},
      {"b2", {{15}, std::vector<float>(15)}},
  };
  return network;
}

TEST(EyeFinder, PlacesTheRingInThePictureAndMirrorsTheOtherEye) {
  const Scratch scratch;
  const EyeFinder finder(write_network(scratch / "iris.safetensors", stand_in()));
  const Image rgb(256, 256);
  std::vector<Point> landmarks = oval_landmarks();
  const std::vector<Point> before = landmarks;
  finder.refine(rgb, landmarks);
  // The square is 2.8 eye widths of 32 wide, its middle between the corners (72 and 104, 100).
  // The network gives the mirrored eye the same places, so the mean of both is symmetric:
  // point i's x is that of (i - mirrored i) / 20 / 2 about the middle.
  const double side = 2.8 * 32, top = 100 - side / 2;
  EXPECT_NEAR(landmarks[33].x, 88 - 8 * side / 40, 1e-3);   // point 0, mirrored 8
  EXPECT_NEAR(landmarks[133].x, 88 + 8 * side / 40, 1e-3);  // point 8, mirrored 0
  EXPECT_NEAR(landmarks[145].x, 88, 1e-3);                  // point 4, its own mirror image
  EXPECT_NEAR(landmarks[173].x, 88 + 6 * side / 40, 1e-3);  // point 15, mirrored 9
  EXPECT_NEAR(landmarks[159].y, top + 0.4 * side, 1e-3);
  // The other eye: outer corner at 184, all mirrored about 168.
  EXPECT_NEAR(landmarks[263].x, 168 + 8 * side / 40, 1e-3);
  EXPECT_NEAR(landmarks[362].x, 168 - 8 * side / 40, 1e-3);
  EXPECT_NEAR(landmarks[386].y, top + 0.4 * side, 1e-3);
  int moved = 0;
  for (int i = 0; i < 468; ++i) moved += distance(landmarks[i], before[i]) > 1e-9;
  EXPECT_EQ(moved, 32);
}

TEST(EyeFinder, LeavesTheHiddenEyeAndFarPoints) {
  const Scratch scratch;
  const EyeFinder finder(write_network(scratch / "iris.safetensors", stand_in()));
  const Image rgb(256, 256);
  std::vector<Point> landmarks = oval_landmarks();
  for (const int i : {362, 263}) landmarks[i].x = 168 + (landmarks[i].x - 168) * 0.4;
  std::vector<Point> before = landmarks;
  finder.refine(rgb, landmarks);
  EXPECT_EQ(landmarks[386].y, before[386].y);
  EXPECT_NE(landmarks[159].y, before[159].y);

  const EyeFinder wild(write_network(scratch / "wild.safetensors", stand_in(0.4)));
  landmarks = before = oval_landmarks();
  wild.refine(rgb, landmarks);
  EXPECT_EQ(landmarks[159].y, before[159].y);
}

TEST(EyeFinder, RefusesAnotherNetwork) {
  const Scratch scratch;
  NetworkText other = stand_in();
  other.layers["outputs"].erase(1);
  const auto path = write_network(scratch / "other.safetensors", other);
  std::string message;
  EXPECT_EQ(kind_of([&] { EyeFinder{path}; }, &message), ErrorKind::input);
  EXPECT_NE(message.find("71 points"), std::string::npos) << message;
}
}  // namespace
