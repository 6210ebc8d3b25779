// The talking heads: the picture agrees with its own truth (landmarks, mask), is
// reproducible, and shows two people.
#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <limits>
#include <numbers>
#include <thread>

#include "faceswap/faces/face.h"
#include "faceswap/synthetic/head.h"
#include "tests/faceswap/kind_of.h"
#include "tests/faceswap/synthetic/luma.h"

namespace faceswap {
namespace {

// The centre of darkness (iris and pupil) within `radius` pixels of a point.
Point dark_centre(const Image& image, Point around, double radius) {
  double sum = 0, sx = 0, sy = 0;
  for (int y = static_cast<int>(around.y - radius); y <= around.y + radius + 1; ++y) {
    for (int x = static_cast<int>(around.x - radius); x <= around.x + radius + 1; ++x) {
      if (std::hypot(x - around.x, y - around.y) > radius) continue;
      const double dark = std::max(0.0, 110 - luma(image, x, y));
      sum += dark;
      sx += dark * x;
      sy += dark * y;
    }
  }
  return sum > 0 ? Point{sx / sum, sy / sum} : Point{-1e9, -1e9};
}

TEST(DrawHead, IsTheSameEveryTimeOnEveryThread) {
  const HeadPose pose = talking_pose(1.3, 5);
  const HeadPicture first = draw_head(head_identity('b'), pose, 160, 120, 2, 7);
  std::vector<HeadPicture> others(4);
  std::vector<std::thread> threads;
  for (HeadPicture& other : others)
    threads.emplace_back([&] { other = draw_head(head_identity('b'), pose, 160, 120, 2, 7); });
  for (std::thread& thread : threads) thread.join();
  for (const HeadPicture& other : others) {
    EXPECT_EQ(first.rgb.pixels, other.rgb.pixels);
    EXPECT_EQ(first.mask.pixels, other.mask.pixels);
  }
}

TEST(DrawHead, PupilsAreWhereTheEyesAre) {
  for (const char person : {'a', 'b'}) {
    for (const auto& [yaw, pitch, roll] :
         {std::array{0.f, 0.f, 0.f}, std::array{0.25f, 0.1f, 0.f}, std::array{-0.25f, -0.1f, 0.2f},
          std::array{0.f, 0.f, -0.5f}}) {
      HeadPose pose;
      pose.yaw = yaw, pose.pitch = pitch, pose.roll = roll;
      const HeadPicture picture = draw_head(head_identity(person), pose, 640, 480, 0, 1);
      for (int eye = 0; eye < 2; ++eye) {
        const Point pupil = dark_centre(picture.rgb, picture.landmarks[eye], 7);
        EXPECT_LT(distance(pupil, picture.landmarks[eye]), 2)
            << "person " << person << " eye " << eye << " yaw " << yaw << " roll " << roll;
      }
    }
  }
}

TEST(DrawHead, GazeMovesThePupilAndALidHidesIt) {
  HeadPose pose;
  pose.gaze_x = 0.6f;
  const HeadPicture looking = draw_head(head_identity('a'), pose, 640, 480, 0, 1);
  const Point pupil =
      dark_centre(looking.rgb, {looking.landmarks[0].x + 3, looking.landmarks[0].y}, 8);
  EXPECT_GT(pupil.x, looking.landmarks[0].x + 2);
  pose.gaze_x = 0;
  pose.blink = 1;
  const HeadPicture closed = draw_head(head_identity('a'), pose, 640, 480, 0, 1);
  const Point eye = closed.landmarks[0];
  pose.blink = 0;
  const HeadPicture open = draw_head(head_identity('a'), pose, 640, 480, 0, 1);
  const int x = static_cast<int>(std::lround(eye.x)), y = static_cast<int>(std::lround(eye.y));
  EXPECT_GT(luma(closed.rgb, x, y + 4), luma(open.rgb, x, y + 2) + 40);
}

TEST(DrawHead, LandmarksFollowRollPictureSizeAndJaw) {
  HeadPose pose;
  pose.roll = 0.4f;
  const HeadPicture small = draw_head(head_identity('a'), pose, 320, 240, 0, 1),
                    large = draw_head(head_identity('a'), pose, 640, 480, 0, 1);
  const Point left = small.landmarks[0], right = small.landmarks[1];
  // To the head's left shoulder, counterclockwise in the picture.
  EXPECT_NEAR(std::atan2(right.y - left.y, right.x - left.x), -0.4, 1e-3);
  for (int k = 0; k < 5; ++k) {
    EXPECT_NEAR((small.landmarks[k].x + 0.5) * 2 - 0.5, large.landmarks[k].x, 1e-2);
    EXPECT_NEAR((small.landmarks[k].y + 0.5) * 2 - 0.5, large.landmarks[k].y, 1e-2);
  }
  pose.roll = 0;
  const HeadPicture shut = draw_head(head_identity('a'), pose, 640, 480, 0, 1);
  pose.mouth_open = 1;
  const HeadPicture open = draw_head(head_identity('a'), pose, 640, 480, 0, 1);
  EXPECT_GT(open.landmarks[3].x, shut.landmarks[3].x + 2);  // an open mouth is narrower
  EXPECT_NEAR(open.landmarks[0].y, shut.landmarks[0].y, 1e-3);
  const int x = static_cast<int>(std::lround(open.landmarks[2].x)),
            y = static_cast<int>(std::lround(0.5 * (open.landmarks[3].y + open.landmarks[4].y)));
  double darkest = 255;
  for (int dy = -12; dy <= 12; ++dy) darkest = std::min(darkest, luma(open.rgb, x, y + dy));
  EXPECT_LT(darkest, 40) << "no dark mouth between the corners";
}

TEST(DrawHead, MaskCoversTheFaceAndOnlyTheFace) {
  for (const char person : {'a', 'b'}) {
    HeadPose pose;
    const HeadPicture picture = draw_head(head_identity(person), pose, 640, 480, 1, 3);
    for (const Point& p : picture.landmarks)
      EXPECT_EQ(
          *picture.mask.at(static_cast<int>(std::lround(p.x)), static_cast<int>(std::lround(p.y))),
          255);
    const double unit = 0.24 * 480;  // pixels
    const auto mask_at = [&](double x, double y) {
      return *picture.mask.at(static_cast<int>(320 + unit * x), static_cast<int>(240 - unit * y));
    };
    EXPECT_EQ(mask_at(0, 0.95), 0) << "hair";
    EXPECT_EQ(mask_at(0, -1.35), 0) << "neck";
    EXPECT_EQ(mask_at(1.2, 0), 0) << "wall";
    double area = 0;
    for (const std::uint8_t v : picture.mask.pixels) area += v / 255.0;
    const double ellipse = std::numbers::pi * 0.79 * 1.06 * unit * unit;  // the whole head
    EXPECT_GT(area, 0.55 * ellipse);
    EXPECT_LT(area, 0.90 * ellipse);
  }
}

TEST(DrawHead, TheRoomChangesNothingOnTheFace) {
  const HeadPose pose = talking_pose(2.0, 6);
  const HeadPicture plain = draw_head(head_identity('b'), pose, 320, 240, 0, 4),
                    shelves = draw_head(head_identity('b'), pose, 320, 240, 2, 4);
  EXPECT_EQ(plain.mask.pixels, shelves.mask.pixels);
  int face = 0, wall_differs = 0;
  for (int y = 0; y < 240; ++y) {
    for (int x = 0; x < 320; ++x) {
      const bool same =
          std::equal(plain.rgb.at(x, y), plain.rgb.at(x, y) + 3, shelves.rgb.at(x, y));
      if (*plain.mask.at(x, y) == 255) {
        ++face;
        EXPECT_TRUE(same) << x << ',' << y;
      } else {
        wall_differs += !same;
      }
    }
  }
  EXPECT_GT(face, 3000);
  EXPECT_GT(wall_differs, 20000);
  EXPECT_NE(plain.rgb.pixels, draw_head(head_identity('b'), pose, 320, 240, 0, 5).rgb.pixels);
}

TEST(DrawHead, TwoPeopleMoveAlikeAndLookDifferent) {
  double difference = 0, furthest = 0;
  for (int i = 0; i < 8; ++i) {
    const HeadPose pose = talking_pose(0.7 * i, 5);
    const HeadPicture a = draw_head(head_identity('a'), pose, 320, 240, 0, 1),
                      b = draw_head(head_identity('b'), pose, 320, 240, 0, 1);
    for (int k = 0; k < 5; ++k)
      furthest = std::max(furthest, distance(a.landmarks[k], b.landmarks[k]));
    const Image crop_a = crop_face(a.rgb, similarity_from_eyes(a.landmarks[0], a.landmarks[1]), 64),
                crop_b = crop_face(b.rgb, similarity_from_eyes(b.landmarks[0], b.landmarks[1]), 64);
    for (int y = 16; y < 56; ++y) {
      for (int x = 16; x < 48; ++x)
        difference += std::fabs(luma(crop_a, x, y) - luma(crop_b, x, y)) / (8 * 40 * 32);
    }
  }
  EXPECT_LT(furthest, 6) << "pixels between the same landmark of both";
  EXPECT_GT(difference, 10) << "grey levels between the aligned faces";
}

TEST(DrawHead, OutsideThePictureIsNoTrouble) {
  HeadPose pose;
  pose.center_x = 0;
  const HeadPicture half = draw_head(head_identity('a'), pose, 160, 120, 0, 1);
  pose.center_x = 0.5f;
  const HeadPicture whole = draw_head(head_identity('a'), pose, 160, 120, 0, 1);
  const auto area = [](const HeadPicture& p) {
    return std::count(p.mask.pixels.begin(), p.mask.pixels.end(), 255);
  };
  EXPECT_NEAR(static_cast<double>(area(half)) / static_cast<double>(area(whole)), 0.5, 0.08);
  EXPECT_LT(half.landmarks[0].x, 0);
  pose.center_x = -5;
  EXPECT_EQ(area(draw_head(head_identity('a'), pose, 160, 120, 0, 1)), 0);
  pose.center_x = 900;
  pose.scale = 900;
  EXPECT_EQ(draw_head(head_identity('a'), pose, 33, 17, 0, 1).rgb.pixels.size(), 33u * 17 * 3);
  pose = {};
  pose.scale = 1e-4f;
  EXPECT_EQ(area(draw_head(head_identity('a'), pose, 160, 120, 0, 1)), 0);
}

TEST(DrawHead, RefusesNonsense) {
  const HeadIdentity& a = head_identity('a');
  EXPECT_EQ(kind_of([] { head_identity('c'); }), ErrorKind::usage);
  EXPECT_EQ(kind_of([&] { draw_head(a, {}, 0, 120, 0, 1); }), ErrorKind::usage);
  EXPECT_EQ(kind_of([&] { draw_head(a, {}, 160, 100000, 0, 1); }), ErrorKind::usage);
  EXPECT_EQ(kind_of([&] { draw_head(a, {}, 160, 120, 3, 1); }), ErrorKind::usage);
  HeadPose pose;
  pose.scale = 0;
  EXPECT_EQ(kind_of([&] { draw_head(a, pose, 160, 120, 0, 1); }), ErrorKind::usage);
  pose = {};
  pose.yaw = std::numeric_limits<float>::quiet_NaN();
  EXPECT_EQ(kind_of([&] { draw_head(a, pose, 160, 120, 0, 1); }), ErrorKind::usage);
}

TEST(TalkingPose, TalksBlinksAndMovesSmoothly) {
  for (const std::uint32_t seed : {0u, 5u, 6u, 4000000000u}) {
    float widest = 0, blink = 0, yaw_left = 0, yaw_right = 0, jump = 0;
    HeadPose before = talking_pose(0, seed);
    for (int frame = 1; frame < 500; ++frame) {
      const HeadPose pose = talking_pose(frame / 25.0, seed);
      widest = std::max(widest, pose.mouth_open);
      blink = std::max(blink, pose.blink);
      yaw_left = std::min(yaw_left, pose.yaw);
      yaw_right = std::max(yaw_right, pose.yaw);
      jump = std::max({jump, std::fabs(pose.yaw - before.yaw), std::fabs(pose.pitch - before.pitch),
                       std::fabs(pose.roll - before.roll),
                       std::fabs(pose.center_x - before.center_x)});
      before = pose;
    }
    EXPECT_GT(widest, 0.4f) << seed;
    EXPECT_GT(blink, 0.9f) << seed;
    EXPECT_LT(yaw_left, -0.1f) << seed;
    EXPECT_GT(yaw_right, 0.1f) << seed;
    EXPECT_LT(jump, 0.05f) << seed;
  }
  EXPECT_NE(talking_pose(1, 5).yaw, talking_pose(1, 6).yaw);
  EXPECT_EQ(talking_pose(1, 5).yaw, talking_pose(1, 5).yaw);
}
}  // namespace
}  // namespace faceswap
