// Gradients in double against central differences of the value; linear maps against their
// adjoints.
#include <gtest/gtest.h>

#include <cmath>

#include "kernels/elementwise.h"
#include "kernels/layout.h"
#include "kernels/ssim.h"
#include "tests/kernels/device_array.h"

namespace {

using namespace kernels;
using tests::host;
using tests::uniform_vector;
using Vector = std::vector<double>;

struct LossGradient : testing::TestWithParam<std::tuple<int, int, int, int, bool>> {};

void check(const LossWeights& weights, const char* name, int n, int h, int w, int c, bool masked) {
  const ImageShape shape{n, h, w, c};
  const std::size_t pixels = static_cast<std::size_t>(n * h * w),
                    values = pixels * static_cast<std::size_t>(c);
  Vector pred = uniform_vector(values, 0, 1, 1);
  const Vector target = uniform_vector(values, 0, 1, 2);
  Vector mask = uniform_vector(pixels, 0, 2, 3);
  for (std::size_t i = 0; i < pixels; i += 3) mask[i] = 0;  // as in a face mask
  const double* const m = masked ? mask.data() : nullptr;
  Vector gradient(values), unused(values);
  double value = 0;
  image_loss<Host, double>(host(), shape, weights, pred.data(), target.data(), m,
                           {&value, nullptr, gradient.data()});
  double largest = 0;
  for (double g : gradient) largest = std::max(largest, std::fabs(g));
  ASSERT_GT(largest, 0);
  const double step = 1e-6;
  for (std::size_t i = 0; i < values; ++i) {
    const double kept = pred[i];
    double above = 0, below = 0;
    pred[i] = kept + step;
    image_loss<Host, double>(host(), shape, weights, pred.data(), target.data(), m,
                             {&above, nullptr, unused.data()});
    pred[i] = kept - step;
    image_loss<Host, double>(host(), shape, weights, pred.data(), target.data(), m,
                             {&below, nullptr, unused.data()});
    pred[i] = kept;
    ASSERT_NEAR(gradient[i], (above - below) / (2 * step), 1e-6 * largest + 1e-9 * value)
        << name << " at value " << i << " of [" << n << "," << h << "," << w << "," << c << "]";
  }
}

TEST_P(LossGradient, EqualsCentralDifferences) {
  const auto [n, h, w, c, masked] = GetParam();
  check({0.f, 0.f, 1.f}, "mae", n, h, w, c, masked);
  check({0.f, 1.f, 0.f}, "mse", n, h, w, c, masked);
  check({1.f, 0.f, 0.f}, "dssim", n, h, w, c, masked);
  check({0.5f, 2.f, 0.25f}, "all three", n, h, w, c, masked);
}
// 6 is the smallest size: both mirrors reach every pixel. 11 and 12: one pixel out of the
// mirrors' reach, and none. 35: two tiles.
INSTANTIATE_TEST_SUITE_P(Shapes, LossGradient,
                         testing::Values(std::tuple(1, 6, 6, 1, false),
                                         std::tuple(1, 6, 7, 2, true),
                                         std::tuple(2, 11, 12, 1, true),
                                         std::tuple(1, 9, 35, 1, false),
                                         std::tuple(1, 18, 10, 3, true)));

TEST(DssimLoss, OfEqualImagesIsZeroAndFlat) {
  const ImageShape shape{1, 12, 13, 3};
  const Vector image = uniform_vector(12 * 13 * 3, 0, 1, 9);
  Vector gradient(image.size());
  double loss = 1;
  image_loss<Host, double>(host(), shape, {1.f, 0.f, 0.f}, image.data(), image.data(), nullptr,
                           {&loss, nullptr, gradient.data()});
  EXPECT_NEAR(loss, 0, 1e-14);
  for (double g : gradient) EXPECT_NEAR(g, 0, 1e-14);
}

// The padding is PyTorch's "reflect", without a repeated edge. A single bright pixel at a
// corner shows the difference.
TEST(SsimMap, MirrorsWithoutRepeatingTheEdge) {
  const ImageShape shape{1, 8, 8, 1};
  Vector a(64, 0.0), b(64, 0.0), map(64);
  a[0] = b[0] = 1;
  b[1] = 0.5;  // x = 1, y = 0: seen at x = -1 too
  ssim_map<Host, double>(host(), shape, a.data(), b.data(), map.data());
  double g[11], sum = 0;
  for (int k = 0; k < 11; ++k) sum += g[k] = std::exp(-(k - 5) * (k - 5) / 4.5);
  // At (0,0) the weights of pixels (0,0) and (1,0) in the mirrored window:
  const double w0 = g[5] * g[5] / (sum * sum), w1 = g[5] * (g[4] + g[6]) / (sum * sum);
  const double ma = w0, mb = w0 + 0.5 * w1, va = w0 - ma * ma, vb = w0 + 0.25 * w1 - mb * mb,
               cov = w0 - ma * mb;
  EXPECT_NEAR(
      map[0],
      (2 * ma * mb + 1e-4) * (2 * cov + 9e-4) / ((ma * ma + mb * mb + 1e-4) * (va + vb + 9e-4)),
      1e-12);
}

TEST(ImageLosses, RefuseSmallAndEmptyImages) {
  const Vector image(36);
  Vector gradient(36);
  double loss;
  EXPECT_THROW((image_loss<Host, double>(host(), {1, 5, 6, 1}, {}, image.data(), image.data(),
                                         nullptr, {&loss, nullptr, gradient.data()})),
               Error);
  EXPECT_THROW((image_loss<Host, double>(host(), {1, 6, 5, 1}, {}, image.data(), image.data(),
                                         nullptr, {&loss, nullptr, gradient.data()})),
               Error);
  EXPECT_THROW((image_loss<Host, double>(host(), {0, 6, 6, 1}, {0.f, 0.f, 1.f}, image.data(),
                                         image.data(), nullptr, {&loss, nullptr, gradient.data()})),
               Error);
}

// A NaN in the prediction reaches the loss, where the NaN guard looks for it.
TEST(ImageLosses, DoNotHideNaN) {
  const ImageShape shape{1, 8, 8, 1};
  for (const LossWeights& weights :
       {LossWeights{0.f, 0.f, 1.f}, LossWeights{0.f, 1.f, 0.f}, LossWeights{1.f, 0.f, 0.f}}) {
    std::vector<float> pred(64, 0.5f), target(64, 0.25f), gradient(64);
    pred[27] = std::nanf("");
    float loss = 0;
    image_loss<Host, float>(host(), shape, weights, pred.data(), target.data(), nullptr,
                            {&loss, nullptr, gradient.data()});
    EXPECT_TRUE(std::isnan(loss));
  }
}

TEST(Elementwise, GradientsEqualCentralDifferences) {
  const std::int64_t n = 200;
  const Vector x = uniform_vector(n, -3, 3, 4), dy = uniform_vector(n, -1, 1, 5);
  const double step = 1e-6;
  Vector above(n), below(n), y(n), dx(n), plus = x, minus = x;
  for (std::size_t i = 0; i < x.size(); ++i) plus[i] += step, minus[i] -= step;
  const auto compare = [&](const char* name) {
    for (std::size_t i = 0; i < x.size(); ++i)
      EXPECT_NEAR(dx[i], dy[i] * (above[i] - below[i]) / (2 * step), 1e-8)
          << name << " at " << x[i];
  };
  bias_sigmoid_forward<Host, double>(host(), plus.data(), nullptr, above.data(), n, 1);
  bias_sigmoid_forward<Host, double>(host(), minus.data(), nullptr, below.data(), n, 1);
  bias_sigmoid_forward<Host, double>(host(), x.data(), nullptr, y.data(), n, 1);
  sigmoid_backward<Host, double>(host(), y.data(), dy.data(), dx.data(), n);
  compare("sigmoid");
  bias_leaky_relu_forward<Host, double>(host(), plus.data(), nullptr, above.data(), n, 1, 0.1f);
  bias_leaky_relu_forward<Host, double>(host(), minus.data(), nullptr, below.data(), n, 1, 0.1f);
  bias_leaky_relu_forward<Host, double>(host(), x.data(), nullptr, y.data(), n, 1, 0.1f);
  leaky_relu_backward<Host, double>(host(), y.data(), dy.data(), dx.data(), n, 0.1f);
  compare("leaky_relu");
}

TEST(Elementwise, SigmoidIsFiniteFarOut) {
  const std::vector<float> x{-1000.f, -100.f, -88.f, 88.f, 100.f, 1000.f};
  std::vector<float> y(x.size());
  bias_sigmoid_forward<Host, float>(host(), x.data(), nullptr, y.data(), 6, 1);
  for (std::size_t i = 0; i < x.size(); ++i)
    EXPECT_NEAR(y[i], x[i] > 0 ? 1.f : 0.f, 1e-30f + (x[i] > 0 ? 1e-7f : 1e-30f));
}

double dot(const Vector& a, const Vector& b) {
  double sum = 0;
  for (std::size_t i = 0; i < a.size(); ++i) sum += a[i] * b[i];
  return sum;
}

TEST(Layout, Col2imIsTheAdjointOfIm2col) {
  const PatchShape s{2, 7, 9, 3, 5, 3, 2, 1, 2, 4, 6};
  const Vector x = uniform_vector(2 * 7 * 9 * 3, -1, 1, 6),
               c = uniform_vector(2 * 4 * 6 * 5 * 3 * 3, -1, 1, 7);
  Vector columns(c.size()), back(x.size());
  im2col<Host, double>(host(), s, x.data(), columns.data());
  col2im<Host, double>(host(), s, c.data(), back.data());
  EXPECT_NEAR(dot(columns, c), dot(x, back), 1e-11);
}

TEST(Layout, UnshuffleUndoesShuffle) {
  const Vector x = uniform_vector(2 * 3 * 4 * 9 * 5, -1, 1, 8);
  Vector y(x.size()), back(x.size());
  pixel_shuffle<Host, double>(host(), x.data(), y.data(), 2, 3, 4, 5, 3);
  pixel_unshuffle<Host, double>(host(), y.data(), back.data(), 2, 3, 4, 5, 3);
  EXPECT_NE(x, y);
  EXPECT_EQ(x, back);
}
}  // namespace
