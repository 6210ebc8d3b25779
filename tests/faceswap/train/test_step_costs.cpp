// Costs of a training step as the meta device counts them, against the layer table of
// the published model.
#include <gtest/gtest.h>

#include <map>
#include <regex>
#include <string>

#include "faceswap/train/face_set.h"
#include "faceswap/train/training_step.h"

namespace {

using faceswap::FacesOnDevice;

struct Cost {
  double flops = 0, bytes = 0;  // of convolutions and products
  int launches = 0;
  std::map<std::string, int> by_kernel = {};
};

// "WideForward" and "adam" from the names of kernels' instances, "conv forward" and "gemm"
// from those of products with their shapes.
std::string short_name(const std::string& name) {
  static const std::regex block(R"(block_kernel<kernels::.*?::(\w+)<)"),
      raw(R"(K = (?:\S*::)?(\w+?)(?:_kernel)?[<\];])"), conv("^(conv) .*,( [a-z ]+)$"),
      gemm("^(gemm) ");
  std::smatch found;
  for (const std::regex& pattern : {block, raw, conv, gemm})
    if (std::regex_search(name, found, pattern)) return found[1].str() + found[2].str();
  return name;
}

Cost cost_of_a_step(const std::string& name, nn::DType dtype, int batch) {
  constexpr auto meta = nn::Device::meta;
  const std::unique_ptr<faceswap::Model> model = faceswap::make_model(name);
  model->arena().allocate(meta, dtype, 1);
  nn::StepStateBlock state(meta, {});
  faceswap::StepPlan plan;
  plan.batch = batch;
  const FacesOnDevice faces{nullptr, 1, faceswap::stored_size_for(model->size())};
  faceswap::TrainingStep step(*model, dtype, {faces, faces}, state, plan);
  kernels::Stream& stream = kernels::Stream::of(meta);
  stream.take_counted();
  step.run();
  Cost cost;
  for (const kernels::CountedLaunch& launch : stream.take_counted()) {
    if (launch.product.m > 0) {
      cost.flops += launch.flops;
      cost.bytes += launch.bytes;
    }
    ++cost.launches;
    ++cost.by_kernel[short_name(launch.name)];
  }
  return cost;
}

// Multiply-adds of one picture through `original`: output pixels x output channels x
// (taps x input channels).
constexpr double kFirstConv = 32 * 32 * 128 * (25.0 * 3);
constexpr double kForward = kFirstConv + 16 * 16 * 256 * (25.0 * 128) + 8 * 8 * 512 * (25.0 * 256) +
                            4 * 4 * 1024 * (25.0 * 512)    // encoder's convs
                            + 2 * 16384.0 * 1024           // its dense layers
                            + 4 * 4 * 2048 * (9.0 * 1024)  // its upscale
                            + 8 * 8 * 1024 * (9.0 * 512) + 16 * 16 * 512 * (9.0 * 256) +
                            32 * 32 * 256 * (9.0 * 128)   // decoder's upscales
                            + 64 * 64 * 3 * (25.0 * 64);  // its output

TEST(StepCost, IsThreeForwardPassesLessTheFirstInputGradient) {
  // Forward, gradient of the input, gradient of the weights; none for the pictures.
  EXPECT_DOUBLE_EQ(cost_of_a_step("original", nn::DType::f32, 16).flops,
                   2 * 32 * (3 * kForward - kFirstConv));
}

TEST(StepCost, ArithmeticGrowsWithTheBatchAndTrafficWithTheType) {
  const Cost small = cost_of_a_step("tiny", nn::DType::f32, 2),
             large = cost_of_a_step("tiny", nn::DType::f32, 8),
             half = cost_of_a_step("tiny", nn::DType::bf16, 8);
  EXPECT_DOUBLE_EQ(large.flops, 4 * small.flops);
  EXPECT_LT(large.bytes, 4 * small.bytes);  // the weights are read once, whatever the batch
  EXPECT_DOUBLE_EQ(half.flops, large.flops);
  EXPECT_DOUBLE_EQ(2 * half.bytes, large.bytes);
  EXPECT_EQ(large.launches, small.launches);
}

// Every launch of a step on the GPU. An op that adds a launch to every layer shows here.
TEST(StepCost, LaunchesOfOriginal) {
  const std::map<std::string, int> expected{
      // 44 convolutions and products; both dense biases are inside theirs
      {"conv forward", 13},
      {"conv backward filter", 13},
      {"conv backward data", 12},
      {"gemm", 6},
      // bias and activation, where cuDNN's fused plan is not faster: the encoder's convolutions
      {"conv_epilogue", 4},
      // the same with the shuffle, of both decoders at once, and all of it backward
      {"WideForward", 5},
      {"WideBackward", 9},
      {"ColumnTotals", 1},
      // samples
      {"draw_recipes", 1},
      {"augment", 1},
      // both people's losses
      {"DssimForward", 1},
      {"DssimBackward", 1},
      // gradient norm, Adam, the step's counters
      {"advance_step", 1},
      {"SumPieces", 1},
      {"SumPartials", 1},
      {"adam", 1},
      {"finish_step", 1}};
  for (const nn::DType dtype : {nn::DType::f32, nn::DType::bf16})
    EXPECT_EQ(cost_of_a_step("original", dtype, 16).by_kernel, expected);
}

TEST(StepCost, LaunchesOfEachModel) {
  const std::map<std::string, int> expected{
      {"original", 72}, {"lightweight", 67}, {"tiny", 72}, {"villain", 314}, {"dfl_sae", 169}};
  for (const auto& [model, launches] : expected)
    EXPECT_EQ(cost_of_a_step(model, nn::DType::bf16, 16).launches, launches) << model;
}
}  // namespace
