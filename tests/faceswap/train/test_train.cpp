// The training loop: resuming, repeating, guarding.
#include <gtest/gtest.h>

#include <cmath>
#include <fstream>

#include "faceswap/media/media.h"
#include "faceswap/train/trainer.h"
#include "kernels/conv/gemm.h"
#include "kernels/core/device.h"
#include "tests/faceswap/scratch.h"

namespace faceswap {
namespace {

#if defined(__SANITIZE_ADDRESS__)
constexpr int kFaces = 3, kBatch = 1;  // every logical thread runs on a fiber there
#else
constexpr int kFaces = 10, kBatch = 4;
#endif

struct Training : ::testing::Test {
  Scratch scratch;
  TrainOptions options;

  void SetUp() override {
    make_faces(scratch / "a", 'a', 5, kFaces);
    make_faces(scratch / "b", 'b', 6, kFaces);
    options.faces_a = scratch / "a";
    options.faces_b = scratch / "b";
    options.model_dir = scratch / "model";
    options.model = "tiny";
    options.batch = kBatch;
    options.device = "cpu";
    options.quiet = true;
  }
  TrainOptions into(const std::string& folder, std::int64_t steps) const {
    TrainOptions o = options;
    o.model_dir = scratch / folder;
    o.steps = steps;
    return o;
  }
};

// Every tensor of both files, weights and moments, bit for bit.
void expect_same_tensors(const std::filesystem::path& a, const std::filesystem::path& b) {
  const nn::SafetensorsFile fa(a), fb(b);
  ASSERT_EQ(fa.tensors().size(), fb.tensors().size());
  int compared = 0;
  for (const nn::TensorRecord& t : fa.tensors()) {
    if (t.name == "__crc32c__") continue;
    const nn::TensorRecord* u = fb.find(t.name);
    ASSERT_NE(u, nullptr) << t.name;
    ASSERT_EQ(t.bytes, u->bytes) << t.name;
    ASSERT_TRUE(std::equal(t.data, t.data + t.bytes, u->data)) << t.name;
    ++compared;
  }
  EXPECT_GT(compared, 50);
  EXPECT_EQ(fa.metadata().at("step"), fb.metadata().at("step"));
}

TEST_F(Training, ResumedRunEqualsUninterruptedRunBitForBit) {
  Trainer(make_plan(into("whole", 6))).run();
  for (const std::int64_t k : {1, 4}) {
    const std::string folder = "split" + std::to_string(k);
    Trainer(make_plan(into(folder, k))).run();
    Trainer second(make_plan(into(folder, 6)));
    EXPECT_TRUE(second.resumed());
    second.run();
    expect_same_tensors(scratch / "whole" / kModelFile, scratch / folder / kModelFile);
  }
}

TEST_F(Training, AnotherSeedIsAnotherRun) {
  Trainer(make_plan(into("one", 2))).run();
  TrainOptions other = into("two", 2);
  other.seed = 2;
  Trainer(make_plan(other)).run();
  const nn::SafetensorsFile a(scratch / "one" / kModelFile), b(scratch / "two" / kModelFile);
  const nn::TensorRecord *ta = a.find("encoder.conv0.weight"), *tb = b.find("encoder.conv0.weight");
  EXPECT_FALSE(std::equal(ta->data, ta->data + ta->bytes, tb->data));
}

#if !defined(__SANITIZE_ADDRESS__)
TEST_F(Training, LossFallsOnBothSides) {
  Trainer trainer(make_plan(into("model", 60)));
  trainer.run();
  const auto mean = [&](std::size_t begin, std::size_t end, float StepLosses::*side) {
    double sum = 0;
    for (std::size_t i = begin; i < end; ++i) sum += trainer.history()[i].*side;
    return sum / static_cast<double>(end - begin);
  };
  ASSERT_EQ(trainer.history().size(), 60u);
  EXPECT_LT(mean(50, 60, &StepLosses::a), 0.75 * mean(0, 5, &StepLosses::a));
  EXPECT_LT(mean(50, 60, &StepLosses::b), 0.75 * mean(0, 5, &StepLosses::b));
}
#endif

TEST_F(Training, WritesPreviewAndLosses) {
  Trainer(make_plan(into("model", 2))).run();
  const Image preview = read_image(scratch / "model" / "preview.png");
  EXPECT_GT(preview.width, 6 * 64);
  EXPECT_LT(preview.width, 7 * 64);
  std::ifstream losses(scratch / "model" / "losses.csv");
  std::string header, first, second;
  std::getline(losses, header);
  std::getline(losses, first);
  std::getline(losses, second);
  EXPECT_EQ(header, "step,loss_a,loss_b");
  EXPECT_TRUE(first.starts_with("1,"));
  EXPECT_TRUE(second.starts_with("2,"));
}

// A batch in micro-batches is the same batch: the same samples, the same mean loss,
// gradients that add up to the same step.
TEST_F(Training, MicroBatchesAddUpToTheWholeBatch) {
  options.precision = "f32";  // of the bounds below
  options.batch = 5;
  Trainer whole(make_plan(into("whole", 3)));
  options.micro_batches = 3;  // 1, 2 and 2 faces
  Trainer divided(make_plan(into("divided", 3)));
  whole.run();
  divided.run();
  ASSERT_EQ(whole.history().size(), divided.history().size());
  for (std::size_t i = 0; i < whole.history().size(); ++i) {
    EXPECT_NEAR(whole.history()[i].a, divided.history()[i].a, 2e-5 * whole.history()[i].a) << i;
    EXPECT_NEAR(whole.history()[i].b, divided.history()[i].b, 2e-5 * whole.history()[i].b) << i;
  }
  const std::vector<float> a = whole.model().arena().moment1().to_host<float>(),
                           b = divided.model().arena().moment1().to_host<float>();
  double difference = 0, norm = 0;
  for (std::size_t i = 0; i < a.size(); ++i)
    difference += std::pow(double{a[i]} - b[i], 2), norm += std::pow(double{a[i]}, 2);
  // Rounding flips a few leaky ReLUs: 1.5e-3 without fused multiply-adds. A wrong share
  // is 0.3 and more.
  EXPECT_LT(std::sqrt(difference / norm), 1e-2);
}

// Every allocation of a step fails once. Training goes on in more micro-batches,
// to the same end.
TEST_F(Training, MemoryThatRunsOutMidwayCostsNothing) {
  options.precision = "f32";  // of the bounds below
  options.batch = 2;
  const auto train = [&](const std::string& folder, std::size_t fail_at) {
    Trainer trainer(make_plan(into(folder, 3)));
    kernels::fail_allocation_after(fail_at);
    trainer.run();
    kernels::fail_allocation_after(0);
    EXPECT_EQ(trainer.state().step, 3u);
    EXPECT_EQ(trainer.history().size(), 3u);
    EXPECT_EQ(trainer.state().skipped, 0u);
    return trainer.history().back();
  };
  const StepLosses undisturbed = train("whole", 0);
#if defined(__SANITIZE_ADDRESS__)
  constexpr std::size_t stride = 60;
#else
  constexpr std::size_t stride = 13;
#endif
  for (std::size_t n = 1; n < 200; n += stride) {
    const StepLosses losses = train("fail" + std::to_string(n), n);
    EXPECT_NEAR(losses.a, undisturbed.a, 1e-4 * undisturbed.a) << n;
    EXPECT_NEAR(losses.b, undisturbed.b, 1e-4 * undisturbed.b) << n;
  }
}

// f16 with a scaled loss: a scale far too large is halved, step by step, before a
// weight has moved, and then training goes on. A resumed run has the saved
// scale.
TEST_F(Training, HalfPrecisionFindsItsLossScale) {
  options.precision = "f16";
  options.batch = 2;
  Trainer trainer(make_plan(into("model", 6)));
  trainer.run();
  const nn::StepState state = trainer.state();
  EXPECT_GT(state.loss_scale, 1.f);
  EXPECT_EQ(state.skipped_in_a_row, 0u);
  EXPECT_EQ(state.loss_scale, 65536.f / static_cast<float>(1u << state.skipped))
      << "halved once for each step that was skipped";
  EXPECT_EQ(state.good_steps, 6u - state.skipped);
  const std::vector<float> weights = trainer.model().arena().master().to_host<float>();
  for (const float w : weights) ASSERT_TRUE(std::isfinite(w));

  Trainer resumed(make_plan(into("model", 6)));
  EXPECT_EQ(resumed.state().loss_scale, state.loss_scale);
  EXPECT_EQ(resumed.state().good_steps, state.good_steps);

  // The same steps in float end near by, so the scale is divided out again.
  options.precision = "f32";
  TrainOptions plain = into("plain", 6);
  plain.steps = 6 - static_cast<std::int64_t>(state.skipped);
  Trainer reference(make_plan(plain));
  reference.run();
  EXPECT_NEAR(trainer.history()[0].a, reference.history()[0].a, 2e-3);
}

TEST_F(Training, OneFaceThatDoesNotFitEndsWithANumber) {
  options.batch = 1;
  Trainer(make_plan(into("model", 1))).run();
  Trainer trainer(make_plan(into("model", 3)));
  kernels::fail_allocation_after(20);
  try {
    trainer.run();
    FAIL() << "there is nothing left to halve";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::memory);
    EXPECT_NE(std::string(error.what()).find("GiB"), std::string::npos) << error.what();
  }
  kernels::fail_allocation_after(0);
  EXPECT_EQ(
      load_model(scratch / "model" / kModelFile, nn::Device::host, nn::DType::f32, true).state.step,
      1u)
      << "what was saved is whole";
}

// The forecast comes from a step without data, the measurement from a real step.
TEST_F(Training, ForecastEqualsWhatAStepTakes) {
  struct Case {
    const char* model;
    int batch, micro_batches;
  };
#if defined(__SANITIZE_ADDRESS__)
  const std::vector<Case> cases{{"tiny", 2, 1}};
#else
  const std::vector<Case> cases{{"tiny", 6, 1}, {"lightweight", 3, 1}, {"lightweight", 4, 2}};
#endif
  for (const Case& c : cases) {
    options.model = c.model;
    options.batch = c.batch;
    options.micro_batches = c.micro_batches;
    options.preview_every = 0;
    kernels::release_cached(nn::Device::host);
    const kernels::PoolStats before = kernels::pool_stats(nn::Device::host);
    Trainer trainer(make_plan(into(std::string("model_") + c.model + std::to_string(c.batch), 1)));
    trainer.run();
    const kernels::PoolStats after = kernels::pool_stats(nn::Device::host);
    const double taken =
        static_cast<double>(after.live_bytes + after.cached_bytes - before.live_bytes);
    EXPECT_NEAR(static_cast<double>(trainer.forecast().total()), taken, 0.1 * taken)
        << c.model << ", " << c.batch << " faces in " << c.micro_batches << " micro-batches";
  }
}

TEST(MemoryForecast, FollowsModelBatchAndMemory) {
  const nn::Device host = nn::Device::host;
  StepPlan plan;
  const MemoryForecast f = forecast_memory("original", host, nn::DType::f32, plan, 1000);
  EXPECT_EQ(f.parameter_count, 82062470);
  EXPECT_NEAR(static_cast<double>(f.parameters), 4.0 * 82062470, 1e5);
  EXPECT_EQ(f.gradients, f.parameters);
  EXPECT_EQ(f.optimizer, 2 * f.parameters);
  EXPECT_EQ(f.data_set, 1000u);
  EXPECT_GT(f.activations, std::size_t{100} << 20);
  const MemoryForecast bf16 =
      forecast_memory("original", nn::Device::cuda, nn::DType::bf16, plan, 0);
  EXPECT_NEAR(static_cast<double>(bf16.parameters), 6.0 * 82062470, 1e5);
  EXPECT_LT(bf16.activations, f.activations);

  // Twice the batch in two micro-batches takes the memory of the batch in one, and room
  // for gradients that add up.
  plan.batch = 32;
  plan.micro_batches = 2;
  const MemoryForecast two = forecast_memory("original", host, nn::DType::f32, plan, 0);
  EXPECT_GE(two.activations, f.activations);
  EXPECT_LT(two.activations, f.activations + f.gradients);
}

TEST(MemoryPlanner, FindsTheFewestMicroBatches) {
  const auto planner = [](std::size_t available) {
    return MemoryPlanner{"original", nn::Device::host, nn::DType::f32, {}, 0, available};
  };
  EXPECT_EQ(planner(std::size_t{8} << 30).fitting(32, 1).micro_batches, 1);
  MemoryPlanner tight = planner(std::size_t{1850} << 20);
  const MemoryForecast f = tight.fitting(32, 1);
  EXPECT_GT(f.micro_batches, 1);
  EXPECT_LT(static_cast<double>(f.total()), kUsableShare * (1850 << 20));
  StepPlan plan;
  plan.batch = 32;
  plan.micro_batches = f.micro_batches / 2;
  const MemoryForecast fewer =
      forecast_memory("original", nn::Device::host, nn::DType::f32, plan, 0);
  EXPECT_GT(static_cast<double>(fewer.total()), kUsableShare * (1850 << 20));
  EXPECT_EQ(planner(0).fitting(32, 1).micro_batches, 32)
      << "nothing fits: one face at a time is tried all the same";
  EXPECT_EQ(planner(0).fitting(5, 2).micro_batches, 5);
  EXPECT_EQ(planner(0).fitting(2, 9).micro_batches, 2);
}

// The largest batch as trying all of them finds it, for every amount of memory.
TEST(MemoryPlanner, FindsTheLargestBatchInFewRuns) {
  const nn::Device host = nn::Device::host;
  for (const char* model : {"original", "villain"}) {
    std::vector<double> total;  // of batch 1, 2, ...
    StepPlan plan;
    for (plan.batch = 1; plan.batch <= kLargestBatch; ++plan.batch)
      total.push_back(
          static_cast<double>(forecast_memory(model, host, nn::DType::f32, plan, 0).total()));
    std::ptrdiff_t runs = 0;
    for (const double enough : total) {
      const double usable = enough + 1e3;
      const auto last =
          std::find_if(total.rbegin(), total.rend(), [&](double t) { return t <= usable; });
      const auto available = static_cast<std::size_t>(usable / kUsableShare);
      MemoryPlanner planner{model, host, nn::DType::f32, {}, 0, available};
      EXPECT_EQ(planner.largest_batch(), total.rend() - last) << model;
      runs += std::ssize(planner.forecasts);
    }
    EXPECT_LE(runs, 5 * kLargestBatch) << model << ": bisection takes 7 each";
    MemoryPlanner little{model, host, nn::DType::f32, {}, 0, 0},
        plenty{model, host, nn::DType::f32, {}, 0, std::size_t{1} << 40};
    EXPECT_EQ(little.largest_batch(), 1);
    EXPECT_EQ(plenty.largest_batch(), kLargestBatch);
    EXPECT_EQ(plenty.forecasts.size(), 1u);
  }
}

TEST(MemoryForecast, UnknownModelIsAUsageError) {
  const StepPlan plan;
  EXPECT_THROW(forecast_memory("originel", nn::Device::host, nn::DType::f32, plan, 0), Error);
}

TEST_F(Training, PlanSettlesBatchAndMicroBatches) {
  options.batch = 0;
  options.micro_batches = 3;
  const TrainingPlan plan = make_plan(into("model", 1));
  EXPECT_EQ(plan.options.batch, kLargestBatch);
  EXPECT_EQ(plan.forecast.batch, kLargestBatch);
  EXPECT_EQ(plan.forecast.micro_batches, 3);
  EXPECT_EQ(plan.forecast.data_set, 2u * kFaces * 128 * 128 * 4);
  EXPECT_FALSE(plan.checkpoint.has_value());
  EXPECT_FALSE(std::filesystem::exists(scratch / "model"));
}

TEST_F(Training, ResumedPlanHasTheBatchOfItsCheckpoint) {
  options.batch = 2;
  options.loss.mae = 0.5f;
  Trainer(make_plan(into("model", 1))).run();
  options.batch = 0;
  options.loss.mae = 0.f;
  const TrainingPlan plan = make_plan(into("model", 2)), dry = make_plan(into("model", 2), true);
  EXPECT_EQ(plan.options.batch, 2);
  EXPECT_EQ(plan.options.loss.mae, 0.5f);
  EXPECT_TRUE(plan.checkpoint.has_value());
  EXPECT_EQ(plan.largest_batch, 0) << "not needed, so not searched for";
  EXPECT_EQ(dry.forecast.batch, kLargestBatch);
  EXPECT_EQ(dry.largest_batch, kLargestBatch);
  EXPECT_FALSE(dry.checkpoint.has_value());
}

// 304 pixels of each crop would suit a model of 128; these crops have 128.
TEST_F(Training, FacesAreNotStoredLargerThanTheirCrops) {
  EXPECT_EQ(stored_size_for(128), 304);
  EXPECT_EQ(stored_size_for(128, options.faces_a), 128);
  EXPECT_EQ(stored_size_for(32, options.faces_a), stored_size_for(32));
}

TEST_F(Training, RefusesToResumeAnotherModel) {
  Trainer(make_plan(into("model", 1))).run();
  options.model = "lightweight";
  try {
    make_plan(into("model", 2));
    FAIL() << "should refuse";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::usage);
    EXPECT_NE(std::string(error.what()).find("tiny"), std::string::npos) << error.what();
  }
}

