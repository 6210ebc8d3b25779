// Every convolution of every model, at batch 16 per person, finds cuDNN plans on
// described GPUs. A model edit beyond cuDNN's support fails here, without that card.
#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <mutex>
#include <thread>

#include "bench/plans/model_shapes.h"
#include "faceswap/models/model.h"
#include "tests/kernels/conv/cudnn/described_devices.h"

using namespace plans;
using kernels::cudnn::graph_of;
using kernels::cudnn::PlanReport;
using kernels::cudnn::Variant;
using kernels::cudnn::variants;

namespace {

constexpr int kBatch = 16;  // per person

void add(std::vector<ConvShape>& shapes, const std::vector<ConvShape>& more) {
  for (const ConvShape& s : more) {
    if (std::find(shapes.begin(), shapes.end(), s) == shapes.end()) shapes.push_back(s);
  }
}

// Faceswap's villain and dfl_sae (df) at 128 px, layer by layer: wider and less regular
// than the built-in models.
std::vector<ConvShape> wide_models() {
  constexpr int one = kBatch, both = 2 * kBatch;
  return {same_padding(both, 128, 128, 3, 128, 5, 2),  same_padding(both, 64, 64, 128, 128, 3, 1),
          same_padding(both, 64, 64, 128, 128, 5, 2),  same_padding(both, 64, 64, 32, 128, 5, 2),
          same_padding(both, 16, 16, 128, 256, 1, 1),  same_padding(both, 16, 16, 256, 512, 5, 2),
          same_padding(both, 4, 4, 512, 1024, 1, 1),   same_padding(both, 8, 8, 1024, 2048, 3, 1),
          same_padding(one, 16, 16, 512, 2048, 3, 1),  same_padding(one, 32, 32, 512, 512, 3, 1),
          same_padding(one, 32, 32, 512, 1024, 3, 1),  same_padding(one, 64, 64, 256, 256, 3, 1),
          same_padding(one, 64, 64, 256, 512, 3, 1),   same_padding(one, 128, 128, 128, 128, 3, 1),
          same_padding(one, 128, 128, 128, 3, 5, 1),   same_padding(both, 128, 128, 3, 126, 5, 2),
          same_padding(both, 64, 64, 126, 252, 5, 2),  same_padding(both, 32, 32, 252, 504, 5, 2),
          same_padding(both, 16, 16, 504, 1008, 5, 2), same_padding(both, 8, 8, 512, 2048, 3, 1),
          same_padding(one, 16, 16, 512, 2016, 3, 1),  same_padding(one, 32, 32, 504, 504, 3, 1),
          same_padding(one, 32, 32, 504, 1008, 3, 1),  same_padding(one, 64, 64, 252, 252, 3, 1),
          same_padding(one, 64, 64, 252, 504, 3, 1),   same_padding(one, 128, 128, 126, 126, 3, 1),
          same_padding(one, 128, 128, 126, 3, 5, 1)};
}

// Returns "" if a plan is among those measured on the card, else the others'
// description. A 16-bit type must use the tensor cores of a card that has them for it.
std::string search(const Problem& problem, int compute_capability, const std::string& json) {
  const bool on_tensor_cores = kernels::cudnn::bytes_per_value(problem.math_type) == 2 &&
                               has_tensor_cores(problem.math_type, compute_capability);
  std::string met;
  for (const bool fallback : {false, true}) {
    for (const Variant variant : variants(problem, compute_capability)) {
      const Problem graph = graph_of(problem, variant);
      std::size_t built = 0;
      for (const auto& engine : kernels::cudnn::Planner(graph, json).engines(fallback)) {
        const PlanReport report = kernels::cudnn::Planner(graph, json).plan(engine).report;
        if (!report.found) continue;
        if (report.tensor_cores || !on_tensor_cores) return "";
        met += fmt::format(" {}{} without tensor cores;", report.engine.index,
                           variant.padded ? " (padded)" : "");
        if (++built == kernels::cudnn::engines_measured) break;
      }
    }
    if (!met.empty()) return met;
  }
  return " no plan at all";
}

struct ConvPlans : WithCudnn {};

TEST_F(ConvPlans, EveryConvolutionOfEveryModelOnEveryCard) {
  std::vector<ConvShape> shapes = wide_models();
  for (const faceswap::ModelInfo& model : faceswap::model_list()) {
    const std::vector<ConvShape> own = conv_shapes(model.name, kBatch);
    EXPECT_GE(own.size(), 5u) << model.name << ": its convolutions were not found";
    add(shapes, own);
  }
  struct Task {
    Card card;
    std::string json;
    Problem problem;
  };
  std::vector<Task> tasks;
  for (const Card& card : cards()) {
    const std::string json = description(card.name);
    for (const ConvShape& shape : shapes)
      for (const MathType math_type : math_types(card))
        for (const Direction direction : directions)
          tasks.push_back({card, json, {shape, direction, math_type}});
  }

  std::atomic<std::size_t> next{0};
  std::mutex mutex;
  std::vector<std::string> failures;
  const auto work = [&] {
    for (std::size_t i = next++; i < tasks.size(); i = next++) {
      const Task& task = tasks[i];
      const std::string failure = search(task.problem, task.card.compute_capability, task.json);
      if (failure.empty()) continue;
      const std::lock_guard lock(mutex);
      failures.push_back(fmt::format("{} {}:{}", task.card.name, task.problem.str(), failure));
    }
  };
  std::vector<std::thread> workers;
  for (unsigned i = 0; i < std::clamp(std::thread::hardware_concurrency(), 1u, 8u); ++i)
    workers.emplace_back(work);
  for (std::thread& worker : workers) worker.join();
  EXPECT_GT(tasks.size(), 1000u);
  for (const std::string& failure : failures) ADD_FAILURE() << failure;
}

// Strict float must not get cuDNN's first engine, which rounds its inputs to TF32.
TEST_F(ConvPlans, StrictFloatAvoidsTheTensorCores) {
  for (const char* card : {"rtx3090", "h200"}) {
    const std::string json = description(card);
    for (const Direction direction : directions) {
      const ConvShape shape = same_padding(32, 32, 32, 128, 256, 5, 2);
      const auto strict =
          kernels::cudnn::Planner({shape, direction, MathType::f32}, json).first().report;
      const auto rounded =
          kernels::cudnn::Planner({shape, direction, MathType::tf32}, json).first().report;
      EXPECT_TRUE(strict.found && rounded.found);
      EXPECT_FALSE(strict.tensor_cores);
      EXPECT_TRUE(rounded.tensor_cores);
      EXPECT_FALSE(strict.engine == rounded.engine);
    }
  }
}

TEST_F(ConvPlans, DescriptionThatCannotBeReadIsAnError) {
  const Problem problem{same_padding(1, 8, 8, 8, 8, 3, 1), Direction::forward, MathType::bf16};
  EXPECT_THROW(kernels::cudnn::Planner(problem, "{\"deviceVer\":").first(), kernels::Error);
}
}  // namespace
