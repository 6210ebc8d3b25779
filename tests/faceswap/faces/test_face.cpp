// The canonical crop and the egg mask.
#include <gtest/gtest.h>

#include <algorithm>

#include "faceswap/faces/face.h"

namespace {

using namespace faceswap;

TEST(Canonical, EyesComeToTheirCanonicalPlaces) {
  const Point left{301.5, 210.25}, right{377, 231};
  const Similarity s = similarity_from_eyes(left, right);
  EXPECT_NEAR(s(left).x, 88, 1e-9);
  EXPECT_NEAR(s(left).y, 100, 1e-9);
  EXPECT_NEAR(s(right).x, 168, 1e-9);
  EXPECT_NEAR(s(right).y, 100, 1e-9);
  EXPECT_THROW(similarity_from_eyes(left, left), Error);
}

TEST(Canonical, CropsKeepPixelAreas) {
  for (const int size : {64, 256, 512}) {
    const Similarity s = canonical_to_crop(size);
    EXPECT_NEAR(s({-0.5, -0.5}).x, -0.5, 1e-12) << "the picture's edge stays its edge";
    EXPECT_NEAR(s({255.5, 255.5}).y, size - 0.5, 1e-12);
  }
}

// On linear colour ramps a crop pixel's colour follows from its place in the frame.
TEST(CropFace, ShowsTheRightPlace) {
  Image frame(320, 240);
  for (int y = 0; y < 240; ++y)
    for (int x = 0; x < 320; ++x) {
      const int color[3] = {40 + x / 2, 20 + y / 2, 77};
      std::copy_n(color, 3, frame.at(x, y));
    }
  for (const double apart : {30.0, 70.0, 110.0}) {  // enlarged and shrunk
    const Similarity s = similarity_from_eyes({160 - apart / 2, 100}, {160 + apart / 2, 110});
    for (const int size : {64, 200}) {
      const Image crop = crop_face(frame, s, size);
      const Similarity to_frame = s.then(canonical_to_crop(size)).inverse();
      for (int y = 3; y < size; y += 9)
        for (int x = 3; x < size; x += 9) {
          const Point p = to_frame({static_cast<double>(x), static_cast<double>(y)});
          if (p.x < 4 || p.y < 4 || p.x > 315 || p.y > 235) continue;
          EXPECT_NEAR(crop.at(x, y)[0], 40 + p.x / 2 - 0.25, 1.1);
          EXPECT_NEAR(crop.at(x, y)[1], 20 + p.y / 2 - 0.25, 1.1);
          EXPECT_EQ(crop.at(x, y)[2], 77);
        }
    }
  }
  EXPECT_THROW(crop_face(Image{}, {}, 64), Error);
}

TEST(EggMask, HasItsMeasuresAndASmoothEdge) {
  const FloatImage egg = egg_mask(256, 1.0);
  const auto at = [&egg](int x, int y) { return *egg.at(x, y); };
  EXPECT_EQ(at(128, 128), 1);
  EXPECT_EQ(at(128, 128 - 60), 1);  // 62 up
  EXPECT_EQ(at(128, 128 - 64), 0);
  EXPECT_EQ(at(128, 128 + 90), 1);  // 92 down
  EXPECT_EQ(at(128, 128 + 94), 0);
  EXPECT_EQ(at(128 - 72, 128), 1);  // 74 to each side
  EXPECT_EQ(at(128 + 76, 128), 0);
  for (const Point eye : kCanonicalEyes)
    EXPECT_EQ(at(static_cast<int>(eye.x), static_cast<int>(eye.y)), 1);
  double up = 0, down = 0, all = 0, partial = 0;
  for (int y = 0; y < 256; ++y)
    for (int x = 0; x < 256; ++x) {
      if (x > 0) { EXPECT_NEAR(at(x, y), at(256 - x, y), 1e-6) << "the same on both sides of 128"; }
      all += at(x, y);
      partial += at(x, y) > 0 && at(x, y) < 1;
      // Half way up and half way down: narrower towards the chin.
      if (y == 128 - 31) up += at(x, y);
      if (y == 128 + 46) down += at(x, y);
    }
  EXPECT_LT(down, up - 4);
  EXPECT_GT(partial, 200);  // about one pixel along an outline of 480
  EXPECT_LT(partial, 1000);
  double grown = 0, small = 0;
  for (const float v : egg_mask(256, 1.1).pixels) grown += v;
  for (const float v : egg_mask(64, 1.0).pixels) small += v;
  EXPECT_NEAR(grown / all, 1.21, 0.01);
  EXPECT_NEAR(small * 16 / all, 1, 0.01);
}
}  // namespace
