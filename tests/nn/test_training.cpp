// Small networks end to end: they learn, repeat the same bits, and f32 follows f64.
#include <gtest/gtest.h>

#include <cmath>

#include "kernels/simt/config.h"
#include "nn/layers.h"
#include "nn/optimizer.h"
#include "tests/nn/op_cases.h"

namespace nn_test {
namespace {

using namespace nn;
using Floats = std::vector<float>;

// The tensors here are too small to share among threads: waiting for them costs more
// than the arithmetic on a busy machine.
struct OneThread {
  OneThread() { simt::config().workers = 1; }
  ~OneThread() { simt::config().workers = 0; }
};

// A small face-swap network: one encoder, two decoders, all but the size as in
// `original`.
struct TinySwap {
  ParameterArena arena;
  Conv2d down1{arena, "encoder.conv0", 3, 12, 5, {2, Activation::leaky_relu, 0.1f}};
  Conv2d down2{arena, "encoder.conv1", 12, 24, 5, {2, Activation::leaky_relu, 0.1f}};
  Dense squeeze{arena, "encoder.dense0", 4 * 4 * 24, 48};
  Dense widen{arena, "encoder.dense1", 48, 4 * 4 * 24};
  struct Decoder {
    Conv2d up1, up2, out;
    Decoder(ParameterArena& arena, const std::string& name)
        : up1(arena, name + ".up0", 24, 4 * 16, 3, {1, Activation::leaky_relu, 0.1f}),
          up2(arena, name + ".up1", 16, 4 * 12, 3, {1, Activation::leaky_relu, 0.1f}),
          out(arena, name + ".out", 12, 3, 5, {1, Activation::sigmoid, 0.1f},
              {Init::glorot_uniform}) {}
    Tensor operator()(const Tensor& x) const {
      return out(pixel_shuffle(up2(pixel_shuffle(up1(x), 2)), 2));
    }
  } decoder_a{arena, "decoder_a"}, decoder_b{arena, "decoder_b"};

