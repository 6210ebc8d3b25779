// Padding and text of a convolution's shape.
#include "kernels/conv/shape.h"

#include <gtest/gtest.h>

#include "kernels/core/error.h"

using kernels::ConvShape;
using kernels::same_padding;

namespace {

TEST(ConvShapeTest, SamePaddingIsKeras) {
  const ConvShape even = same_padding(1, 64, 64, 3, 128, 5, 2);
  EXPECT_EQ(even.pad_begin, 1);
  EXPECT_EQ(even.pad_end, 2);
  EXPECT_EQ(even.out_h(), 32);
  const ConvShape odd = same_padding(1, 7, 7, 3, 128, 5, 2);
  EXPECT_EQ(odd.pad_begin, 2);
  EXPECT_EQ(odd.pad_end, 2);
  EXPECT_EQ(odd.out_h(), 4);
  const ConvShape unit = same_padding(1, 9, 12, 3, 8, 3, 1);
  EXPECT_EQ(unit.pad_begin, 1);
  EXPECT_EQ(unit.pad_end, 1);
  EXPECT_EQ(unit.out_w(), 12);
  EXPECT_EQ(same_padding(1, 9, 9, 3, 8, 1, 2).pad_begin, 0);
  // Rows and columns would need different padding.
  EXPECT_THROW(same_padding(1, 7, 8, 3, 8, 5, 2), kernels::Error);
}

TEST(ConvShapeTest, Text) {
  EXPECT_EQ(same_padding(16, 8, 8, 512, 1024, 5, 2).str(),
            "conv 5x5 stride 2 pad 1,2: [16,8,8,512] -> [16,4,4,1024]");
}
}  // namespace
