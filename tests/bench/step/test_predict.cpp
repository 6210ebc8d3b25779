// The model of time behind doppel_step --predict, on launches that can be reckoned by hand.
#include "bench/step/predict.h"

#include <gtest/gtest.h>

#include <set>

namespace {

using namespace bench::step;
using kernels::CountedLaunch;

const Card& card(const std::string& name) {
  return *std::find_if(cards().begin(), cards().end(),
                       [&](const Card& c) { return name == c.name; });
}
const Card& h200 = card("h200");

TEST(Predict, MemoryTakesItsBytesAtTheStatedShareOfTheBandwidth) {
  const LaunchTime time = predict({"add_kernel", 1e6, h200.bytes * 1e-3}, h200, h200.half);
  EXPECT_NEAR(time.seconds, 1e-3 / time.efficiency, 1e-9);
  EXPECT_LT(time.efficiency, 1);
  EXPECT_STREQ(time.bound, "memory");
  EXPECT_EQ(time.floor, 0);  // it could ride along
  EXPECT_NEAR(predict({"adam_kernel", 0, h200.bytes * 1e-3}, h200, h200.half).floor, 1e-3, 1e-9);
}

TEST(Predict, ATinyLaunchIsBoundByLatencyAndArithmeticByItsPipeline) {
  EXPECT_STREQ(predict({"add_kernel", 0, 8}, h200, h200.half).bound, "latency");
  EXPECT_STREQ(predict({"DssimForward", 1e12, 1e6}, h200, h200.half).bound, "FP32");
}

// A convolution of m x n results and k terms.
CountedLaunch conv(const char* direction, double m, double n, double k) {
  return {std::string("conv, ") + direction, 2 * m * n * k, 1, {m, n, k}};
}

TEST(Predict, AWaveOfTilesThatIsNotFullCostsAsMuchAsAFullOne) {
  const auto seconds = [](double m) {
    return predict(conv("forward", m, 128, 1 << 14), h200, h200.half).seconds;
  };
  const double full = 128.0 * h200.multiprocessors;
  const LaunchTime time = predict(conv("forward", full, 128, 1 << 14), h200, h200.half);
  EXPECT_EQ(time.fill, 1);
  EXPECT_STREQ(time.bound, "tensor cores");
  EXPECT_NEAR(time.floor / time.seconds, time.efficiency, 1e-9);
  EXPECT_GT(seconds(full + 1), 1.4 * seconds(full));
  EXPECT_GT(seconds(full / 4), 0.3 * seconds(full));  // small tiles help a little
}

TEST(Predict, LongSumsOfFewResultsAreSplitInGradientsOfWeights) {
  const double k = 1 << 20;
  EXPECT_GT(predict(conv("backward filter", 256, 256, k), h200, h200.half).fill, 0.8);
  EXPECT_LT(predict(conv("forward", 256, 256, k), h200, h200.half).fill, 0.2);
}

TEST(Predict, PaddingCostsItsCopies) {
  CountedLaunch launch{"conv, forward", 0, h200.bytes * 1e-3, {8, 8, 8}};
  const double plain = predict(launch, h200, h200.half).seconds;
  launch.product.copied_bytes = launch.bytes;
  EXPECT_NEAR(predict(launch, h200, h200.half).seconds, 2 * plain, 1e-9);
}

TEST(Predict, NamesWithoutScopesAndTypes) {
  EXPECT_EQ(bare_name("const char* simt::on_host::kernel_name() [with auto K = "
                      "kernels::on_host::{anonymous}::add_kernel<float>]"),
            "add_kernel");
  EXPECT_EQ(bare_name("const char *simt::on_host::kernel_name() [K = &kernels::on_host::"
                      "(anonymous namespace)::finish_step_kernel]"),
            "finish_step_kernel");
  EXPECT_EQ(bare_name("const char* simt::on_host::kernel_name() [with auto K = simt::on_host::"
                      "block_kernel<kernels::{anonymous}::SumPieces<float, true> >; X]"),
            "SumPieces");
  EXPECT_EQ(bare_name("gemm 1x2x3"), "gemm 1x2x3");
}

TEST(Predict, AStepIsTheSumOfItsKernelsAndOfItsPhases) {
  const auto step = predict_step(h200, {"original", "bf16", 16, 1.6});
  double kernels = 0, phases = 0;
  for (const auto& kernel : step["kernels"]) kernels += kernel["median_ms"].get<double>();
  for (const auto& phase : step["parts"]) phases += phase["median_ms"].get<double>();
  const double ms = step["median_ms"].get<double>(), floor = step["floor_ms"].get<double>();
  EXPECT_NEAR(kernels, ms, 1e-9);
  EXPECT_NEAR(phases, ms, 1e-9);
  // 0.53 ms of products and 0.53 ms of Adam at 28 bytes per weight: performance on paper.
  EXPECT_NEAR(floor, 1.05, 0.05);
  EXPECT_LT(floor, ms);
  EXPECT_NE(prediction_table(step).find("goal on h200 1.6"), std::string::npos);
  EXPECT_GT(predict_step(card("h100"), {"original", "bf16", 16})["median_ms"].get<double>(), ms);
}

TEST(Predict, EveryLaunchOfAStepSaysWhatItMoves) {
  const std::set<std::string> tiny{"gaps between nodes", "advance_step_kernel",
                                   "finish_step_kernel", "SumPartials"};
  for (const char* model : {"original", "villain", "dfl_sae"}) {
    const auto step = predict_step(h200, {model, "bf16", 16});
    EXPECT_GT(step["kernels"].size(), 30u);
    for (const auto& kernel : step["kernels"])
      EXPECT_NE(kernel["bytes"].get<double>() > 0, tiny.contains(kernel["name"]))
          << kernel["name"] << " of " << model;
  }
}
}  // namespace
