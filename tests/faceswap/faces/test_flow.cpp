// Optical flow against known motion.
#include <gtest/gtest.h>

#include <cmath>
#include <random>

#include "faceswap/faces/flow.h"

namespace {

using namespace faceswap;

// Smooth random texture as a function of place: a moved picture is exact, not resampled.
// Waves of 8 to 150 pixels in all directions, the long ones strongest as in nature.
double texture(double x, double y) {
  struct Wave {
    double kx, ky, phase, height;
  };
  static const std::vector<Wave> waves = [] {
    std::vector<Wave> made;
    std::mt19937 random(11);
    std::uniform_real_distribution<double> angle(0, 2 * M_PI),
        octave(std::log(8.0), std::log(150.0));
    for (int i = 0; i < 48; ++i) {
      const double length = std::exp(octave(random)), direction = angle(random),
                   k = 2 * M_PI / length;
      made.push_back({k * std::cos(direction), k * std::sin(direction), angle(random),
                      2.2 * std::sqrt(length / 8)});
    }
    return made;
  }();
  double sum = 128;
  for (const Wave& w : waves) sum += w.height * std::sin(w.kx * x + w.ky * y + w.phase);
  return sum;
}

// The picture of `texture` moved by `motion`.
Image moved_texture(const Similarity& motion, int width, int height) {
  Image picture(width, height, 1);
  const Similarity back = motion.inverse();
  for (int y = 0; y < height; ++y)
    for (int x = 0; x < width; ++x) {
      const Point p = back({static_cast<double>(x), static_cast<double>(y)});
      *picture.at(x, y) =
          static_cast<std::uint8_t>(std::lround(std::clamp(texture(p.x, p.y), 0.0, 255.0)));
    }
  return picture;
}

Similarity motion_about(Point c, double degrees, double scale, double dx, double dy) {
  return rotation_about(c, degrees * M_PI / 180, scale).then({1, 0, dx, dy});
}

constexpr int kSize = 200;
const Ellipse kMiddle{{99.5, 99.5}, 62, 68};

TEST(Flow, FollowsShiftsBelowAndAboveAPixel) {
  const Image first = moved_texture({}, kSize, kSize);
  const std::vector<Point> corners = find_corners(first, kMiddle, 80);
  ASSERT_GE(corners.size(), 40u);
  for (const Point shift :
       {Point{0.3, -0.6}, Point{2.25, 1.5}, Point{-7.4, 5.8}, Point{14.5, -11.25}}) {
    const Image second = moved_texture({1, 0, shift.x, shift.y}, kSize, kSize);
    const auto found = follow_points(first, second, corners);
    double sum = 0;
    int count = 0;
    for (std::size_t i = 0; i < corners.size(); ++i) {
      if (!found[i]) continue;
      sum += std::hypot(found[i]->x - corners[i].x - shift.x, found[i]->y - corners[i].y - shift.y);
      ++count;
    }
    ASSERT_GT(count, static_cast<int>(corners.size()) * 9 / 10);
    EXPECT_LT(sum / count, 0.05) << shift.x << " " << shift.y;
  }
}

TEST(Flow, CornersStayInsideAndApart) {
  const std::vector<Point> corners = find_corners(moved_texture({}, kSize, kSize), kMiddle, 50);
  ASSERT_EQ(corners.size(), 50u);
  for (std::size_t i = 0; i < corners.size(); ++i) {
    EXPECT_LE(std::pow((corners[i].x - 99.5) / 62, 2) + std::pow((corners[i].y - 99.5) / 68, 2), 1);
    for (std::size_t j = 0; j < i; ++j)
      EXPECT_GE(std::hypot(corners[i].x - corners[j].x, corners[i].y - corners[j].y), 4);
  }
  EXPECT_TRUE(find_corners(Image(64, 64, 1), kMiddle, 50).empty()) << "a flat picture has none";
}

TEST(Flow, MotionOfARotatedAndZoomedTexture) {
  const Image first = moved_texture({}, kSize, kSize);
  const Point c{99.5, 99.5};
  for (const Similarity& truth :
       {motion_about(c, 3, 1.0, 1.3, -0.7), motion_about(c, -6, 1.04, -3, 2),
        motion_about(c, 1, 0.95, 6.5, 4.5)}) {
    const auto motion = estimate_motion(first, moved_texture(truth, kSize, kSize), kMiddle);
    ASSERT_TRUE(motion);
    for (const Point p : {Point{60, 60}, Point{140, 60}, Point{100, 150}}) {
      EXPECT_NEAR((*motion)(p).x, truth(p).x, 0.1);
      EXPECT_NEAR((*motion)(p).y, truth(p).y, 0.1);
    }
  }
}

TEST(Flow, AThirdOfTheFaceMovingOtherwiseDoesNotMatter) {
  const Image first = moved_texture({}, kSize, kSize);
  const Similarity truth = motion_about({99.5, 99.5}, 2, 1.0, 3.5, -1.5);
  Image second = moved_texture(truth, kSize, kSize);
  const Image other = moved_texture({1, 0, -6, 5}, kSize, kSize);
  for (int y = 115; y < kSize; ++y)
    for (int x = 0; x < kSize; ++x) *second.at(x, y) = *other.at(x, y);
  const auto motion = estimate_motion(first, second, kMiddle);
  ASSERT_TRUE(motion);
  for (const Point p : {Point{60, 60}, Point{140, 60}}) {
    EXPECT_NEAR((*motion)(p).x, truth(p).x, 0.25);
    EXPECT_NEAR((*motion)(p).y, truth(p).y, 0.25);
  }
}

TEST(Flow, UnrelatedAndFlatPicturesGiveNoMotion) {
  const Image first = moved_texture({}, kSize, kSize);
  Image noise(kSize, kSize, 1);
  std::mt19937 random(5);
  for (auto& p : noise.pixels) p = static_cast<std::uint8_t>(random());
  EXPECT_FALSE(estimate_motion(first, noise, kMiddle));
  EXPECT_FALSE(estimate_motion(Image(kSize, kSize, 1), Image(kSize, kSize, 1), kMiddle));
}

TEST(RobustSimilarity, NeedsEnoughPointsThatAgree) {
  std::mt19937 random(7);
  std::uniform_real_distribution<double> place(0, 200);
  const Similarity truth = motion_about({100, 100}, 10, 1.1, 4, 5);
  std::vector<Point> from, to;
  for (int i = 0; i < 40; ++i) {
    from.push_back({place(random), place(random)});
    to.push_back(i % 2 ? truth(from.back()) : Point{place(random), place(random)});
  }
  const auto found = robust_similarity(from, to);
  ASSERT_TRUE(found);
  EXPECT_NEAR(found->a, truth.a, 0.01);
  EXPECT_NEAR(found->b, truth.b, 0.01);
  EXPECT_FALSE(robust_similarity({from.begin(), from.begin() + 7}, {to.begin(), to.begin() + 7}));
  for (std::size_t i = 0; i < to.size(); ++i) to[i] = {place(random), place(random)};
  EXPECT_FALSE(robust_similarity(from, to));
}
}  // namespace