  Tensor encode(const Tensor& x) const {
    const Tensor h = down2(down1(x));
    return widen(squeeze(h.reshape({h.shape(0), 4 * 4 * 24}))).reshape({h.shape(0), 4, 4, 24});
  }
  // Both identities through one encoder pass, [2n,16,16,3] -> two losses.
  std::pair<Tensor, Tensor> losses(const Tensor& faces) const {
    const std::int64_t n = faces.shape(0) / 2;
    const Tensor code = encode(faces);
    return {mae_loss(decoder_a(code.rows(0, n)), faces.rows(0, n)),
            mae_loss(decoder_b(code.rows(n, 2 * n)), faces.rows(n, 2 * n))};
  }
};

std::vector<double> faces(int n) {  // smooth pictures that differ from each other
  std::vector<double> pixels;
  for (int i = 0; i < n; ++i)
    for (int y = 0; y < 16; ++y)
      for (int x = 0; x < 16; ++x)
        for (int c = 0; c < 3; ++c)
          pixels.push_back(0.5 + 0.4 * std::sin(0.3 * x * (1 + i % 3) + 0.25 * y * (c + 1) + i));
  return pixels;
}

Tensor tensor_of(const std::vector<double>& values, Shape shape, DType dtype) {
  return Tensor::from<double>(values, shape).to(dtype);
}

void train_step(TinySwap& model, const Tensor& batch, Adam& adam, StepStateBlock& state,
                double* loss = nullptr) {
  adam.begin_step(state);
  model.arena.begin_gradients();
  const auto [a, b] = model.losses(batch);
  backward(std::vector<Tensor>{a, b});
  adam.step(state);
  if (loss != nullptr) *loss = a.item() + b.item();
}

TEST(Training, OverfitsEightFaces) {
  const OneThread one_thread;
  TinySwap model;
  model.arena.allocate(Device::host, DType::f32, 1);
  Adam adam(model.arena, {0.9f, 0.99f, 1e-7f, 0.f}, 1.f);
  StepStateBlock state(Device::host, {.learning_rate = 4e-3f});
  const Tensor batch = tensor_of(faces(8), {8, 16, 16, 3}, DType::f32);
  double first = 0, last = 0;
  train_step(model, batch, adam, state, &first);
  for (int step = 0; step < 150; ++step) train_step(model, batch, adam, state, &last);
  RecordProperty("first_loss", std::to_string(first));
  RecordProperty("last_loss", std::to_string(last));
  EXPECT_LT(last, first / 10) << "from " << first << " to " << last;
}

TEST(Training, Bf16LearnsToo) {
  const OneThread one_thread;
  TinySwap model;
  model.arena.allocate(Device::host, DType::bf16, 1);
  Adam adam(model.arena, {0.9f, 0.99f, 1e-7f, 0.f}, 1.f);
  StepStateBlock state(Device::host, {.learning_rate = 4e-3f});
  const Tensor batch = tensor_of(faces(8), {8, 16, 16, 3}, DType::bf16);
  double first = 0, last = 0;
  train_step(model, batch, adam, state, &first);
  for (int step = 0; step < 30; ++step) train_step(model, batch, adam, state, &last);
  EXPECT_LT(last, first / 2) << "from " << first << " to " << last;
}

// All weights after `steps` steps.
Floats weights_after(int steps, simt::Order order) {
  simt::config().order = order;
  TinySwap model;
  model.arena.allocate(Device::host, DType::f32, 1);
  Adam adam(model.arena, {}, 1.f);
  StepStateBlock state(Device::host, {.learning_rate = 1e-3f});
  const Tensor batch = tensor_of(faces(4), {4, 16, 16, 3}, DType::f32);
  for (int step = 0; step < steps; ++step) train_step(model, batch, adam, state);
  simt::config().order = simt::Order::forward;
  return model.arena.master().to_host<float>();
}

TEST(Training, GivesTheSameBitsAgainAndInReverseThreadOrder) {
  const OneThread one_thread;
  const Floats reference = weights_after(3, simt::Order::forward);
  EXPECT_EQ(weights_after(3, simt::Order::forward), reference);
  EXPECT_EQ(weights_after(3, simt::Order::reverse), reference);
}

// All but the convolution: the library sums its filter gradient in an order that
// depends on the number of threads.
TEST(Training, GivesTheSameBitsForAnyNumberOfThreads) {
  const auto run = [](unsigned workers) {
    simt::config().workers = workers;
    ParameterArena arena;
    const Dense wide(arena, "wide", 300, 768), narrow(arena, "narrow", 768 / 4, 48);
    arena.allocate(Device::host, DType::f32, 1);
    Adam adam(arena, {}, 1.f);
    StepStateBlock state(Device::host, {.learning_rate = 1e-3f});
    const Tensor x = tensor_of(random_values(8 * 300, 1, 0, 1), {8, 300}, DType::f32);
    const Tensor target = tensor_of(random_values(8 * 4 * 192, 2, 0, 1), {8, 8, 8, 12}, DType::f32);
    for (int step = 0; step < 3; ++step) {
      adam.begin_step(state);
      arena.zero_gradients();
      const Tensor image = pixel_shuffle(leaky_relu(wide(x), 0.1f).reshape({8, 4, 4, 48}), 2),
                   code = narrow(image.reshape({32, 192}));
      backward(std::vector<Tensor>{dssim_loss(sigmoid(image), target), mae_loss(image, target),
                                   scale(sum(code), 1e-3f)});
      adam.step(state);
    }
    simt::config().workers = 0;
    return arena.master().to_host<float>();
  };
  const Floats reference = run(1);
  for (const unsigned workers : {2u, 3u, 4u})
    EXPECT_EQ(run(workers), reference) << workers << " threads";
}

TEST(Training, F32FollowsF64) {
  const OneThread one_thread;
  const auto run = [](DType dtype) {
    TinySwap model;
    model.arena.allocate(Device::host, dtype, 1);
    const auto [a, b] = model.losses(tensor_of(faces(4), {4, 16, 16, 3}, dtype));
    backward(std::vector<Tensor>{a, b});
    std::vector<double> all{a.item(), b.item()};
    const std::vector<double> gradients = values_of(model.arena.gradients());
    all.insert(all.end(), gradients.begin(), gradients.end());
    return all;
  };
  const std::vector<double> narrow = run(DType::f32), wide = run(DType::f64);
  ASSERT_EQ(narrow.size(), wide.size());
  EXPECT_NEAR(narrow[0], wide[0], 1e-6);
  EXPECT_NEAR(narrow[1], wide[1], 1e-6);
  double error = 0, norm = 0;
  for (std::size_t i = 2; i < wide.size(); ++i) {
    error += (narrow[i] - wide[i]) * (narrow[i] - wide[i]);
    norm += wide[i] * wide[i];
  }
  ASSERT_GT(norm, 0);
  EXPECT_LT(std::sqrt(error / norm),
            1e-4);  // a few signs of |pred - target| and of LeakyReLU may fall the other way
}
}  // namespace
}  // namespace nn_test
