// The training loop: resuming, repeating, guarding.
#include <gtest/gtest.h>

#include <cmath>
#include <fstream>

#include "faceswap/media/media.h"
#include "faceswap/train/trainer.h"
#include "scratch.h"

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
  Trainer(into("whole", 6)).run();
  for (const std::int64_t k : {1, 4}) {
    const std::string folder = "split" + std::to_string(k);
    Trainer(into(folder, k)).run();
    Trainer second(into(folder, 6));
    EXPECT_TRUE(second.resumed());
    second.run();
    expect_same_tensors(scratch / "whole" / kModelFile, scratch / folder / kModelFile);
  }
}

TEST_F(Training, AnotherSeedIsAnotherRun) {
  Trainer(into("one", 2)).run();
  TrainOptions other = into("two", 2);
  other.seed = 2;
  Trainer(other).run();
  const nn::SafetensorsFile a(scratch / "one" / kModelFile), b(scratch / "two" / kModelFile);
  const nn::TensorRecord *ta = a.find("encoder.conv0.weight"), *tb = b.find("encoder.conv0.weight");
  EXPECT_FALSE(std::equal(ta->data, ta->data + ta->bytes, tb->data));
}

#if !defined(__SANITIZE_ADDRESS__)
TEST_F(Training, LossFallsOnBothSides) {
  TrainOptions o = into("model", 60);
  Trainer trainer(o);
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
  Trainer(into("model", 2)).run();
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

TEST_F(Training, RefusesToResumeAnotherModel) {
  Trainer(into("model", 1)).run();
  TrainOptions o = into("model", 2);
  o.model = "lightweight";
  try {
    Trainer trainer(o);
    FAIL() << "should refuse";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::usage);
    EXPECT_NE(std::string(error.what()).find("tiny"), std::string::npos) << error.what();
  }
}

TEST_F(Training, DamagedCheckpointFallsBackToThePreviousOne) {
  Trainer(into("model", 1)).run();
  Trainer(into("model", 2)).run();
  const std::filesystem::path path = scratch / "model" / kModelFile;
  ASSERT_TRUE(std::filesystem::exists(path.string() + ".prev"));
  {
    std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
    file.seekp(static_cast<std::streamoff>(std::filesystem::file_size(path) / 2));
    file.put('\x5a').put('\xa5');
  }
  Trainer trainer(into("model", 2));
  EXPECT_TRUE(trainer.resumed());
  EXPECT_EQ(trainer.state().step, 1u);
}

// A learning rate that blows the weights up: training must stop by itself, and what is on disk must stay finite.
TEST_F(Training, NanGuardStopsAndKeepsTheGoodFile) {
  Trainer(into("model", 1)).run();
  TrainOptions o = into("model", 200);
  o.learning_rate = 1e30f;
  Trainer trainer(o);
  try {
    trainer.run();
    FAIL() << "weights of 1e30 should not train";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::not_finite);
  }
  const LoadedModel loaded = load_model(scratch / "model" / kModelFile, nn::Device::host, nn::DType::f32, true);
  for (const nn::Parameter& p : loaded.model->arena().parameters())
    for (const float w : p.master.to_host<float>()) ASSERT_TRUE(std::isfinite(w)) << p.name;
  EXPECT_EQ(loaded.state.step, 1u);
}

TEST_F(Training, MissingFacesAreNamed) {
  options.faces_b = scratch / "nobody";
  try {
    Trainer trainer(into("model", 1));
    FAIL() << "should refuse";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::input);
    EXPECT_NE(std::string(error.what()).find("nobody"), std::string::npos);
  }
}

TEST(Models, CountsAreThePublishedOnes) {
  EXPECT_EQ(make_model("original")->arena().count(), 82062470);
  EXPECT_EQ(make_model("lightweight")->arena().count(), 51066374);
  EXPECT_THROW(make_model("originel"), Error);
}

TEST(Models, FileDoesNotFitAnotherModel) {
  Scratch scratch;
  const std::unique_ptr<Model> model = make_model("tiny");
  model->arena().allocate(nn::Device::host, nn::DType::f32, 3);
  save_model(scratch / "m.safetensors", *model, {}, {});
  const LoadedModel loaded = load_model(scratch / "m.safetensors", nn::Device::host, nn::DType::f32, true);
  EXPECT_EQ(loaded.model->name(), "tiny");
  // The same file with another model's name must be refused, not half loaded.
  const nn::SafetensorsFile file(scratch / "m.safetensors");
  auto metadata = file.metadata();
  metadata["model"] = "original";
  std::vector<nn::TensorRecord> tensors;
  for (const nn::TensorRecord& t : file.tensors()) if (t.name != "__crc32c__") tensors.push_back(t);
  nn::save_safetensors(scratch / "wrong.safetensors", metadata, tensors);
  try {
    load_model(scratch / "wrong.safetensors", nn::Device::host, nn::DType::f32, true);
    FAIL() << "should refuse";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::damaged);
  }
}

}  // namespace
}  // namespace faceswap
