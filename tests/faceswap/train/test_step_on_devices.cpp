// A whole training step on each device: the host's f32 is the reference, a captured step
// has the bits of an eager one, and a repeated run those of the first. With no GPU the
// host stands in for it, so the comparisons themselves are tested everywhere.
#include <gtest/gtest.h>

#include <cmath>

#include "faceswap/convert/converter.h"
#include "faceswap/train/face_set.h"
#include "faceswap/train/trainer.h"
#include "kernels/simt/config.h"
#include "nn/step_graph.h"
#include "tests/faceswap/scratch.h"

namespace faceswap {
namespace {

using nn::Device;
using nn::DType;
using Floats = std::vector<float>;

struct Setting {
  Device device = Device::host;
  DType dtype = DType::f32;
  bool graph = false;
  int micro_batches = 1;
  int steps = 4;
  int batch = 4;
  float learning_rate = 1e-3f;
};

struct Outcome {
  Floats losses;          // [steps,2]
  Floats first_gradient;  // of the whole arena, after the first step
  Floats weights;         // after the last
  bool captured = false;
};

struct StepOnDevices : testing::TestWithParam<Device> {
  void SetUp() override {
    if (GetParam() == Device::cuda && !kernels::probe_cuda().available)
      GTEST_SKIP() << kernels::probe_cuda().reason;
    make_faces(scratch / "a", 'a', 5, 6);
    make_faces(scratch / "b", 'b', 6, 6);
  }
  void TearDown() override { kernels::allow_tf32 = false; }