TEST_F(Training, DamagedCheckpointFallsBackToThePreviousOne) {
  Trainer(make_plan(into("model", 1))).run();
  Trainer(make_plan(into("model", 2))).run();
  const std::filesystem::path path = scratch / "model" / kModelFile;
  ASSERT_TRUE(std::filesystem::exists(path.string() + ".prev"));
  {
    std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
    file.seekp(static_cast<std::streamoff>(std::filesystem::file_size(path) / 2));
    file.put('\x5a').put('\xa5');
  }
  Trainer trainer(make_plan(into("model", 2)));
  EXPECT_TRUE(trainer.resumed());
  EXPECT_EQ(trainer.state().step, 1u);
}

// A learning rate too large for the weights: training stops, and the saved file is
// finite.
TEST_F(Training, NanGuardStopsAndKeepsTheGoodFile) {
  Trainer(make_plan(into("model", 1))).run();
  TrainOptions o = into("model", 200);
  o.learning_rate = 1e30f;
  Trainer trainer(make_plan(o));
  try {
    trainer.run();
    FAIL() << "weights of 1e30 should not train";
  } catch (const Error& error) { EXPECT_EQ(error.kind(), ErrorKind::not_finite); }
  const LoadedModel loaded =
      load_model(scratch / "model" / kModelFile, nn::Device::host, nn::DType::f32, true);
  for (const nn::Parameter& p : loaded.model->arena().parameters())
    for (const float w : p.master.to_host<float>()) ASSERT_TRUE(std::isfinite(w)) << p.name;
  EXPECT_EQ(loaded.state.step, 1u);
}

