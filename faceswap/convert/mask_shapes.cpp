#include "faceswap/convert/mask_shapes.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <vector>

#include "faceswap/statistics.h"
#include "kernels/image/blend.h"
#include "kernels/image/color.h"
#include "kernels/image/resample.h"

namespace faceswap {

using kernels::Host;

namespace {

constexpr double kWideEgg = 1.18, kCoreEgg = 0.72, kFallbackEgg = 1.1;
constexpr float kNear = 0.12f;                          // least exp(-d^2/2)
constexpr double kBlur = 2, kClose = 10, kOpen = 7;     // deviation and radii, canonical pixels
constexpr std::array<float, 3> kLeastSpread{14, 5, 5};  // L, a, b: even a flat face has this much
constexpr std::array<float, 3> kTolerance{2.2f, 1.6f, 1.6f};  // spreads per unit of distance

kernels::Stream& host() { return kernels::Stream::of(kernels::Device::host); }

// Cheeks and nose, without eyes and mouth: a trapezoid in canonical coordinates.
bool is_sample_place(Point p) {
  if (p.y < 125 || p.y > 165) return false;
  const double half_width = 48 - 16 * (p.y - 125) / 40;
  return std::fabs(p.x - 128) <= half_width;
}

struct ColorModel {
  std::array<float, 3> center, spread;
};

// Median, and the median distance from it as a deviation: robust to beard and shadow.
ColorModel learn_color(const std::vector<float>& lab, const std::vector<std::size_t>& samples) {
  ColorModel model;
  for (int c = 0; c < 3; ++c) {
    std::vector<float> values;
    for (const std::size_t i : samples) values.push_back(lab[3 * i + c]);
    model.center[c] = median(values);
    for (float& v : values) v = std::fabs(v - model.center[c]);
    model.spread[c] = std::max(1.48f * median(values), kLeastSpread[c]);
  }
  return model;
}

// Keeps the connected component of the pixel (x, y).
void keep_component(FloatImage& mask, int x, int y) {
  const int w = mask.width, h = mask.height;
  std::vector<char> kept(mask.pixels.size(), 0);
  std::vector<int> open;
  const auto visit = [&](int px, int py) {
    if (px < 0 || py < 0 || px >= w || py >= h) return;
    const int i = py * w + px;
    if (kept[i] || mask.pixels[i] < 0.5f) return;
    kept[i] = 1;
    open.push_back(i);
  };
  visit(x, y);
  while (!open.empty()) {
    const int i = open.back(), px = i % w, py = i / w;
    open.pop_back();
    visit(px - 1, py);
    visit(px + 1, py);
    visit(px, py - 1);
    visit(px, py + 1);
  }
  for (std::size_t i = 0; i < kept.size(); ++i) mask.pixels[i] = kept[i] ? 1.f : 0.f;
}
}  // namespace

FloatImage warp(const FloatImage& picture, int width, int height, const kernels::Affine& to_source,
                int supersample) {
  FloatImage out(width, height, picture.channels);
  kernels::affine_warp<Host, float>(
      host(), {picture.pixels.data(), picture.height, picture.width, picture.channels},
      {out.pixels.data(), height, width, picture.channels}, to_source, supersample);
  return out;
}

void erode(FloatImage& mask, double radius) {
  FloatImage out(mask.width, mask.height, 1);
  kernels::erode<Host>(host(), {mask.pixels.data(), mask.height, mask.width, 1}, out.pixels.data(),
                       static_cast<float>(radius));
  mask = std::move(out);
}

FloatImage egg_in_view(int size, const View& view, double growth) {
  if (!(view.side > 0))
    throw Error(ErrorKind::failure,
                fmt::format("blend mask: the view's side is {}; it must be above 0", view.side));
  // Drawn at about the view's own resolution.
  const int drawn = std::clamp(static_cast<int>(std::lround(size / view.side)), 16, 1024);
  return warp(egg_mask(drawn, growth), size, size,
              view_to_canonical(view, size).then(canonical_to_crop(drawn)).affine(), 1);
}

FloatImage rounded_box(int size, double inset) {
  FloatImage mask(size, size, 1);
  const double half = std::max(0.0, 0.5 - inset) * size, radius = 0.4 * half,
               middle = 0.5 * (size - 1);
  for (int y = 0; y < size; ++y) {
    for (int x = 0; x < size; ++x) {
      // Distance to the rounded outline, negative inside.
      const double dx = std::fabs(x - middle) - (half - radius),
                   dy = std::fabs(y - middle) - (half - radius);
      const double distance = std::hypot(std::max(dx, 0.0), std::max(dy, 0.0)) +
                              std::min(std::max(dx, dy), 0.0) - radius;
      *mask.at(x, y) = static_cast<float>(std::clamp(0.5 - distance, 0.0, 1.0));
    }
  }
  return mask;
}

FloatImage skin_in_view(const FloatImage& picture, const View& view) {
  const int size = picture.width;
  const std::int64_t pixels = static_cast<std::int64_t>(size) * size;
  const Similarity position = view_to_canonical(view, size);
  const double canonical = 1 / position.scale();  // one canonical pixel, in pixels of the view
  std::vector<float> smooth(picture.pixels.size()), lab(picture.pixels.size());
  kernels::gaussian_blur<Host>(host(), {picture.pixels.data(), size, size, 3}, smooth.data(),
                               static_cast<float>(kBlur * canonical));
  kernels::rgb_to_lab<Host>(host(), smooth.data(), lab.data(), pixels);

  std::vector<std::size_t> samples;
  for (int y = 0; y < size; ++y) {
    for (int x = 0; x < size; ++x) {
      if (is_sample_place(position({static_cast<double>(x), static_cast<double>(y)})))
        samples.push_back(static_cast<std::size_t>(y) * size + x);
    }
  }
  if (samples.empty()) return egg_in_view(size, view, kFallbackEgg);  // no cheek in the view
  const ColorModel model = learn_color(lab, samples);

  const FloatImage wide = egg_in_view(size, view, kWideEgg),
                   core = egg_in_view(size, view, kCoreEgg);
  FloatImage mask(size, size, 1);
  for (std::size_t i = 0; i < mask.pixels.size(); ++i) {
    float distance2 = 0;
    for (int c = 0; c < 3; ++c) {
      const float d = (lab[3 * i + c] - model.center[c]) / (kTolerance[c] * model.spread[c]);
      distance2 += d * d;
    }
    const bool skin = std::exp(-0.5f * distance2) > kNear && wide.pixels[i] > 0.5f;
    mask.pixels[i] = skin || core.pixels[i] > 0.5f ? 1.f : 0.f;
  }
  erode(mask, -kClose * canonical);  // closes brows, glasses, nostrils
  erode(mask, kClose * canonical);
  erode(mask, kOpen * canonical);  // cuts narrow bridges to an ear or a hand
  erode(mask, -kOpen * canonical);
  for (std::size_t i = 0; i < mask.pixels.size(); ++i)
    mask.pixels[i] = std::min(mask.pixels[i], wide.pixels[i] > 0.5f ? 1.f : 0.f);
  const Point middle = position.inverse()({128, 135});
  const auto at = [size](double v) {
    return std::clamp(static_cast<int>(std::lround(v)), 0, size - 1);
  };
  keep_component(mask, at(middle.x), at(middle.y));
  return mask;
}
}  // namespace faceswap
