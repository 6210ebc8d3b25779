// Properties of the image kernels: identities, invariants, published values, and what
// the augmentation promises a trainer.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <set>

#include "kernels/image/augment.h"
#include "kernels/image/blend.h"
#include "kernels/image/color.h"
#include "kernels/image/resample.h"
#include "tests/kernels/device_array.h"

namespace {

using namespace kernels;
using tests::host;
using tests::uniform_vector;
using Floats = std::vector<float>;

Floats random_image(std::size_t n, unsigned seed) {
  const auto v = uniform_vector(n, 0, 1, seed);
  return Floats(v.begin(), v.end());
}

// ---- colour. Published L*a*b* of the sRGB primaries (D65).
TEST(Color, PublishedValues) {
  const Floats rgb{1, 1, 1, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 1, 0.5f, 0.5f, 0.5f};
  const Floats want{100,    0,       0,      0,      0,      0,        53.24f, 80.09f, 67.20f,
                    87.73f, -86.18f, 83.18f, 32.30f, 79.19f, -107.86f, 53.39f, 0,      0};
  Floats lab(rgb.size());
  rgb_to_lab<Host>(host(), rgb.data(), lab.data(), 6);
  for (std::size_t i = 0; i < lab.size(); ++i) EXPECT_NEAR(lab[i], want[i], 0.012) << i;
}

TEST(Color, RoundTripOfEveryByteAndManyColours) {
  Floats rgb;
  for (int i = 0; i < 256; ++i)
    for (const int j : {0, 1, 17, 128, 254, 255})
      for (const int k : {0, 3, 100, 255})
        rgb.insert(rgb.end(), {static_cast<float>(i) / 255, static_cast<float>(j) / 255,
                               static_cast<float>(k) / 255});
  const std::int64_t n = static_cast<std::int64_t>(rgb.size() / 3);
  Floats lab(rgb.size()), back(rgb.size());
  rgb_to_lab<Host>(host(), rgb.data(), lab.data(), n);
  lab_to_rgb<Host>(host(), lab.data(), back.data(), n);
  for (std::size_t i = 0; i < rgb.size(); ++i)
    ASSERT_NEAR(back[i], rgb[i], 4e-5) << "value " << i << ", a byte is 4e-3";
}

TEST(Color, TransferGivesTheTargetsStatistics) {
  const std::int64_t n = 3000;
  Floats image = random_image(9000, 1), out(9000), stats(7), got(7);
  channel_stats<Host>(host(), image.data(), nullptr, stats.data(), n);
  const Floats to{0.2f, 0.7f, 0.4f, 0.1f, 0.3f, 0.2f, 1.f};
  transfer_stats<Host>(host(), image.data(), out.data(), n, stats.data(), to.data(), true, 10.f);
  channel_stats<Host>(host(), out.data(), nullptr, got.data(), n);
  for (std::size_t c = 0; c < 6; ++c) EXPECT_NEAR(got[c], to[c], 1e-5) << c;
  EXPECT_THROW(transfer_stats<Host>(host(), image.data(), out.data(), n, stats.data(), to.data(),
                                    true, 0.5f),
               Error);
}

TEST(Color, StatsOfNoWeightAreZero) {
  const Floats image = random_image(30, 2), weight(10, 0.f);
  Floats stats(7, 9.f);
  channel_stats<Host>(host(), image.data(), weight.data(), stats.data(), 10);
  EXPECT_EQ(stats, Floats(7, 0.f));
}

// ---- blending
TEST(Blend, BlurKeepsAConstantAndTheSumOfAnInnerSpot) {
  Floats image(40 * 50, 0.75f), out(image.size());
  gaussian_blur<Host>(host(), {image.data(), 40, 50, 1}, out.data(), 3.f);
  for (float v : out) EXPECT_NEAR(v, 0.75f, 1e-6f);
  std::fill(image.begin(), image.end(), 0.f);
  image[20 * 50 + 25] = 1;
  gaussian_blur<Host>(host(), {image.data(), 40, 50, 1}, out.data(), 3.f);
  EXPECT_NEAR(std::accumulate(out.begin(), out.end(), 0.0), 1, 1e-5);
  EXPECT_EQ(out[20 * 50 + 22], out[20 * 50 + 28]) << "symmetric";
}

TEST(Blend, DilationIsErosionOfTheComplement) {
  const Floats mask = random_image(31 * 17, 3);
  Floats complement(mask.size()), eroded(mask.size()), dilated(mask.size());
  for (std::size_t i = 0; i < mask.size(); ++i) complement[i] = -mask[i];
  erode<Host>(host(), {complement.data(), 31, 17, 1}, eroded.data(), 3.6f);
  erode<Host>(host(), {mask.data(), 31, 17, 1}, dilated.data(), -3.6f);
  for (std::size_t i = 0; i < mask.size(); ++i) EXPECT_EQ(dilated[i], -eroded[i]);
}

TEST(Blend, RefusesWhatItCannotDo) {
  const Floats image(100);
  Floats out(100);
  EXPECT_THROW(gaussian_blur<Host>(host(), {image.data(), 2, 10, 5}, out.data(), 1.f), Error);
  EXPECT_THROW(erode<Host>(host(), {image.data(), 10, 10, 1}, out.data(), 300.f), Error);
  EXPECT_THROW(erode<Host>(host(), {image.data(), 10, 5, 2}, out.data(), 1.f), Error);
  EXPECT_THROW(erode<Host>(host(), {image.data(), 10, 10, 1}, out.data(), std::nanf("")), Error);
  EXPECT_THROW(
      blend<Host>(host(), {image.data(), 2, 10, 5}, image.data(), image.data(), out.data()), Error);
}

// ---- warps
TEST(Warp, IdentityAndWholeShiftsCopyBits) {
  const Floats image = random_image(20 * 30 * 3, 4);
  Floats out(image.size());
  affine_warp<Host, float>(host(), {image.data(), 20, 30, 3}, {out.data(), 20, 30, 3}, Affine{}, 1);
  EXPECT_EQ(out, image);
  affine_warp<Host, float>(host(), {image.data(), 20, 30, 3}, {out.data(), 20, 30, 3},
                           Affine{1, 0, 4, 0, 1, -2}, 1);
  for (int y = 0; y < 20; ++y)
    for (int x = 0; x < 30; ++x)
      ASSERT_EQ(
          out[static_cast<std::size_t>((y * 30 + x) * 3 + 1)],
          image[static_cast<std::size_t>((std::max(y - 2, 0) * 30 + std::min(x + 4, 29)) * 3 + 1)]);
  resize<Host, float>(host(), {image.data(), 20, 30, 3}, {out.data(), 20, 30, 3});
  EXPECT_EQ(out, image);
}

TEST(Warp, PositionsThatAreNotNumbersReadTheEdge) {
  const Floats image = random_image(16, 5);
  Floats out(16);
  const float nan = std::nanf("");
  affine_warp<Host, float>(host(), {image.data(), 4, 4, 1}, {out.data(), 4, 4, 1},
                           Affine{nan, 0, 0, 0, nan, 1e30f}, 1);
  for (float v : out) EXPECT_EQ(v, image[0]);
}

TEST(Warp, ResizeKeepsTheMean) {
  const Floats image = random_image(60 * 48, 6);
  Floats out(20 * 12);
  resize<Host, float>(host(), {image.data(), 60, 48, 1}, {out.data(), 20, 12, 1});
  EXPECT_NEAR(std::accumulate(out.begin(), out.end(), 0.0) / 240,
              std::accumulate(image.begin(), image.end(), 0.0) / 2880, 1e-6);
}

TEST(Warp, RefusesWhatItCannotDo) {
  const Floats image(100);
  Floats out(100);
  const auto warp = [&](int in_channels, int out_channels, int supersample) {
    affine_warp<Host, float>(host(), {image.data(), 2, 10, in_channels},
                             {out.data(), 2, 2, out_channels}, Affine{}, supersample);
  };
  EXPECT_THROW(warp(5, 5, 1), Error);
  EXPECT_THROW(warp(1, 2, 1), Error);
  EXPECT_THROW(warp(1, 1, 0), Error);
  EXPECT_THROW((resize<Host, float>(host(), {image.data(), 0, 10, 1}, {out.data(), 2, 2, 1})),
               Error);
}

// ---- augmentation

struct Batch {
  Floats input, target, mask;
};

// Images whose red grows along x, green along y, and whose mask holds the image's
// number.
struct ImageSet {
  int count, stored;
  std::vector<std::uint8_t> bytes;
  ImageSet(int count_, int stored_)
      : count(count_),
        stored(stored_),
        bytes(static_cast<std::size_t>(count_ * stored_ * stored_ * 4)) {
    for (std::size_t i = 0; i < bytes.size(); i += 4) {
      const std::size_t pixel = i / 4 % static_cast<std::size_t>(stored * stored);
      bytes[i] = static_cast<std::uint8_t>(4 * (pixel % static_cast<std::size_t>(stored)));
      bytes[i + 1] = static_cast<std::uint8_t>(4 * (pixel / static_cast<std::size_t>(stored)));
      bytes[i + 2] = 100;
      bytes[i + 3] = static_cast<std::uint8_t>(i / 4 / static_cast<std::size_t>(stored * stored));
    }
  }
  ImageSource source(std::uint32_t key) const { return {bytes.data(), count, stored, key}; }
  Batch draw(std::uint64_t step, int batch, int size, const AugmentOptions& options,
             std::uint32_t key = 0, std::uint64_t seed = 1,
             Region region = {0.5f, 0.5f, 0.6f}) const {
    StepState state;
    state.step = step;
    state.seed = seed;
    const std::size_t pixels = static_cast<std::size_t>(batch * size * size);
    Batch out{Floats(3 * pixels), Floats(3 * pixels), Floats(pixels)};
    augment<Host, float>(host(), std::array{source(key)}, region, &state, batch, size,
                         out.input.data(), out.target.data(), out.mask.data(), options);
    return out;
  }
};

int image_number(const Batch& b, std::size_t sample, std::size_t pixels) {
  return static_cast<int>(std::lround(b.mask[sample * pixels + pixels / 2] * 255));
}

TEST(Augment, ShowsEveryImageOncePerEpochInOrdersOfItsOwn) {
  const ImageSet images(13, 16);
  std::vector<std::vector<int>> epochs;
  for (const std::uint32_t key : {0u, 1u}) {
    std::vector<int> seen;
    for (std::uint64_t step = 1; step <= 26; ++step) {  // eight epochs
      const Batch b = images.draw(step, 4, 8, {}, key);
      for (std::size_t i = 0; i < 4; ++i) seen.push_back(image_number(b, i, 64));
    }
    for (std::size_t epoch = 0; epoch < 8; ++epoch) {
      const std::vector<int> order(seen.begin() + static_cast<std::ptrdiff_t>(13 * epoch),
                                   seen.begin() + static_cast<std::ptrdiff_t>(13 * (epoch + 1)));
      EXPECT_EQ(std::set<int>(order.begin(), order.end()).size(), 13u) << "epoch " << epoch;
      epochs.push_back(order);
    }
  }
  EXPECT_EQ(std::set<std::vector<int>>(epochs.begin(), epochs.end()).size(), 16u)
      << "orders repeat";
}

TEST(Augment, OneImageAndManyImages) {
  const ImageSet one(1, 8);
  EXPECT_EQ(image_number(one.draw(5, 2, 8, {}), 1, 64), 0);
  const ImageSet many(200, 8);
  std::set<int> seen;
  for (std::uint64_t step = 1; step <= 10; ++step) {
    const Batch b = many.draw(step, 20, 4, {});
    for (std::size_t i = 0; i < 20; ++i) seen.insert(image_number(b, i, 16));
  }
  EXPECT_EQ(seen.size(), 200u);
}

TEST(Augment, DependsOnStepAndSeedAlone) {
  const ImageSet images(5, 32);
  const Batch straight = images.draw(17, 4, 16, {}), again = images.draw(17, 4, 16, {}),
              next = images.draw(18, 4, 16, {}), other_seed = images.draw(17, 4, 16, {}, 0, 2),
              other_key = images.draw(17, 4, 16, {}, 1);
  EXPECT_EQ(straight.input, again.input);
  EXPECT_EQ(straight.target, again.target);
  EXPECT_EQ(straight.mask, again.mask);
  EXPECT_NE(straight.input, next.input);
  EXPECT_NE(straight.target, other_seed.target);
  EXPECT_NE(straight.target, other_key.target);
}

TEST(Augment, WithoutRandomnessIsTheStoredImagesInOrder) {
  const ImageSet images(6, 32);
  AugmentOptions options;
  options.random = false;
  const Batch b = images.draw(1, 6, 32, options, 0, 1, Region{});
  EXPECT_EQ(b.input, b.target);
  for (std::size_t i = 0; i < 6; ++i) EXPECT_EQ(image_number(b, i, 1024), static_cast<int>(i));
  for (std::size_t i = 0; i < 1024 * 6; ++i)
    for (std::size_t c = 0; c < 3; ++c)
      ASSERT_NEAR(b.target[3 * i + c], static_cast<float>(images.bytes[4 * i + c]) / 255, 1e-6);
}

TEST(Augment, InputIsTheTargetWithoutTheWarp) {
  const ImageSet images(3, 40);
  AugmentOptions options;
  options.warp = 0.f;
  const Batch b = images.draw(4, 8, 20, options);
  EXPECT_EQ(b.input, b.target) << "colour, affine and flip are shared";
  EXPECT_NE(images.draw(4, 8, 20, {}).input, b.input);
  EXPECT_EQ(images.draw(4, 8, 20, {}).target, b.target) << "the warp touches the input alone";
}

// Red and green are the stored x and y, so the target's pixels tell zoom, angle, shift
// and flip of each sample.
TEST(Augment, DrawsWhatTheOptionsSay) {
  const ImageSet images(1, 64);
  AugmentOptions options;
  options.lightness = options.chroma = 0.f;
  const int size = 33, batch = 50, steps = 16;
  const double side = 0.6, pixels_per_value = 255.0 / 4;
  std::vector<double> zoom, angle, shift, warp;
  int flipped = 0;
  for (int step = 1; step <= steps; ++step) {
    const Batch b = images.draw(static_cast<std::uint64_t>(step), batch, size, options, 0, 3);
    for (int i = 0; i < batch; ++i) {
      const auto place = [&](const Floats& image, int x, int y) {
        const std::size_t at = static_cast<std::size_t>((i * size + y) * size + x) * 3;
        return std::pair(double{image[at]} * pixels_per_value,
                         double{image[at + 1]} * pixels_per_value);
      };
      const auto [cx, cy] = place(b.target, 16, 16);
      const auto [rx, ry] = place(b.target, 28, 16);
      double dx = (rx - cx) / 12,
             dy = (ry - cy) / 12;  // stored pixels per output pixel to the right
      const bool flip = dx < 0;
      flipped += flip;
      if (flip) dx = -dx, dy = -dy;
      zoom.push_back(side * 64 / size / std::hypot(dx, dy) - 1);
      angle.push_back(std::atan2(-dy, dx) * 180 / 3.14159265358979);  // q = R(-angle) p
      // The centre (1/2, 1/2) shows the stored centre moved by -R(-angle) shift / zoom.
      const double moved_x = (31.5 - cx) / (side * 64), moved_y = (31.5 - cy) / (side * 64),
                   a = angle.back() * 3.14159265358979 / 180, z = 1 + zoom.back();
      shift.push_back(z * (std::cos(a) * moved_x - std::sin(a) * moved_y));
      shift.push_back(z * (std::sin(a) * moved_x + std::cos(a) * moved_y));
      // The middle node of the grid lies on the middle pixel.
      const auto [wx, wy] = place(b.input, 16, 16);
      warp.push_back(std::hypot(wx - cx, wy - cy) * z / (side * 64));
    }
  }
  const auto check_range = [](const char* name, const std::vector<double>& v, double range) {
    const double n = static_cast<double>(v.size()),
                 mean = std::accumulate(v.begin(), v.end(), 0.0) / n;
    double variance = 0;
    for (double x : v) variance += (x - mean) * (x - mean) / n;
    EXPECT_LE(*std::max_element(v.begin(), v.end()), range * 1.02) << name;
    EXPECT_GE(*std::min_element(v.begin(), v.end()), -range * 1.02) << name;
    EXPECT_NEAR(mean, 0, 0.1 * range) << name;  // five standard errors
    EXPECT_NEAR(std::sqrt(variance), range / std::sqrt(3.0), 0.05 * range) << name;
  };
  check_range("zoom", zoom, 0.05);
  check_range("angle", angle, 10);
  check_range("shift", shift, 0.05);
  EXPECT_NEAR(flipped / 800.0, 0.5, 0.09);
  double squares = 0;
  for (double w : warp) squares += w * w / static_cast<double>(warp.size());
  EXPECT_NEAR(std::sqrt(squares / 2), options.warp, 0.1 * options.warp)
      << "deviation of a grid node on each axis";
}

// A grey image, chroma off: L* moves by up to 30 % of the distance to 100, or shrinks
// by up to 30 %.
TEST(Augment, MovesColourAsFaceswapDoes) {
  std::vector<std::uint8_t> grey(8 * 8 * 4, 119);  // L* = 50
  const ImageSet images(1, 8);
  AugmentOptions options;
  options.chroma = 0.f;
  StepState state;
  Floats input(64 * 3 * 64), target(input.size()), mask(64 * 64), lightness;
  for (state.step = 1; state.step <= 8; ++state.step) {
    augment<Host, float>(host(), std::array{ImageSource{grey.data(), 1, 8, 0}}, {}, &state, 64, 8,
                         input.data(), target.data(), mask.data(), options);
    Floats lab(target.size());
    rgb_to_lab<Host>(host(), target.data(), lab.data(), 64 * 64);
    for (std::size_t i = 0; i < 64; ++i) {
      lightness.push_back(lab[i * 64 * 3]);
      EXPECT_NEAR(lab[i * 64 * 3 + 1], 0, 0.01);
    }
  }
  const auto [low, high] = std::minmax_element(lightness.begin(), lightness.end());
  EXPECT_NEAR(*low, 50 * 0.7, 0.5);
  EXPECT_NEAR(*high, 50 + 0.3 * 50, 0.5);
  EXPECT_GE(*low, 50 * 0.7 - 0.1);
  EXPECT_LE(*high, 50 + 0.3 * 50 + 0.1);
}

// Two sources of different stored sizes in one launch, samples [1, 3) of a batch of
// four.
TEST(Augment, TakesTwoSourcesAsTwoLaunchesWould) {
  const ImageSet a(5, 16), b(3, 24);
  StepState state;
  state.step = 4;
  const AugmentOptions options;
  const MicroBatch micro_batch(4, 1, 2);
  const int size = 8, pixels = 2 * size * size;
  Floats input(6 * pixels), target(6 * pixels), mask(2 * pixels), input_apart(6 * pixels),
      target_apart(6 * pixels), mask_apart(2 * pixels);
  augment<Host, float>(host(), std::array{a.source(0), b.source(1)}, {}, &state, micro_batch, size,
                       input.data(), target.data(), mask.data(), options);
  augment<Host, float>(host(), std::array{a.source(0)}, {}, &state, micro_batch, size,
                       input_apart.data(), target_apart.data(), mask_apart.data(), options);
  augment<Host, float>(host(), std::array{b.source(1)}, {}, &state, micro_batch, size,
                       &input_apart[3 * pixels], &target_apart[3 * pixels], &mask_apart[pixels],
                       options);
  EXPECT_EQ(input, input_apart);
  EXPECT_EQ(target, target_apart);
  EXPECT_EQ(mask, mask_apart);
  EXPECT_THROW(
      (augment<Host, float>(host(), std::array{a.source(0), b.source(1), a.source(2)}, {}, &state,
                            micro_batch, size, input.data(), target.data(), mask.data(), options)),
      Error);
}

TEST(Augment, RefusesAnEmptyImageSet) {
  StepState state;
  float unused[3];
  EXPECT_THROW((augment<Host, float>(host(), std::array{ImageSource{nullptr, 0, 8, 0}}, {}, &state,
                                     1, 1, unused, unused, unused, {})),
               Error);
}
}  // namespace