TEST_F(Training, MissingFacesAreNamed) {
  options.faces_b = scratch / "nobody";
  try {
    make_plan(into("model", 1));
    FAIL() << "should refuse";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::input);
    EXPECT_NE(std::string(error.what()).find("nobody"), std::string::npos);
  }
}

TEST(Models, CountsAreThePublishedOnes) {
  EXPECT_EQ(make_model("original")->arena().count(), 82062470);
  EXPECT_EQ(make_model("lightweight")->arena().count(), 51066374);
  EXPECT_EQ(make_model("villain")->arena().count(), 155115014);
  EXPECT_EQ(make_model("dfl_sae")->arena().count(), 130008718);
  EXPECT_THROW(make_model("originel"), Error);
}

TEST(Models, PrecisionByNameAndDevice) {
  const nn::Device host = nn::Device::host;
  const nn::DType faster = kernels::host_prefers_bf16() ? nn::DType::bf16 : nn::DType::f32;
  EXPECT_EQ(choose_dtype("auto", host), faster);
  EXPECT_EQ(choose_dtype("f32", host), nn::DType::f32);
  EXPECT_EQ(choose_dtype("tf32", host), nn::DType::f32);
  EXPECT_TRUE(kernels::allow_tf32);
  EXPECT_EQ(choose_dtype("bf16", host), nn::DType::bf16);
  EXPECT_FALSE(kernels::allow_tf32);
  EXPECT_EQ(choose_dtype("f16", host), nn::DType::f16);
  EXPECT_THROW(choose_dtype("f8", host), Error);
}

