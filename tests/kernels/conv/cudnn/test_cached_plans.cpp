// Plans built again from the cache for described cards: no heuristics, no measurements.
#include <unistd.h>

#include <filesystem>

#include "kernels/conv/plans/plan_cache.h"
#include "tests/kernels/conv/cudnn/described_devices.h"

using namespace plans;
using kernels::PlanCache;
using kernels::cudnn::Engine;
using kernels::cudnn::graph_of;
using kernels::cudnn::PlanReport;
using kernels::cudnn::Variant;
using kernels::cudnn::variants;

namespace {

struct CachedPlans : WithCudnn {};

MathType sixteen_bits(const Card& card) {
  return card.compute_capability < 80 ? MathType::f16 : MathType::bf16;
}

TEST_F(CachedPlans, SameEngineAndSettingsAfterTheFile) {
  const std::filesystem::path file = std::filesystem::temp_directory_path() /
                                     ("doppel-cached-plans-" + std::to_string(getpid()) + ".txt");
  const ConvShape shapes[] = {
      same_padding(32, 32, 32, 128, 256, 5, 2), same_padding(16, 32, 32, 128, 256, 3, 1),
      same_padding(16, 64, 64, 64, 3, 5, 1), same_padding(16, 64, 64, 126, 126, 3, 1)};
  struct Made {
    Problem problem;
    std::string json, key;
    PlanReport report;
  };
  std::vector<Made> all;
  {
    PlanCache cache(file);
    for (const Card& card : cards()) {
      const PlanCache::Machine machine{card.name, card.compute_capability, 100, 91900, "13.0"};
      for (const ConvShape& shape : shapes)
        for (const Direction direction : directions) {
          const Problem wanted{shape, direction, sixteen_bits(card)};
          const Variant variant = variants(wanted, card.compute_capability).front();
          Made made{graph_of(wanted, variant),
                    description(card.name),
                    PlanCache::make_key(wanted, machine),
                    {}};
          made.report = kernels::cudnn::Planner(made.problem, made.json).first().report;
          ASSERT_TRUE(made.report.found)
              << card.name << " " << made.problem.str() << ": " << made.report.why_not;
          cache.store(made.key, {variant, made.report.engine, 1.0});
          all.push_back(std::move(made));
        }
    }
  }
  const PlanCache cache(file);
  std::size_t with_knobs = 0;
  for (const Made& made : all) {
    const auto cached = cache.find(made.key);
    ASSERT_TRUE(cached) << made.key;
    const PlanReport again =
        kernels::cudnn::Planner(made.problem, made.json).plan(cached->engine).report;
    EXPECT_TRUE(again.found) << made.key << ": " << again.why_not;
    EXPECT_EQ(again.engine, made.report.engine) << made.key;
    EXPECT_EQ(again.workspace, made.report.workspace) << made.key;
    EXPECT_EQ(again.offered, 0) << "heuristics were used";
    with_knobs += !cached->engine.knobs.empty();
  }
  EXPECT_GT(with_knobs, all.size() / 2) << "no settings were read";
  std::filesystem::remove(file);
  std::filesystem::remove(file.string() + ".lock");
}

// A plan from a file is checked like any other.
TEST_F(CachedPlans, EnginesThatDoNotFitAreRefused) {
  const std::string json = description("h200");
  const ConvShape shape = same_padding(32, 32, 32, 128, 256, 5, 2);
  const auto rounded =
      kernels::cudnn::Planner({shape, Direction::forward, MathType::tf32}, json).first().report;
  ASSERT_TRUE(rounded.found && rounded.tensor_cores);
  const PlanReport strict =
      kernels::cudnn::Planner({shape, Direction::forward, MathType::f32}, json)
          .plan(rounded.engine)
          .report;
  EXPECT_FALSE(strict.found) << "an engine that rounds, for strict float";
  EXPECT_NE(strict.why_not.find("not exact enough"), std::string::npos) << strict.why_not;

  const Problem problem{shape, Direction::forward, MathType::bf16};
  for (const Engine& engine :
       {Engine{99999, {}}, Engine{-1, {}}, Engine{rounded.engine.index, {{9999, 1}}},
        Engine{rounded.engine.index, {{-5, 1}}}, Engine{rounded.engine.index, {{40, 1ll << 60}}}}) {
    const PlanReport report = kernels::cudnn::Planner(problem, json).plan(engine).report;
    EXPECT_FALSE(report.found) << engine.index;
    EXPECT_FALSE(report.why_not.empty());
  }
}

// cuDNN compiles kernels with bias and activation inside: one layer on every card.
TEST_F(CachedPlans, FusedForwardOnEveryCard) {
  for (const Card& card : cards()) {
    const std::string json = description(card.name);
    Problem p{same_padding(16, 32, 32, 128, 256, 3, 1),
              Direction::forward,
              sixteen_bits(card),
              true,
              true,
              Activation::leaky_relu,
              0.1f};
    const PlanReport upscale = kernels::cudnn::Planner(p, json).first().report;
    EXPECT_TRUE(upscale.found) << card.name << " " << p.str() << ": " << upscale.why_not;
    EXPECT_TRUE(upscale.runtime_compiled);
    const PlanReport again = kernels::cudnn::Planner(p, json).plan(upscale.engine).report;
    EXPECT_TRUE(again.found) << card.name << ": " << again.why_not;
  }
}
}  // namespace
