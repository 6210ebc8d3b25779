// Shrinking, patches and sharpness of grey pictures, on linear ramps.
#include <gtest/gtest.h>

#include "faceswap/faces/gray.h"
#include "faceswap/synthetic/head.h"

namespace {

using namespace faceswap;

TEST(Gray, PatchesAndSharpness) {
  Image gray(90, 60, 1);
  for (int y = 0; y < 60; ++y)
    for (int x = 0; x < 90; ++x) *gray.at(x, y) = static_cast<std::uint8_t>(x + 2 * y);
  for (const double scale : {0.25, 0.5, 1.0, 2.5}) {
    const Similarity to_patch{scale * 0.96, scale * 0.28, -3, 4};
    const Image patch = gray_patch(gray, to_patch, 24, 20);
    const Similarity back = to_patch.inverse();
    for (int y = 0; y < 20; ++y)
      for (int x = 0; x < 24; ++x) {
        const Point p = back({static_cast<double>(x), static_cast<double>(y)});
        const double reach = 1 / scale + 1;
        if (p.x > reach && p.y > reach && p.x < 89 - reach && p.y < 59 - reach) {
          EXPECT_NEAR(*patch.at(x, y), p.x + 2 * p.y, 0.8);
        }
      }
  }
  const Image half = shrink_gray(gray, 2);
  EXPECT_EQ(half.width, 45);
  EXPECT_NEAR(*half.at(10, 10), 20.5 + 2 * 20.5, 0.6);
  const Image small = shrink_to(gray, 9, 6);
  EXPECT_NEAR(*small.at(4, 3), 44.5 + 2 * 34.5, 0.6);

  const HeadPicture head = draw_head(head_identity('a'), {}, 160, 120, 0, 1);
  const Image sharp = to_gray(head.rgb),
              blurred = gray_patch(shrink_gray(sharp, 2), {2, 0, 0.5, 0.5}, 160, 120);
  EXPECT_GT(laplacian_variance(sharp), 3 * laplacian_variance(blurred));
}
}  // namespace