TEST(Models, BeginAsTheirAuthorsHaveThem) {
  const auto init = [](const char* model, const char* parameter) {
    const std::unique_ptr<Model> made = make_model(model);
    const nn::Parameter* found = made->arena().find(parameter);
    if (!found) throw std::runtime_error(std::string(model) + " has no " + parameter);
    return found->init;
  };
  for (const char* parameter : {"encoder.conv0.weight", "encoder.residual15.conv1.weight",
                                "encoder.separable1.depthwise.weight", "encoder.dense1.weight",
                                "decoder_b.upscale2.conv.weight"}) {
    EXPECT_EQ(init("villain", parameter).kind, nn::Init::normal) << parameter;
    EXPECT_EQ(init("villain", parameter).value, 0.02f) << parameter;
  }
  EXPECT_EQ(init("villain", "decoder_a.output.weight").kind, nn::Init::he_uniform);
  EXPECT_EQ(init("dfl_sae", "encoder.conv3.weight").kind, nn::Init::he_uniform);
  EXPECT_EQ(init("dfl_sae", "encoder.dense0.weight").kind, nn::Init::glorot_uniform);
  EXPECT_EQ(init("dfl_sae", "decoder_a.residual5.conv0.weight").kind, nn::Init::he_uniform);
  EXPECT_EQ(init("dfl_sae", "decoder_a.residual5.conv1.weight").kind, nn::Init::fan_in_uniform);
  for (const ModelInfo& info : model_list())
    EXPECT_EQ(make_model(info.name)->size(),
              info.name == "villain" || info.name == "dfl_sae" ? 128 : 64)
        << info.name;
}

TEST(Models, FileDoesNotFitAnotherModel) {
  Scratch scratch;
  const std::unique_ptr<Model> model = make_model("tiny");
  model->arena().allocate(nn::Device::host, nn::DType::f32, 3);
  save_model(scratch / "m.safetensors", *model, {}, {});
  const LoadedModel loaded =
      load_model(scratch / "m.safetensors", nn::Device::host, nn::DType::f32, true);
  EXPECT_EQ(loaded.model->name(), "tiny");
  // The same file with another model's name must be refused, not half loaded.
  const nn::SafetensorsFile file(scratch / "m.safetensors");
  auto metadata = file.metadata();
  metadata["model"] = "original";
  std::vector<nn::TensorRecord> tensors;
  for (const nn::TensorRecord& t : file.tensors())
    if (t.name != "__crc32c__") tensors.push_back(t);
  nn::save_safetensors(scratch / "wrong.safetensors", metadata, tensors);
  try {
    load_model(scratch / "wrong.safetensors", nn::Device::host, nn::DType::f32, true);
    FAIL() << "should refuse";
  } catch (const Error& error) { EXPECT_EQ(error.kind(), ErrorKind::damaged); }
}
}  // namespace
}  // namespace faceswap
