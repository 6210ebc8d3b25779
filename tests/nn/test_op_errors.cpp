// Error messages of the ops: the operation, the operand, what was expected and what
// came.
#include <gtest/gtest.h>

#include "nn/layers.h"
#include "nn/ops.h"

namespace nn_test {
namespace {

using namespace nn;

Tensor zeros(Shape shape, DType dtype = DType::f32) {
  return Tensor::zeros(shape, dtype, Device::host);
}

template <class F> std::string message_of(F&& f) {
  try {
    f();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::usage) << error.what();
    return error.what();
  }
  return "nothing was thrown";
}

TEST(OpErrors, Conv2d) {
  EXPECT_EQ(
      message_of([] {
        conv2d(zeros({8, 64, 64, 3}), zeros({64, 3, 3, 32}), {});
      }),
      "conv2d: weight [64,3,3,32] (OHWI) expects 32 input channels, got input [8,64,64,3] (NHWC)");
  EXPECT_EQ(message_of([] {
              conv2d(zeros({64, 64, 3}), zeros({64, 3, 3, 3}), {});
            }),
            "conv2d: input must be [N,H,W,C], got [64,64,3]");
  EXPECT_EQ(message_of([] {
              conv2d(zeros({1, 4, 4, 3}), zeros({64, 3, 5, 3}), {});
            }),
            "conv2d: weight must be [O,K,K,I] (OHWI, square), got [64,3,5,3]");
  EXPECT_EQ(message_of([] {
              conv2d(zeros({1, 4, 4, 3}), zeros({8, 3, 3, 3}), zeros({4}));
            }),
            "conv2d: bias [4] must be [8], one per output channel of weight [8,3,3,3]");
  EXPECT_EQ(message_of([] {
              conv2d(zeros({1, 4, 4, 3}), zeros({8, 3, 3, 3}, DType::bf16), {});
            }),
            "conv2d: weight [8,3,3,3] is bf16, but input [1,4,4,3] is f32; both must have the same "
            "dtype");
  EXPECT_EQ(message_of([] { conv2d({}, zeros({8, 3, 3, 3}), {}); }), "conv2d: input is undefined");
  EXPECT_EQ(message_of([] {
              conv2d(zeros({1, 4, 4, 3}), Tensor(), Tensor());
            }),
            "conv2d: weight is undefined");
  EXPECT_EQ(message_of([] {
              conv2d(zeros({1, 4, 4, 3}), zeros({6, 3, 3, 3}), {}, {1, Activation::none, 0.1f, 2});
            }),
            "conv2d: the 6 output channels of weight [6,3,3,3] (OHWI) must divide by r*r = 2*2, "
            "the shuffle's");
  EXPECT_EQ(message_of([] {
              conv2d(zeros({1, 4, 4, 3}), zeros({8, 3, 3, 3}), {}, {0, Activation::none, 0.1f});
            }),
            "conv2d: stride 0 must be at least 1");
  EXPECT_EQ(
      message_of([] {
        conv2d(zeros({1, 4, 4, 3}), zeros({8, 3, 3, 3}), {}, {1, Activation::leaky_relu, -0.5f});
      }),
      "conv2d: slope -0.5 of the leaky ReLU must not be negative");
  EXPECT_EQ(message_of([] {
              conv2d(zeros({0, 4, 4, 3}), zeros({8, 3, 3, 3}), {});
            }),
            "conv2d: input [0,4,4,3] or weight [8,3,3,3] has no elements");
  EXPECT_EQ(message_of([] {
              conv2d(zeros({1, 4, 4, 3}, DType::u8), zeros({8, 3, 3, 3}, DType::u8), {});
            }),
            "conv2d: there is no kernel for u8 on host");
}

TEST(OpErrors, DepthwiseConv2d) {
  EXPECT_EQ(message_of([] {
              depthwise_conv2d(zeros({1, 4, 4, 3}), zeros({5, 5, 4}), 2);
            }),
            "depthwise_conv2d: weight must be [K,K,3], a square filter for each channel of input "
            "[1,4,4,3] (NHWC), got [5,5,4]");
  EXPECT_EQ(message_of([] {
              depthwise_conv2d(zeros({1, 4, 4, 3}), zeros({5, 3, 3}), 2);
            }),
            "depthwise_conv2d: weight must be [K,K,3], a square filter for each channel of input "
            "[1,4,4,3] (NHWC), got [5,3,3]");
  EXPECT_EQ(message_of([] {
              depthwise_conv2d(zeros({4, 4, 3}), zeros({5, 5, 3}), 2);
            }),
            "depthwise_conv2d: input must be [N,H,W,C] with elements, got [4,4,3]");
  EXPECT_EQ(message_of([] {
              depthwise_conv2d(zeros({1, 4, 4, 3}), zeros({5, 5, 3}), 0);
            }),
            "depthwise_conv2d: stride 0 must be at least 1");
  EXPECT_EQ(message_of([] {
              depthwise_conv2d(zeros({1, 4, 4, 3}), zeros({5, 5, 3}, DType::bf16), 2);
            }),
            "depthwise_conv2d: weight [5,5,3] is bf16, but input [1,4,4,3] is f32; both must have "
            "the same dtype");
  EXPECT_EQ(message_of([] {
              depthwise_conv2d({}, zeros({5, 5, 3}), 2);
            }),
            "depthwise_conv2d: input is undefined");
}

TEST(OpErrors, ConvBranchesAndResiduals) {
  const Tensor x = zeros({3, 4, 4, 2}), weight = zeros({4, 3, 3, 2}), bias = zeros({4});
  EXPECT_EQ(message_of([&] {
              const ConvBranch branches[] = {{weight, bias}, {weight, bias}};
              conv2d(x, branches, {});
            }),
            "conv2d: the 3 pictures of input [3,4,4,2] must divide by the 2 branches");
  EXPECT_EQ(message_of([&] {
              const ConvBranch branches[] = {{weight, bias}, {weight, {}}};
              conv2d(x.rows(0, 2), branches, {});
            }),
            "conv2d: the branches must be alike: weights of [4,3,3,2], a bias in each or in none");
  EXPECT_EQ(message_of([&] { conv2d(x, std::span<const ConvBranch>(), {}); }),
            "conv2d: 0 branches; give it 1 to 2");
  for (const auto& [options, shape] :
       {std::pair(Conv2dOptions{.shuffle = 2}, Shape{3, 8, 8, 1}),
        {Conv2dOptions{.activation = Activation::sigmoid}, Shape{3, 4, 4, 4}}})
    EXPECT_EQ(message_of([&] { conv2d(x, weight, bias, options, zeros(shape)); }),
              "conv2d: residual " + shape.str() + " must have the result's shape " + shape.str() +
                  ", and goes with neither a shuffle nor a sigmoid");
  EXPECT_EQ(message_of([&] {
              conv2d(x, weight, bias, {}, zeros({3, 4, 4, 2}));
            }),
            "conv2d: residual [3,4,4,2] must have the result's shape [3,4,4,4], and goes with "
            "neither a shuffle nor a sigmoid");
}

TEST(OpErrors, Dense) {
  EXPECT_EQ(message_of([] {
              dense(zeros({2, 10}), zeros({5, 12}), {});
            }),
            "dense: weight [5,12] ([O,I]) expects 12 input features, got input [2,10] ([N,I])");
  EXPECT_EQ(message_of([] {
              dense(zeros({2, 2, 5}), zeros({5, 10}), {});
            }),
            "dense: input must be [N,I], got [2,2,5]");
  EXPECT_EQ(message_of([] {
              dense(zeros({2, 10}), zeros({5, 10}), zeros({5, 1}));
            }),
            "dense: bias [5,1] must be [5], one per output channel of weight [5,10]");
}

TEST(OpErrors, Pointwise) {
  EXPECT_EQ(message_of([] {
              add(zeros({2, 3}), zeros({3, 2}));
            }),
            "add: operands [2,3] of f32 on host and [3,2] of f32 on host must be alike");
  EXPECT_EQ(message_of([] { add(zeros({2}), zeros({2}, DType::bf16)); }),
            "add: operands [2] of f32 on host and [2] of bf16 on host must be alike");
  EXPECT_EQ(
      message_of([] { leaky_relu(zeros({2}), -1.f); }),
      "leaky_relu: slope -1 must not be negative: backward reads the input's sign from the output");
  EXPECT_EQ(message_of([] { sigmoid({}); }), "sigmoid: input is undefined");
  EXPECT_EQ(message_of([] { scale({}, 2); }), "scale: input is undefined");
  EXPECT_EQ(message_of([] { sum({}); }), "sum: input is undefined");
  EXPECT_EQ(message_of([] { add({}, zeros({2})); }), "add: an operand is undefined");
}

TEST(OpErrors, Image) {
  EXPECT_EQ(message_of([] {
              pixel_shuffle(zeros({1, 4, 4, 6}), 2);
            }),
            "pixel_shuffle: the channels of input [1,4,4,6] (NHWC) must divide by r*r = 2*2");
  EXPECT_EQ(message_of([] {
              pixel_shuffle(zeros({4, 4, 8}), 2);
            }),
            "pixel_shuffle: input must be [N,H,W,C], got [4,4,8]");
  EXPECT_EQ(message_of([] {
              concat_channels(zeros({1, 4, 4, 6}), zeros({1, 4, 5, 6}));
            }),
            "concat_channels: [1,4,4,6] of f32 on host and [1,4,5,6] of f32 on host may differ in "
            "their last extent only");
  EXPECT_NE(message_of([] { concat_channels(zeros({4}), zeros({1, 4})); }), "nothing was thrown");
}

TEST(OpErrors, Losses) {
  const Tensor image = zeros({2, 8, 8, 3});
  EXPECT_EQ(message_of([&] {
              mae_loss(image, zeros({2, 8, 8, 1}));
            }),
            "mae_loss: target [2,8,8,1] must have the shape of the prediction [2,8,8,3]");
  EXPECT_EQ(message_of([&] {
              mse_loss(image, image, zeros({2, 8, 8, 1}));
            }),
            "mse_loss: mask [2,8,8,1] must be [N,H,W] = [2,8,8] for the prediction [2,8,8,3]");
  EXPECT_EQ(message_of([] {
              dssim_loss(zeros({1, 5, 8, 3}), zeros({1, 5, 8, 3}));
            }),
            "dssim_loss: images must be at least 6x6, got [1,5,8,3]");
  EXPECT_EQ(message_of([&] {
              mae_loss(image, zeros({2, 8, 8, 3}, DType::bf16));
            }),
            "mae_loss: target is bf16 on host, but the prediction is f32 on host");
  Tensor target = zeros({2, 8, 8, 3});
  target.set_requires_grad(true);
  EXPECT_EQ(message_of([&] { mae_loss(image, target); }),
            "mae_loss: target and mask get no gradient; pass them detached");
}

TEST(OpErrors, Parameters) {
  ParameterArena arena;
  arena.add("encoder.weight", {4, 4}, {});
  EXPECT_EQ(message_of([&] { arena.add("encoder.weight", {4}, {}); }),
            "parameters: encoder.weight is declared twice");
  EXPECT_EQ(message_of([&] {
              arena.add("empty", {4, 0}, {});
            }),
            "parameters: empty has no elements: [4,0]");
  EXPECT_EQ(message_of([&] { arena.allocate(Device::host, DType::u8, 1); }),
            "parameters: the working dtype must be f32, bf16, f16 or f64, not u8");
  arena.allocate(Device::host, DType::f32, 1);
  EXPECT_EQ(message_of([&] { arena.add("late", {4}, {}); }),
            "parameters: late is declared after allocate()");
  EXPECT_EQ(message_of([&] { arena.allocate(Device::host, DType::f32, 1); }),
            "parameters: allocate() is called twice");
}
}  // namespace
}  // namespace nn_test
