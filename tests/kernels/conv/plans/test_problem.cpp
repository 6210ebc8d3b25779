// The variants of a convolution by cuDNN, and the cost of padded channels.
#include <gtest/gtest.h>

#include <algorithm>

#include "kernels/conv/plans/problem.h"

using kernels::Activation;
using kernels::ConvShape;
using kernels::Direction;
using kernels::same_padding;
using namespace kernels::cudnn;

namespace {

bool has(const std::vector<Variant>& variants, Variant variant) {
  return std::find(variants.begin(), variants.end(), variant) != variants.end();
}

TEST(PlanProblem, ChannelsArePaddedToSixteenBytes) {
  const ConvShape s = same_padding(2, 8, 8, 126, 3, 3, 1);
  EXPECT_EQ(padded_channels(s, MathType::bf16).in_channels, 128);
  EXPECT_EQ(padded_channels(s, MathType::bf16).out_channels, 8);
  EXPECT_EQ(padded_channels(s, MathType::f16), padded_channels(s, MathType::bf16));
  EXPECT_EQ(padded_channels(s, MathType::tf32).in_channels, 128);
  EXPECT_EQ(padded_channels(s, MathType::tf32).out_channels, 4);
  const ConvShape even = same_padding(2, 8, 8, 64, 504, 3, 1);
  EXPECT_EQ(padded_channels(even, MathType::bf16), even);
}

TEST(PlanProblem, BytesOfTheCopies) {
  const ConvShape s = same_padding(2, 8, 8, 126, 3, 3, 1);
  const std::int64_t x = 2 * 8 * 8 * 128, y = 2 * 8 * 8 * 8, w = 8 * 9 * 128;
  EXPECT_EQ(padded_bytes(s, Direction::forward, MathType::bf16), 2 * (x + y + w + 8));
  EXPECT_EQ(padded_bytes(s, Direction::data, MathType::bf16), 2 * (x + y + w));
  EXPECT_EQ(padded_bytes(same_padding(2, 8, 8, 64, 504, 3, 1), Direction::filter, MathType::bf16),
            0);
  EXPECT_EQ(padded_bytes(same_padding(2, 8, 8, 3, 128, 5, 2), Direction::filter, MathType::bf16),
            2 * (2 * 8 * 8 * 8 + 128 * 25 * 8))
      << "y needs no padding";
}

TEST(PlanProblem, VariantsFollowTheProblem) {
  Problem p{same_padding(16, 32, 32, 128, 256, 3, 1), Direction::forward, MathType::bf16};
  EXPECT_EQ(variants(p, 90), (std::vector<Variant>{{}}));
  p.bias = true;
  p.activation = Activation::leaky_relu;
  EXPECT_EQ(variants(p, 90), (std::vector<Variant>{{false, false}, {false, true}}))
      << "Hopper's plain kernels first";
  EXPECT_EQ(variants(p, 86), (std::vector<Variant>{{false, true}, {false, false}}));
  p.math_type = MathType::f32;
  EXPECT_EQ(variants(p, 86), (std::vector<Variant>{{}})) << "strict float is not fused";
  p = {same_padding(16, 64, 64, 126, 126, 3, 1), Direction::data, MathType::bf16};
  EXPECT_EQ(variants(p, 90), (std::vector<Variant>{{true, false}, {false, false}}));
  p.shape = same_padding(32, 64, 64, 3, 128, 5, 2);
  EXPECT_EQ(variants(p, 90), (std::vector<Variant>{{false, false}, {true, false}}))
      << "three channels: cuDNN's own padding first";
  p.shape.n = 4096;
  EXPECT_FALSE(has(variants(p, 90), {true, false})) << "the copies would not fit the workspace";
}

TEST(PlanProblem, GraphsFollowTheVariant) {
  const Problem wanted{same_padding(16, 64, 64, 126, 3, 5, 1),
                       Direction::forward,
                       MathType::bf16,
                       false,
                       true,
                       Activation::sigmoid,
                       0.f,
                       16};
  const Problem plain = graph_of(wanted, {});
  EXPECT_EQ(plain.shape, wanted.shape);
  EXPECT_FALSE(plain.fused || plain.bias);
  EXPECT_EQ(plain.activation, Activation::none);
  const Problem both = graph_of(wanted, {true, true});
  EXPECT_EQ(both.shape.in_channels, 128);
  EXPECT_EQ(both.shape.out_channels, 8);
  EXPECT_TRUE(both.fused && both.bias);
  EXPECT_EQ(both.activation, Activation::sigmoid);
}

TEST(PlanProblem, TensorCores) {
  EXPECT_TRUE(has_tensor_cores(MathType::f16, 75));
  EXPECT_FALSE(has_tensor_cores(MathType::bf16, 75));
  EXPECT_TRUE(has_tensor_cores(MathType::bf16, 80));
  EXPECT_TRUE(has_tensor_cores(MathType::tf32, 120));
  EXPECT_FALSE(has_tensor_cores(MathType::f32, 120));
}
}  // namespace
