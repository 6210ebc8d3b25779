// The quick scan: its geometry with a network that sees a face in each bright cell, and,
// where it is installed, the real one on rendered heads with known eyes.
#include "faceswap/faces/blaze_face.h"

#include <gtest/gtest.h>

#include <cmath>

#include "faceswap/faces/network_files.h"
#include "faceswap/synthetic/head.h"
#include "tests/faceswap/faces/layer_list_file.h"
#include "tests/faceswap/kind_of.h"
#include "tests/faceswap/scratch.h"

namespace {

using namespace faceswap;

// A picture of 4 x 4 pixels in 2 x 2 cells. Each cell gives a box of 2 x 1.5 pixels in its
// middle, shifted by a quarter pixel to the right, with eyes half a pixel beside it; its
// score is 10 for white and -10 for black.
NetworkText stand_in() {
  NetworkText network;
  network.layers = nlohmann::json::parse(R"({"input": [4, 4, 3], "layers": [
      {"op": "conv2d", "in": [0], "weight": "w1", "bias": "b1", "stride": 2},
      {"op": "conv2d", "in": [0], "weight": "w2", "bias": "b2", "stride": 2}],
      "outputs": [{"name": "boxes", "parts": [1]}, {"name": "scores", "parts": [2]}]})");
  std::vector<float> box(16);
  box[0] = 0.25f, box[2] = 2, box[3] = 1.5f, box[4] = -0.5f, box[6] = 0.5f;
  network.tensors = {{"w1", {{16, 2, 2, 3}, std::vector<float>(16 * 12)}},
                     {"b1", {{16}, box}},
                     {"w2", {{1, 2, 2, 3}, std::vector<float>(12, 10.f / 12)}},
                     {"b2", {{1}, {0.f}}}};
  return network;
}

Image half_bright(int width, int height) {  // white in the upper right quarter of the square
  Image rgb(width, height);
  const int side = std::max(width, height), top = (side - height) / 2;
  for (int y = 0; y < height; ++y)
    for (int x = side / 2; x < width; ++x)
      if (y + top < side / 2) std::fill_n(rgb.at(x, y), 3, std::uint8_t{255});
  return rgb;
}

TEST(BlazeFace, PlacesAFaceInThePicture) {
  const Scratch scratch;
  const BlazeFace finder(write_network(scratch / "blaze.safetensors", stand_in()));
  const auto faces = finder.find(half_bright(40, 40));  // ten pixels for one of the network's
  ASSERT_EQ(faces.size(), 1u);
  EXPECT_NEAR(faces[0].center.x, 32.5 - 0.5, 1e-4);
  EXPECT_NEAR(faces[0].center.y, 10 - 0.5, 1e-4);
  EXPECT_NEAR(faces[0].side, 20, 1e-4);
  ASSERT_TRUE(faces[0].eyes[0] && faces[0].eyes[1]);
  EXPECT_NEAR(faces[0].eyes[0]->x, 25 - 0.5, 1e-4);
  EXPECT_NEAR(faces[0].eyes[1]->x, 35 - 0.5, 1e-4);
  EXPECT_NEAR(faces[0].roll, 0, 1e-6);
  EXPECT_GT(faces[0].confidence, 0.99);
}

TEST(BlazeFace, PutsAWidePictureInTheMiddleOfItsSquare) {
  const Scratch scratch;
  const BlazeFace finder(write_network(scratch / "blaze.safetensors", stand_in()));
  const auto faces = finder.find(half_bright(40, 20));
  ASSERT_EQ(faces.size(), 1u);  // the edge's pixels go on above the picture
  EXPECT_NEAR(faces[0].center.x, 32, 1e-4);
  EXPECT_NEAR(faces[0].center.y, 10 - 10 - 0.5, 1e-4);
}

TEST(BlazeFace, NoneInTheDark) {
  const Scratch scratch;
  const BlazeFace finder(write_network(scratch / "blaze.safetensors", stand_in()));
  EXPECT_TRUE(finder.find(Image(40, 40)).empty());
}

TEST(BlazeFace, RefusesAnotherNetwork) {
  const Scratch scratch;
  NetworkText other = stand_in();
  other.layers["outputs"].erase(1);
  const auto path = write_network(scratch / "other.safetensors", other);
  std::string message;
  EXPECT_EQ(kind_of([&] { BlazeFace{path}; }, &message), ErrorKind::input);
  EXPECT_NE(message.find("square grid"), std::string::npos) << message;
}

TEST(BlazeFace, FindsRenderedHeads) {
  const auto path = find_network("face_detection_full.safetensors");
  if (path.empty())
    GTEST_SKIP() << "face_detection_full is not in " << network_folder()
                 << ": run tools/install_deps.sh faces";
  const BlazeFace finder(path);
  for (const char person : {'a', 'b'})
    for (int i = 0; i < 6; ++i) {
      const HeadPicture head =
          draw_head(head_identity(person), talking_pose(0.7 * i, 3), 320, 240, 0, 1);
      const auto faces = finder.find(head.rgb);
      ASSERT_EQ(faces.size(), 1u) << person << i;
      const double apart = distance(head.landmarks[0], head.landmarks[1]);
      for (std::size_t k = 0; k < 2; ++k)
        EXPECT_LT(distance(*faces[0].eyes[k], head.landmarks[k]), 0.3 * apart) << person << i;
    }
}
}  // namespace
