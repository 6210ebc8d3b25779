// Composing a face: masks, colour match, and the paste against one in double.
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <functional>
#include <limits>
#include <numbers>

#include "faceswap/convert/compose.h"
#include "faceswap/faces/view.h"
#include "faceswap/synthetic/head.h"
#include "kernels/image/resample.h"

namespace faceswap {
namespace {

constexpr View kWhole{0.5f, 0.5f, 1.f}, kFaceView{0.5f, 0.53f, 0.75f};

ErrorKind kind_of(const std::function<void()>& action) {
  try {
    action();
  } catch (const Error& error) { return error.kind(); }
  ADD_FAILURE() << "no Error was thrown";
  return ErrorKind::failure;
}

Image noise_frame(int width, int height, std::uint32_t seed) {
  Image image(width, height);
  for (std::uint8_t& v : image.pixels)
    v = static_cast<std::uint8_t>((seed = seed * 1664525u + 1013904223u) >> 24);
  return image;
}

FloatImage noise_view(int size, std::uint32_t seed) {
  FloatImage image(size, size, 3);
  for (float& v : image.pixels)
    v = static_cast<float>((seed = seed * 1664525u + 1013904223u) >> 8) / 16777216.f;
  return image;
}

FloatImage flat_view(int size, float r, float g, float b) {
  FloatImage image(size, size, 3);
  for (std::size_t i = 0; i < image.pixels.size(); i += 3)
    image.pixels[i] = r, image.pixels[i + 1] = g, image.pixels[i + 2] = b;
  return image;
}

// The view of the frame.
FloatImage seen(const Image& frame, const Similarity& to_canonical, const View& view, int size) {
  const Similarity to_frame = view_to_canonical(view, size).then(to_canonical.inverse());
  FloatImage out(size, size, frame.channels);
  kernels::affine_warp<kernels::Host, std::uint8_t>(
      kernels::Stream::of(kernels::Device::host),
      {frame.pixels.data(), frame.height, frame.width, frame.channels},
      {out.pixels.data(), size, size, frame.channels}, to_frame.affine(), 1);
  return out;
}

ComposeOptions options_of(MaskKind mask, ColorKind color = ColorKind::none) {
  ComposeOptions options;
  options.mask = mask;
  options.color = color;
  return options;
}

double area(const FloatImage& mask) {
  double sum = 0;
  for (const float v : mask.pixels) sum += v;
  return sum;
}

TEST(View, MapsAreasNotCentres) {
  const int size = 64;
  const Similarity map = view_to_canonical(kFaceView, size);
  const double left = 256 * (0.5 - 0.375), top = 256 * (0.53f - 0.375), side = 256 * 0.75;
  // The outer edges of the picture.
  const Point first = map({-0.5, -0.5}), last = map({size - 0.5, size - 0.5});
  EXPECT_NEAR(first.x, left - 0.5, 1e-5);
  EXPECT_NEAR(first.y, top - 0.5, 1e-5);
  EXPECT_NEAR(last.x, left + side - 0.5, 1e-5);
  EXPECT_NEAR(last.y, top + side - 0.5, 1e-5);
  const Similarity crop = canonical_to_crop(96).inverse(), whole = view_to_canonical(kWhole, 96);
  EXPECT_NEAR(whole.a, crop.a, 1e-12);
  EXPECT_NEAR(whole.tx, crop.tx, 1e-12);
  EXPECT_NEAR(whole.ty, crop.ty, 1e-12);
}

// --- masks

struct MaskCase {
  MaskKind kind;
  int size;
  double feather;
};
class Mask : public ::testing::TestWithParam<MaskCase> {};

TEST_P(Mask, IsOneInTheMiddleAndZeroAtTheBorder) {
  const auto [kind, size, feather] = GetParam();
  const HeadPicture head = draw_head(head_identity('a'), {}, 320, 240, 0, 1);
  const Similarity align = similarity_from_eyes(head.landmarks[0], head.landmarks[1]);
  for (const View& view : {kWhole, kFaceView}) {
    ComposeOptions options = options_of(kind);
    options.feather = feather;
    const FloatImage mask = blend_mask(size, view, seen(head.rgb, align, view, size), options);
    ASSERT_EQ(mask.width, size);
    ASSERT_EQ(mask.channels, 1);
    const Point nose = view_to_canonical(view, size).inverse()({128, 140});
    EXPECT_GT(*mask.at(static_cast<int>(nose.x), static_cast<int>(nose.y)), 0.95f);
    for (int i = 0; i < size; ++i) {
      for (const float v :
           {*mask.at(i, 0), *mask.at(i, size - 1), *mask.at(0, i), *mask.at(size - 1, i)})
        EXPECT_EQ(v, 0.f);
    }
    for (const float v : mask.pixels) {
      EXPECT_GE(v, 0.f);
      EXPECT_LE(v, 1.f);
    }
    options.erode = 0.05;
    const FloatImage eroded = blend_mask(size, view, seen(head.rgb, align, view, size), options);
    options.erode = -0.05;
    const FloatImage grown = blend_mask(size, view, seen(head.rgb, align, view, size), options);
    EXPECT_LT(area(eroded), 0.95 * area(mask));
    EXPECT_GT(area(grown), 1.02 * area(mask));
  }
}

INSTANTIATE_TEST_SUITE_P(
    Kinds, Mask,
    ::testing::Values(MaskCase{MaskKind::egg, 64, 0.06}, MaskCase{MaskKind::egg, 128, 0.0},
                      MaskCase{MaskKind::egg, 63, 0.12}, MaskCase{MaskKind::skin, 64, 0.06},
                      MaskCase{MaskKind::skin, 128, 0.02}, MaskCase{MaskKind::box, 64, 0.06},
                      MaskCase{MaskKind::box, 80, 0.0}));

TEST(Mask, FeatherWidensTheEdge) {
  int before = 0;
  for (const double feather : {0.0, 0.03, 0.06}) {
    ComposeOptions options = options_of(MaskKind::egg);
    options.feather = feather;
    const FloatImage mask = blend_mask(128, kWhole, {}, options);
    const auto partly = static_cast<int>(std::count_if(
        mask.pixels.begin(), mask.pixels.end(), [](float v) { return v > 0.05f && v < 0.95f; }));
    EXPECT_GT(partly, before);
    before = partly;
  }
}

TEST(Mask, SkinFollowsTheFaceBetterThanTheEgg) {
  for (const char person : {'a', 'b'}) {
    double overlap[2] = {0, 0};
    for (int i = 0; i < 4; ++i) {
      const HeadPicture head =
          draw_head(head_identity(person), talking_pose(0.9 * i, 5), 320, 240, 1, 3);
      const Similarity align = similarity_from_eyes(head.landmarks[0], head.landmarks[1]);
      const FloatImage truth = seen(head.mask, align, kWhole, 128),
                       picture = seen(head.rgb, align, kWhole, 128);
      for (int k = 0; k < 2; ++k) {
        const FloatImage mask =
            blend_mask(128, kWhole, picture, options_of(k == 0 ? MaskKind::egg : MaskKind::skin));
        double both = 0, either = 0;
        for (std::size_t p = 0; p < mask.pixels.size(); ++p) {
          const bool in_mask = mask.pixels[p] > 0.5f, in_truth = truth.pixels[p] > 0.5f;
          both += in_mask && in_truth;
          either += in_mask || in_truth;
        }
        overlap[k] += both / either / 4;
      }
    }
    EXPECT_GT(overlap[1], 0.75) << person;
    EXPECT_GT(overlap[1], overlap[0] + 0.02) << person;
  }
}

TEST(Mask, SkinLeavesOutWhatHasAnotherColour) {
  const int size = 128;
  FloatImage face = flat_view(size, 0.8f, 0.6f, 0.5f);
  for (int y = 0; y < size; ++y) {
    for (int x = 0; x < 34; ++x) {  // a blue curtain over the edge of one cheek
      float* p = face.at(x, y);
      p[0] = 0.1f, p[1] = 0.2f, p[2] = 0.7f;
    }
  }
  const FloatImage mask = blend_mask(size, kWhole, face, options_of(MaskKind::skin)),
                   egg = blend_mask(size, kWhole, face, options_of(MaskKind::egg));
  EXPECT_LT(*mask.at(27, 64), 0.3f);
  EXPECT_GT(*egg.at(27, 64), 0.6f);
  EXPECT_GT(*mask.at(128 - 28, 64), 0.6f) << "the other cheek is free";
}

TEST(Mask, RefusesNonsense) {
  ComposeOptions options;
  EXPECT_EQ(kind_of([&] { blend_mask(2, kWhole, {}, options); }), ErrorKind::failure);
  options.mask = MaskKind::skin;
  EXPECT_EQ(kind_of([&] { blend_mask(64, kWhole, flat_view(32, 0, 0, 0), options); }),
            ErrorKind::failure);
  options = {};
  options.feather = -0.1;
  EXPECT_EQ(kind_of([&] { blend_mask(64, kWhole, {}, options); }), ErrorKind::usage);
  options = {};
  options.erode = std::numeric_limits<double>::quiet_NaN();
  EXPECT_EQ(kind_of([&] { blend_mask(64, kWhole, {}, options); }), ErrorKind::usage);
  EXPECT_EQ(mask_kind("skin"), MaskKind::skin);
  EXPECT_EQ(color_kind("lab"), ColorKind::lab);
  EXPECT_EQ(kind_of([] { mask_kind("oval"); }), ErrorKind::usage);
  EXPECT_EQ(kind_of([] { color_kind("LAB"); }), ErrorKind::usage);
}

// --- the paste

// A face with its eyes `distance` apart round (x, y), turned by `degrees`.
Similarity face_at(double x, double y, double distance, double degrees = 0) {
  const double turn = degrees * std::numbers::pi / 180, dx = 0.5 * distance * std::cos(turn),
               dy = 0.5 * distance * std::sin(turn);
  return similarity_from_eyes({x - dx, y - dy}, {x + dx, y + dy});
}

double bilinear(const FloatImage& image, double x, double y, int channel) {
  x = std::clamp(x, 0.0, image.width - 1.0);
  y = std::clamp(y, 0.0, image.height - 1.0);
  const int x0 = std::min(static_cast<int>(x), image.width - 2),
            y0 = std::min(static_cast<int>(y), image.height - 2);
  const double tx = x - x0, ty = y - y0;
  return (image.at(x0, y0)[channel] * (1 - tx) + image.at(x0 + 1, y0)[channel] * tx) * (1 - ty) +
         (image.at(x0, y0 + 1)[channel] * (1 - tx) + image.at(x0 + 1, y0 + 1)[channel] * tx) * ty;
}

struct PasteCase {
  const char* name;
  Similarity face;
  int size;
  bool reaches;
};
class Paste : public ::testing::TestWithParam<PasteCase> {};

TEST_P(Paste, EqualsThePlainFormula) {
  const PasteCase& test = GetParam();
  const Image before = noise_frame(120, 90, 7);
  const FloatImage decoded = noise_view(test.size, 8);
  for (const MaskKind kind : {MaskKind::egg, MaskKind::box}) {
    const ComposeOptions options = options_of(kind);
    Image after = before;
    const Box box = compose(after, test.face, kFaceView, decoded, decoded, options);
    const FloatImage mask = blend_mask(test.size, kFaceView, decoded, options);
    const Similarity to_view = test.face.then(view_to_canonical(kFaceView, test.size).inverse());
    const int samples = std::clamp(static_cast<int>(to_view.scale() + 0.5), 1, 8);

    EXPECT_EQ(box.width > 0, test.reaches);
    EXPECT_GE(box.x, 0);
    EXPECT_GE(box.y, 0);
    EXPECT_LE(box.x + box.width, before.width);
    EXPECT_LE(box.y + box.height, before.height);
    int changed = 0, left = 1000, right = -1, top = 1000, bottom = -1;
    double worst = 0;
    for (int y = 0; y < before.height; ++y) {
      for (int x = 0; x < before.width; ++x) {
        double alpha = 0, color[3] = {0, 0, 0};
        for (int j = 0; j < samples; ++j) {
          for (int i = 0; i < samples; ++i) {
            const Point at =
                to_view({x + (i + 0.5) / samples - 0.5, y + (j + 0.5) / samples - 0.5});
            alpha += bilinear(mask, at.x, at.y, 0) / (samples * samples);
            for (int c = 0; c < 3; ++c)
              color[c] += bilinear(decoded, at.x, at.y, c) / (samples * samples);
          }
        }
        const std::uint8_t *was = before.at(x, y), *is = after.at(x, y);
        const bool inside =
            x >= box.x && x < box.x + box.width && y >= box.y && y < box.y + box.height;
        if (alpha == 0 || !inside) {
          ASSERT_TRUE(std::equal(was, was + 3, is)) << x << ',' << y << " is outside";
        }
        if (alpha > 1e-4) { ASSERT_TRUE(inside) << x << ',' << y << " has mask " << alpha; }
        if (alpha > 1e-9)
          left = std::min(left, x), right = std::max(right, x), top = std::min(top, y),
          bottom = std::max(bottom, y);
        for (int c = 0; c < 3; ++c)
          worst =
              std::max(worst, std::fabs(is[c] - (alpha * color[c] * 255 + (1 - alpha) * was[c])));
        changed += !std::equal(was, was + 3, is);
      }
    }
    EXPECT_LT(worst, 0.6) << "rounded once, so half a level and float's error";
    if (test.reaches) {
      EXPECT_GT(changed, 0);
      EXPECT_LE(box.width, right - left + 3) << "the box is no larger than the mask";
      EXPECT_LE(box.height, bottom - top + 3);
    } else {
      EXPECT_EQ(changed, 0);
    }
  }
}

INSTANTIATE_TEST_SUITE_P(
    Places, Paste,
    ::testing::Values(PasteCase{"plain", face_at(60, 40, 20), 64, true},
                      PasteCase{"enlarged", face_at(60, 40, 30), 16, true},
                      PasteCase{"turned", face_at(60, 45, 18, 40), 64, true},
                      PasteCase{"upside_down", face_at(60, 45, 18, 175), 32, true},
                      PasteCase{"half_left", face_at(0, 45, 20), 64, true},
                      PasteCase{"corner", face_at(118, 88, 22, -20), 64, true},
                      PasteCase{"fills_the_frame", face_at(60, 40, 150), 64, true},
                      PasteCase{"tiny", face_at(60, 40, 4), 64, true},
                      PasteCase{"a_few_pixels", face_at(60, 40, 1.2, 10), 64, true},
                      PasteCase{"beside_the_frame", face_at(-300, 40, 20), 64, false},
                      PasteCase{"below_the_frame", face_at(60, 5000, 20), 64, false}),
    [](const auto& test) { return std::string(test.param.name); });

TEST(Compose, TheSamePictureGivesBackTheFrame) {
  // Linear colours pass bilinear sampling unchanged, so only rounding is left.
  Image frame(160, 120);
  for (int y = 0; y < frame.height; ++y) {
    for (int x = 0; x < frame.width; ++x) {
      const int v[3] = {40 + x, 230 - y, 60 + (x + y) / 2};
      std::copy_n(v, 3, frame.at(x, y));
    }
  }
  for (const Similarity& face :
       {face_at(80, 50, 26), face_at(70, 55, 30, 25), face_at(140, 60, 24, -10)}) {
    for (const int size : {64, 128}) {
      const FloatImage view = seen(frame, face, kFaceView, size);
      for (const MaskKind mask : {MaskKind::egg, MaskKind::skin}) {
        Image after = frame;
        const Box box = compose(after, face, kFaceView, view, view, options_of(mask));
        ASSERT_GT(box.width, 10);
        int worst = 0;
        for (std::size_t i = 0; i < frame.pixels.size(); ++i)
          worst = std::max(worst, std::abs(frame.pixels[i] - after.pixels[i]));
        // Past the frame's edge the view has repeated pixels.
        EXPECT_LE(worst, box.x + box.width > 155 ? 4 : 1);
      }
    }
  }
}

TEST(Compose, LeftStaysLeft) {
  Image frame(160, 120);
  FloatImage decoded = flat_view(64, 0, 0, 0);
  for (int y = 0; y < 64; ++y) {
    for (int x = 0; x < 64; ++x) decoded.at(x, y)[x < 32 ? 0 : 2] = 1;
  }
  compose(frame, face_at(80, 45, 24), kFaceView, decoded, decoded, options_of(MaskKind::egg));
  EXPECT_GT(frame.at(70, 52)[0], 200);
  EXPECT_LT(frame.at(70, 52)[2], 20);
  EXPECT_GT(frame.at(90, 52)[2], 200);
}

TEST(Compose, RefusesNonsense) {
  const FloatImage view = flat_view(64, 0, 0, 0);
  Image frame(60, 40);
  EXPECT_EQ(kind_of([&] {
              compose(frame, face_at(30, 20, 10), kFaceView, view, flat_view(32, 0, 0, 0), {});
            }),
            ErrorKind::failure);
  EXPECT_EQ(kind_of([&] {
              compose(frame, {0, 0, 5, 5}, kFaceView, view, view, {});
            }),
            ErrorKind::failure);
  EXPECT_EQ(kind_of([&] {
              compose(frame, {std::numeric_limits<double>::quiet_NaN(), 0, 5, 5}, kFaceView, view,
                      view, {});
            }),
            ErrorKind::failure);
  Image grey(60, 40, 1);
  EXPECT_EQ(kind_of([&] { compose(grey, face_at(30, 20, 10), kFaceView, view, view, {}); }),
            ErrorKind::failure);
}

// --- colour

// Mean over the middle of the face, levels.
std::array<double, 3> face_mean(const Image& frame, const HeadPicture& head) {
  std::array<double, 3> sum{};
  const Point nose = head.landmarks[2];
  for (int y = -12; y <= 8; ++y) {
    for (int x = -12; x <= 12; ++x) {
      for (int c = 0; c < 3; ++c)
        sum[c] +=
            frame.at(static_cast<int>(nose.x) + x, static_cast<int>(nose.y) + y)[c] / (21.0 * 25.0);
    }
  }
  return sum;
}

double worst_of(const std::array<double, 3>& a, const std::array<double, 3>& b) {
  return std::max({std::fabs(a[0] - b[0]), std::fabs(a[1] - b[1]), std::fabs(a[2] - b[2])});
}

TEST(Color, MatchTakesATintAway) {
  const HeadPicture head = draw_head(head_identity('a'), {}, 320, 240, 0, 1);
  const Similarity face = similarity_from_eyes(head.landmarks[0], head.landmarks[1]);
  const FloatImage original = seen(head.rgb, face, kFaceView, 64);
  FloatImage tinted = original;
  for (std::size_t i = 0; i < tinted.pixels.size(); i += 3)
    tinted.pixels[i] *= 0.75f, tinted.pixels[i + 1] *= 0.8f,
        tinted.pixels[i + 2] = std::min(1.f, tinted.pixels[i + 2] * 1.1f);
  const std::array<double, 3> wanted = face_mean(head.rgb, head);
  const auto off = [&](ColorKind color) {
    Image frame = head.rgb;
    compose(frame, face, kFaceView, tinted, original, options_of(MaskKind::egg, color));
    return worst_of(face_mean(frame, head), wanted);
  };
  EXPECT_GT(off(ColorKind::none), 30);
  EXPECT_LT(off(ColorKind::mean), 8);
  EXPECT_LT(off(ColorKind::lab), 6);
}

TEST(Color, WallAndHairDoNotTintTheFace) {
  // The same face before two walls: matched to itself, it must keep its colour.
  const HeadPicture head = draw_head(head_identity('a'), {}, 320, 240, 0, 1),
                    elsewhere = draw_head(head_identity('a'), {}, 320, 240, 0, 9);
  const Similarity face = similarity_from_eyes(head.landmarks[0], head.landmarks[1]);
  const FloatImage original = seen(head.rgb, face, kWhole, 64),
                   decoded = seen(elsewhere.rgb, face, kWhole, 64);
  for (const MaskKind mask : {MaskKind::egg, MaskKind::box}) {
    for (const ColorKind color : {ColorKind::mean, ColorKind::lab}) {
      Image frame = head.rgb;
      compose(frame, face, kWhole, decoded, original, options_of(mask, color));
      EXPECT_LT(worst_of(face_mean(frame, head), face_mean(head.rgb, head)), 2);
    }
  }
}

TEST(Color, ContrastIsRaisedOnlySoFar) {
  const HeadPicture head = draw_head(head_identity('a'), {}, 320, 240, 0, 1);
  const Similarity face = similarity_from_eyes(head.landmarks[0], head.landmarks[1]);
  const FloatImage original = seen(head.rgb, face, kFaceView, 64);
  FloatImage flat = original;
  for (float& v : flat.pixels) v = 0.5f + 0.2f * (v - 0.5f);  // a fifth of the contrast
  const auto contrast = [&](const Image& frame) {
    double low = 255, high = 0;
    for (int y = -8; y <= 6; ++y) {
      for (int x = -10; x <= 10; ++x) {
        const double v = frame.at(static_cast<int>(head.landmarks[2].x) + x,
                                  static_cast<int>(head.landmarks[2].y) + y)[1];
        low = std::min(low, v), high = std::max(high, v);
      }
    }
    return high - low;
  };
  Image plain = head.rgb, matched = head.rgb;
  compose(plain, face, kFaceView, flat, original, options_of(MaskKind::egg, ColorKind::none));
  compose(matched, face, kFaceView, flat, original, options_of(MaskKind::egg, ColorKind::lab));
  EXPECT_GT(contrast(matched), 1.05 * contrast(plain));
  EXPECT_LT(contrast(matched), 1.6 * contrast(plain))
      << "1.25 in LAB, and a little more in sRGB levels";
  EXPECT_LT(contrast(matched), 0.5 * contrast(head.rgb));
}
}  // namespace
}  // namespace faceswap
