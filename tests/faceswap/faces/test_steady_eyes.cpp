// Eyes of profiles: spread to a least distance, across the face.
#include "faceswap/faces/steady_eyes.h"

#include <gtest/gtest.h>

#include <cmath>

namespace {

using namespace faceswap;

TEST(SteadyEyes, LeavesThoseOfAFaceFromTheFront) {
  const auto eyes = steady_eyes({Point{88, 100}, Point{168, 103}}, {128, 182});
  EXPECT_EQ(eyes[0].x, 88);
  EXPECT_EQ(eyes[1].y, 103);
}

TEST(SteadyEyes, SpreadsThoseOfAProfileAcrossTheFace) {
  for (const double roll : {0., 0.7, 3.0}) {
    const Similarity turn = rotation_about({128, 140}, roll);
    // The mouth lies 82 below eyes that are 4 apart and point anywhere.
    const auto eyes = steady_eyes({turn({127, 99}), turn({129, 101})}, turn({128, 182}));
    const double least = 0.71 * 80;
    EXPECT_NEAR(distance(eyes[0], eyes[1]), least, 1e-9);
    const Point left = turn({128 - least / 2, 100}), right = turn({128 + least / 2, 100});
    EXPECT_NEAR(distance(eyes[0], left), 0, 1e-9) << roll;
    EXPECT_NEAR(distance(eyes[1], right), 0, 1e-9) << roll;
  }
}

// No jump where a head turns through the limits.
TEST(SteadyEyes, FollowsAHeadThatTurns) {
  std::array<Point, 2> last = steady_eyes({Point{88, 102}, Point{168, 98}}, {128, 182});
  for (double apart = 80; apart > 2; apart -= 0.5) {
    const auto eyes =
        steady_eyes({Point{128 - apart / 2, 102}, Point{128 + apart / 2, 98}}, {128, 182});
    EXPECT_LT(distance(eyes[0], last[0]), 0.6) << apart;
    last = eyes;
  }
}

TEST(SteadyEyes, NoDirectionIsLeftAlone) {
  const auto eyes = steady_eyes({Point{5, 5}, Point{5, 5}}, {5, 50});
  EXPECT_EQ(eyes[0].x, 5);
  EXPECT_TRUE(std::isfinite(steady_eyes({Point{1, 2}, Point{3, 2}}, {2, 2})[0].x));
}
}  // namespace
