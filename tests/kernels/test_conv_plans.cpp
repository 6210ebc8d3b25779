// Every convolution of the models finds a cuDNN plan on GPUs that this machine does not have: cuDNN plans for a described
// device. A model edit that leaves what cuDNN supports fails here, before anybody owns that card.
#include <gtest/gtest.h>

#include <fstream>
#include <sstream>

#include "kernels/cudnn_plan.h"
#include "kernels/error.h"

#if DOPPEL_HAS_CUDA
using kernels::Activation;
using kernels::ConvShape;
using kernels::same_padding;
using kernels::cudnn::Direction;
using kernels::cudnn::Number;
using kernels::cudnn::Problem;

namespace {

std::string device(const char* name) {
  std::ifstream file(std::string(DOPPEL_SOURCE_DIR "/tests/data/device_properties_") + name + ".json");
  EXPECT_TRUE(file) << name;
  std::stringstream text;
  text << file.rdbuf();
  std::string json = text.str();
  while (!json.empty() && json.back() == '\n') json.pop_back();
  return json;
}

// Encoder and decoder at batch 16 per side; the shared encoder sees both sides at once.
std::vector<ConvShape> model_shapes() {
  const int one = 16, both = 32;
  return {same_padding(both, 64, 64, 3, 128, 5, 2),    same_padding(both, 32, 32, 128, 256, 5, 2), same_padding(both, 16, 16, 256, 512, 5, 2),
          same_padding(both, 8, 8, 512, 1024, 5, 2),   same_padding(both, 4, 4, 1024, 2048, 3, 1), same_padding(one, 8, 8, 512, 1024, 3, 1),
          same_padding(one, 16, 16, 256, 512, 3, 1),   same_padding(one, 32, 32, 128, 256, 3, 1),  same_padding(one, 64, 64, 64, 3, 5, 1),   // original
          same_padding(both, 8, 8, 512, 1024, 3, 1),   same_padding(one, 8, 8, 256, 2048, 3, 1),   same_padding(one, 16, 16, 512, 1024, 3, 1),
          same_padding(one, 32, 32, 256, 512, 3, 1),   same_padding(one, 64, 64, 128, 3, 5, 1)};                                             // lightweight
}

struct ConvPlans : testing::TestWithParam<const char*> {
  void SetUp() override {
    try {
      kernels::cudnn::plan_for_described_device({same_padding(1, 8, 8, 8, 8, 3, 1), Direction::forward, Number::bf16}, device(GetParam()));
    } catch (const kernels::Error& e) {
      if (e.kind() != kernels::ErrorKind::device) throw;  // anything but a missing library is a failure
      GTEST_SKIP() << e.what();
    }
  }
};
INSTANTIATE_TEST_SUITE_P(Devices, ConvPlans, testing::Values("h200_synthetic", "rtx3090_synthetic"));

TEST_P(ConvPlans, EveryLayerInEveryDirection) {
  const std::string json = device(GetParam());
  for (const ConvShape& shape : model_shapes()) {
    for (const Direction direction : {Direction::forward, Direction::data, Direction::filter}) {
      for (const Number number : {Number::f32, Number::tf32, Number::bf16}) {
        const Problem problem{shape, direction, number};
        const auto report = kernels::cudnn::plan_for_described_device(problem, json);
        EXPECT_TRUE(report.found) << problem.str() << ": " << report.why_not;
        EXPECT_LE(report.workspace, kernels::cudnn::workspace_cap) << problem.str();
        EXPECT_GE(report.engine, 0) << problem.str();
      }
    }
  }
}

// Strict float must not get the engine that rounds its inputs to TF32, which cuDNN ranks first.
TEST_P(ConvPlans, StrictFloatAvoidsTheTensorCores) {
  const std::string json = device(GetParam());
  for (const Direction direction : {Direction::forward, Direction::data, Direction::filter}) {
    const ConvShape shape = same_padding(32, 32, 32, 128, 256, 5, 2);
    const auto strict = kernels::cudnn::plan_for_described_device({shape, direction, Number::f32}, json);
    const auto rounded = kernels::cudnn::plan_for_described_device({shape, direction, Number::tf32}, json);
    EXPECT_NE(strict.engine, rounded.engine);
    EXPECT_GT(strict.offered, rounded.offered) << "configurations were passed over";
  }
}

TEST_P(ConvPlans, DescriptionThatCannotBeReadIsAnError) {
  EXPECT_THROW(kernels::cudnn::plan_for_described_device({same_padding(1, 8, 8, 8, 8, 3, 1), Direction::forward, Number::bf16}, "{\"deviceVer\":"), kernels::Error);
}

}  // namespace
#endif
