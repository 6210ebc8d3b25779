// Described cards for plans without a GPU, from public data sheets, hence "synthetic":
// cuDNN derives from them what is supported, not what is fast.
#pragma once
#include <dlfcn.h>
#include <gtest/gtest.h>

#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include "kernels/conv/cudnn/planner.h"
#include "kernels/core/error.h"

namespace plans {

using kernels::Activation;
using kernels::ConvShape;
using kernels::Direction;
using kernels::same_padding;
using kernels::cudnn::MathType;
using kernels::cudnn::Problem;

struct Card {
  const char* name;
  int compute_capability;
};
inline const std::vector<Card>& cards() {
  static const std::vector<Card> all = {{"t4", 75},      {"a100", 80}, {"rtx3090", 86},
                                        {"rtx4090", 89}, {"h200", 90}, {"b200", 100},
                                        {"rtx5090", 120}};
  return all;
}

inline std::string description(const std::string& card) {
  std::ifstream file(DOPPEL_SOURCE_DIR "/tests/data/device_properties_" + card + "_synthetic.json");
  EXPECT_TRUE(file) << card;
  std::string json;
  std::getline(file, json);
  return json;
}

// Training's math types on a card: strict float and those of its tensor cores.
inline std::vector<MathType> math_types(const Card& card) {
  return card.compute_capability < 80 ? std::vector{MathType::f32, MathType::f16}
                                      : std::vector{MathType::f32, MathType::tf32, MathType::bf16};
}

inline constexpr Direction directions[] = {Direction::forward, Direction::data, Direction::filter};

// Loads the driver's stand-in once. Skips the test if cuDNN is not installed.
struct WithCudnn : testing::Test {
  void SetUp() override {
    static void* const driver = dlopen(DOPPEL_DRIVER_STAND_IN, RTLD_NOW | RTLD_GLOBAL);
    ASSERT_NE(driver, nullptr) << dlerror();
    try {
      const Problem problem{same_padding(1, 8, 8, 8, 8, 3, 1), Direction::forward, MathType::f32};
      kernels::cudnn::Planner(problem, description("h200")).first();
    } catch (const kernels::Error& e) {
      if (e.kind() != kernels::ErrorKind::device) throw;  // not a missing library: a failure
      GTEST_SKIP() << e.what();
    }
  }
};
}  // namespace plans
