// The measure of a swap against its formulas in double.
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cmath>

#include "faceswap/synthetic/head.h"
#include "faceswap/synthetic/swap_meter.h"
#include "tests/faceswap/kind_of.h"
#include "tests/faceswap/synthetic/luma.h"

namespace faceswap {
namespace {

Image noise_picture(int width, int height, std::uint32_t seed) {
  Image image(width, height);
  for (std::uint8_t& v : image.pixels)
    v = static_cast<std::uint8_t>((seed = seed * 1664525u + 1013904223u) >> 24);
  return image;
}

Image full_mask(int width, int height) {
  Image mask(width, height, 1);
  std::fill(mask.pixels.begin(), mask.pixels.end(), 255);
  return mask;
}

Image box_blurred(const Image& image, int radius) {
  Image out = image;
  for (int y = 0; y < image.height; ++y) {
    for (int x = 0; x < image.width; ++x) {
      for (int c = 0; c < 3; ++c) {
        int sum = 0, count = 0;
        for (int dy = -radius; dy <= radius; ++dy) {
          for (int dx = -radius; dx <= radius; ++dx, ++count)
            sum += image.at(std::clamp(x + dx, 0, image.width - 1),
                            std::clamp(y + dy, 0, image.height - 1))[c];
        }
        out.at(x, y)[c] = static_cast<std::uint8_t>(sum / count);
      }
    }
  }
  return out;
}

// SSIM (Wang et al.) at one pixel, in double; borders mirrored without the edge pixel.
double ssim_at(const Image& a, const Image& b, int x, int y) {
  const auto mirrored = [](int v, int n) { return v < 0 ? -v : v >= n ? 2 * n - 2 - v : v; };
  double weights = 0, ma = 0, mb = 0, aa = 0, bb = 0, ab = 0;
  for (int dy = -5; dy <= 5; ++dy) {
    for (int dx = -5; dx <= 5; ++dx) {
      const double w = std::exp(-(dx * dx + dy * dy) / (2 * 1.5 * 1.5));
      const int px = mirrored(x + dx, a.width), py = mirrored(y + dy, a.height);
      const double va = luma(a, px, py) / 255, vb = luma(b, px, py) / 255;
      weights += w, ma += w * va, mb += w * vb, aa += w * va * va, bb += w * vb * vb,
          ab += w * va * vb;
    }
  }
  ma /= weights, mb /= weights;
  const double var_a = aa / weights - ma * ma, var_b = bb / weights - mb * mb,
               cov = ab / weights - ma * mb, c1 = 1e-4, c2 = 9e-4;
  return (2 * ma * mb + c1) * (2 * cov + c2) / ((ma * ma + mb * mb + c1) * (var_a + var_b + c2));
}

std::array<double, 3> lab_of(const std::uint8_t* rgb) {
  const auto linear = [](double v) {
    return v <= 0.04045 ? v / 12.92 : std::pow((v + 0.055) / 1.055, 2.4);
  };
  const double r = linear(rgb[0] / 255.0), g = linear(rgb[1] / 255.0), b = linear(rgb[2] / 255.0);
  const auto f = [](double t) {
    return t > std::pow(6.0 / 29, 3) ? std::cbrt(t) : t / (3 * std::pow(6.0 / 29, 2)) + 4.0 / 29;
  };
  const double x = f((0.4124 * r + 0.3576 * g + 0.1805 * b) / 0.9505),
               y = f(0.2126 * r + 0.7152 * g + 0.0722 * b),
               z = f((0.0193 * r + 0.1192 * g + 0.9505 * b) / 1.089);
  return {116 * y - 16, 500 * (x - y), 200 * (y - z)};
}

TEST(SwapMeter, EqualsTheFormulasInDouble) {
  const int width = 20, height = 16;
  const Image a = box_blurred(noise_picture(width, height, 1), 1),
              b = box_blurred(noise_picture(width, height, 2), 1);
  Image mask(width, height, 1);
  for (int y = 0; y < height; ++y) {
    for (int x = 0; x < width; ++x)
      *mask.at(x, y) = static_cast<std::uint8_t>(x < 3 ? 0 : (37 * x + 11 * y) % 256);
  }
  double ssim = 0, delta = 0, weights = 0;
  for (int y = 0; y < height; ++y) {
    for (int x = 0; x < width; ++x) {
      const double w = *mask.at(x, y);
      const auto p = lab_of(a.at(x, y)), q = lab_of(b.at(x, y));
      ssim += w * ssim_at(a, b, x, y);
      delta += w * std::sqrt(std::pow(p[0] - q[0], 2) + std::pow(p[1] - q[1], 2) +
                             std::pow(p[2] - q[2], 2));
      weights += w;
    }
  }
  SwapMeter meter;
  meter.add(a, b, mask);
  EXPECT_NEAR(meter.result().ssim, ssim / weights, 1e-4);
  EXPECT_NEAR(meter.result().delta_e, delta / weights, 0.02);
  EXPECT_EQ(meter.result().frames, 1);
}

TEST(SwapMeter, PerfectIsPerfectAndBlurIsWorse) {
  const HeadPicture head = draw_head(head_identity('a'), {}, 160, 120, 0, 1);
  double last_ssim = 1.0 + 1e-9, last_delta = -1e-9;
  for (const int radius : {0, 1, 2, 4}) {
    SwapMeter meter;
    meter.add(box_blurred(head.rgb, radius), head.rgb, head.mask);
    const SwapQuality q = meter.result();
    if (radius == 0) {
      EXPECT_NEAR(q.ssim, 1, 1e-6);
      EXPECT_EQ(q.delta_e, 0);
    }
    EXPECT_LT(q.ssim, last_ssim);
    EXPECT_GT(q.delta_e, last_delta);
    last_ssim = q.ssim, last_delta = q.delta_e;
  }
}

TEST(SwapMeter, LooksOnlyInsideTheFaceAndPoolsFrames) {
  const int size = 40;
  const Image truth = box_blurred(noise_picture(size, size, 3), 2);
  Image left = full_mask(size, size), spoiled = truth;
  for (int y = 0; y < size; ++y) {
    for (int x = 0; x < size; ++x) {
      if (x >= 20) *left.at(x, y) = 0;
      // Beyond the reach of the window.
      if (x >= 26) std::fill(spoiled.at(x, y), spoiled.at(x, y) + 3, 0);
    }
  }
  SwapMeter meter;
  meter.add(spoiled, truth, left);
  EXPECT_NEAR(meter.result().ssim, 1, 1e-6);
  EXPECT_EQ(meter.result().delta_e, 0);
  // The second frame has a constant colour difference and twice the area of the first.
  Image dark(size, size), light(size, size);
  std::fill(dark.pixels.begin(), dark.pixels.end(), 100);
  std::fill(light.pixels.begin(), light.pixels.end(), 140);
  const double difference = lab_of(light.at(0, 0))[0] - lab_of(dark.at(0, 0))[0];
  meter.add(dark, light, full_mask(size, size));
  EXPECT_NEAR(meter.result().delta_e, difference * 2 / 3, 1e-2);
  EXPECT_EQ(meter.result().frames, 2);
}

TEST(SwapMeter, RefusesWhatCannotBeCompared) {
  SwapMeter meter;
  EXPECT_EQ(kind_of([&] { meter.result(); }), ErrorKind::nothing_found);
  EXPECT_EQ(kind_of([&] { meter.add(Image(20, 20), Image(20, 21), full_mask(20, 20)); }),
            ErrorKind::failure);
  EXPECT_EQ(kind_of([&] { meter.add(Image(20, 20), Image(20, 20), Image(20, 20, 3)); }),
            ErrorKind::failure);
  meter.add(Image(20, 20), Image(20, 20), Image(20, 20, 1));  // an empty mask: still nothing
  EXPECT_EQ(kind_of([&] { meter.result(); }), ErrorKind::nothing_found);
}
}  // namespace
}  // namespace faceswap