  Outcome run(const Setting& s) const {
    const std::unique_ptr<Model> model = make_model("tiny");
    model->arena().allocate(s.device, s.dtype, 1);
    const FaceSet a(scratch / "a", 128, s.device, true), b(scratch / "b", 128, s.device, true);
    nn::StepStateBlock state(s.device, {.learning_rate = s.learning_rate});
    TrainingStep step(*model, s.dtype,
                      {FacesOnDevice{a.data(), a.count(), a.stored_size()},
                       FacesOnDevice{b.data(), b.count(), b.stored_size()}},
                      state, {.batch = s.batch, .micro_batches = s.micro_batches});
    nn::StepGraph graph(s.device);
    Outcome outcome;
    for (int i = 0; i < s.steps; ++i) {
      if (s.graph) graph.run([&] { step.run(); });
      else step.run();
      if (i == 0)
        outcome.first_gradient = model->arena().gradients().to(DType::f32).to_host<float>();
    }
    outcome.losses = step.losses().to_host<float>();
    outcome.losses.resize(2 * static_cast<std::size_t>(s.steps));
    outcome.weights = model->arena().master().to_host<float>();
    outcome.captured = graph.captured();
    return outcome;
  }
  // Measures the convolutions of a setting, so that all later runs have the same plans.
  void settle(Setting s) const {
    if (s.device == Device::host) return;  // it measures nothing
    s.graph = true;
    s.steps = 20;
    run(s);
  }
  // The host, which captures nothing, needs fewer.
  static int steps(int on_a_gpu) { return GetParam() == Device::host ? 2 : on_a_gpu; }
  Scratch scratch;
};

double distance(const Floats& a, const Floats& reference) {
  double difference = 0, norm = 0;
  for (std::size_t i = 0; i < reference.size(); ++i) {
    difference += std::pow(double{a[i]} - reference[i], 2);
    norm += std::pow(double{reference[i]}, 2);
  }
  return std::sqrt(difference / norm);
}

void expect_near(const Floats& losses, const Floats& reference, double relative) {
  ASSERT_EQ(losses.size(), reference.size());
  for (std::size_t i = 0; i < losses.size(); ++i)
    EXPECT_NEAR(losses[i], reference[i], relative * reference[i])
        << "step " << i / 2 + 1 << ", person " << (i % 2 ? "B" : "A");
}

TEST_P(StepOnDevices, FollowsTheHostInFloat) {
  const Outcome host = run({});
  simt::config().workers = 1;  // other bits where the host stands in for the GPU
  const Outcome other = run({.device = GetParam()});
  simt::config().workers = 0;
  expect_near(other.losses, host.losses, 1e-3);
  // Rounding flips a few leaky ReLUs; a kernel that is wrong gives 0.1 and more.
  EXPECT_LT(distance(other.first_gradient, host.first_gradient), 1e-2);
}

TEST_P(StepOnDevices, FollowsTheHostInSixteenBits) {
  const Outcome host = run({.steps = 2});
  for (const DType dtype : {DType::bf16, DType::f16}) {
    if (dtype == DType::bf16 && GetParam() == Device::cuda &&
        kernels::probe_cuda().compute_capability < 80)
      continue;
    const Outcome other = run({.device = GetParam(), .dtype = dtype, .steps = 2});
    expect_near(other.losses, host.losses, 2e-2);
    EXPECT_LT(distance(other.first_gradient, host.first_gradient), 0.15) << nn::name(dtype);
  }
}

TEST_P(StepOnDevices, ACapturedStepHasTheBitsOfAnEagerOne) {
  const Setting setting{.device = GetParam(), .graph = true, .steps = steps(6)};
  settle(setting);
  const Outcome captured = run(setting);
  Setting eagerly = setting;
  eagerly.graph = false;
  const Outcome eager = run(eagerly);
  EXPECT_EQ(captured.captured, GetParam() == Device::cuda);
  EXPECT_EQ(captured.losses, eager.losses);
  EXPECT_EQ(captured.weights, eager.weights);
}

TEST_P(StepOnDevices, MicroBatchesAreCapturedToo) {
  const Setting setting{
      .device = GetParam(), .dtype = DType::f16, .graph = true, .micro_batches = 2, .steps = 5};
  settle(setting);
  const Outcome captured = run(setting);
  Setting eagerly = setting;
  eagerly.graph = false;
  EXPECT_EQ(captured.captured, GetParam() == Device::cuda);
  EXPECT_EQ(captured.weights, run(eagerly).weights);
}

TEST_P(StepOnDevices, RunsRepeatBitForBit) {
  for (const DType dtype : {DType::f32, DType::f16}) {
    if (dtype == DType::f16 && GetParam() == Device::host) continue;  // slow there
    const Setting setting{.device = GetParam(), .dtype = dtype, .graph = true, .steps = steps(6)};
    settle(setting);
    const Outcome first = run(setting), again = run(setting);
    EXPECT_EQ(first.losses, again.losses) << nn::name(dtype);
    EXPECT_EQ(first.weights, again.weights) << nn::name(dtype);
  }
}

// The gradient of 8 micro-batches is as near to the exact one as that of the whole batch:
// sums of 16-bit gradients are not rounded on the way. Rounded after every addition it
// is 2 % further away, on the host.
TEST_P(StepOnDevices, MicroBatchesLoseNoSmallGradients) {
  if (GetParam() == Device::cuda && kernels::probe_cuda().compute_capability < 80)
    GTEST_SKIP() << "no bf16 on this card";
  const Setting whole{.device = GetParam(), .dtype = DType::bf16, .steps = 8, .batch = 8};
  Setting divided = whole;
  divided.micro_batches = 8;
  const Outcome exact = run({.steps = 1, .batch = 8}), one = run(whole), eight = run(divided);
  expect_near(eight.losses, one.losses, 2e-2);
  const double of_one = distance(one.first_gradient, exact.first_gradient),
               of_eight = distance(eight.first_gradient, exact.first_gradient);
  EXPECT_LT(of_eight, 1.01 * of_one) << "of the whole batch: " << of_one;
}

// A conversion's batch is padded on a GPU; the padding must not reach a face.
TEST_P(StepOnDevices, SwappedViewsFollowTheHost) {
  std::vector<FloatImage> views(3, FloatImage(64, 64, 3));
  for (std::size_t k = 0; k < views.size(); ++k)
    for (std::size_t i = 0; i < views[k].pixels.size(); ++i)
      views[k].pixels[i] = 0.5f + 0.4f * std::sin(0.01f * static_cast<float>((k + 1) * i));
  const auto swapped = [&](Device device) {
    const std::unique_ptr<Model> model = make_model("tiny");
    model->arena().allocate(device, DType::f32, 1, nn::ParameterArena::Use::inference);
    return swap_views(*model, views, Side::b);
  };
  const std::vector<FloatImage> host = swapped(Device::host), other = swapped(GetParam());
  ASSERT_EQ(other.size(), views.size());
  for (std::size_t k = 0; k < views.size(); ++k)
    EXPECT_LT(distance(other[k].pixels, host[k].pixels), 1e-3) << k;
}

TEST(PaddedBatch, IsAPowerOfTwoOnAGpu) {
  for (const std::int64_t n : {1, 5, 16, 17}) EXPECT_EQ(padded_batch(n, Device::host), n);
  EXPECT_EQ(padded_batch(1, Device::cuda), 1);
  EXPECT_EQ(padded_batch(5, Device::cuda), 8);
  EXPECT_EQ(padded_batch(16, Device::cuda), 16);
  EXPECT_EQ(padded_batch(17, Device::cuda), 32);
}

#if !defined(__SANITIZE_ADDRESS__)
TEST_P(StepOnDevices, TrainingGoesAsOnTheHost) {
  const std::size_t count = GetParam() == Device::host ? 16 : 40;
  const auto train = [&](const std::string& device, const std::string& folder) {
    TrainOptions options;
    options.faces_a = scratch / "a";
    options.faces_b = scratch / "b";
    options.model_dir = scratch / folder;
    options.model = "tiny";
    options.batch = 4;
    options.steps = count;
    options.device = device;
    options.precision = "f32";
    options.quiet = true;
    Trainer trainer(make_plan(options));
    trainer.run();
    EXPECT_EQ(trainer.graph().captured(), device == "cuda") << trainer.graph().why_not();
    Floats last(2);
    for (std::size_t i = count - 8; i < count; ++i) {
      last[0] += trainer.history()[i].a / 8;
      last[1] += trainer.history()[i].b / 8;
    }
    EXPECT_LT(last[0], 0.95f * trainer.history()[0].a);
    EXPECT_LT(last[1], 0.95f * trainer.history()[0].b);
    return last;
  };
  const Floats host = train("cpu", "host");
  if (GetParam() == Device::cuda) expect_near(train("cuda", "cuda"), host, 0.1);
}
#endif

INSTANTIATE_TEST_SUITE_P(, StepOnDevices, testing::Values(Device::host, Device::cuda),
                         [](const auto& device) {
                           return std::string(kernels::name(device.param));
                         });
}  // namespace
}  // namespace faceswap
