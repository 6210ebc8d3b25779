#include "faceswap/convert/mask_shapes.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "kernels/image/resample.h"

namespace faceswap {

using kernels::Host;

namespace {

constexpr double kWideEgg = 1.18, kCoreEgg = 0.72, kFallbackEgg = 1.1;
constexpr float kNear = 0.12f;                       // least likeness
constexpr double kBlur = 2, kClose = 10, kOpen = 7;  // deviation and radii, canonical pixels

kernels::Stream& host() { return kernels::Stream::of(kernels::Device::host); }

// Cheeks and nose, without eyes and mouth: a trapezoid in canonical coordinates.
bool is_sample_place(Point p) {
  if (p.y < 125 || p.y > 165) return false;
  const double half_width = 48 - 16 * (p.y - 125) / 40;
  return std::fabs(p.x - 128) <= half_width;
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

FloatImage warp(const FloatImage& picture, int width, int height, const Similarity& to_source,
                int supersample) {
  FloatImage out(width, height, picture.channels);
  kernels::affine_warp<Host, float>(
      host(), {picture.pixels.data(), picture.height, picture.width, picture.channels},
      {out.pixels.data(), height, width, picture.channels}, to_source.affine(), supersample);
  return out;
}

FloatImage egg_in_view(int size, const View& view, double growth) {
  if (!(view.side > 0))
    throw Error(ErrorKind::failure,
                fmt::format("blend mask: the view's side is {}; it must be above 0", view.side));
  // Drawn at about the view's own resolution.
  const int drawn = std::clamp(static_cast<int>(std::lround(size / view.side)), 16, 1024);
  return warp(egg_mask(drawn, growth), size, size,
              view_to_canonical(view, size).then(canonical_to_crop(drawn)), 1);
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
  const Similarity position = view_to_canonical(view, size);
  const double canonical = 1 / position.scale();  // one canonical pixel, in pixels of the view
  const std::vector<float> lab = smooth_lab(picture, kBlur * canonical);

  std::vector<std::size_t> samples;
  for (int y = 0; y < size; ++y) {
    for (int x = 0; x < size; ++x) {
      if (is_sample_place(position({static_cast<double>(x), static_cast<double>(y)})))
        samples.push_back(static_cast<std::size_t>(y) * size + x);
    }
  }
  if (samples.empty()) return egg_in_view(size, view, kFallbackEgg);  // no cheek in the view
  const SkinColor color(lab, samples);

  const FloatImage wide = egg_in_view(size, view, kWideEgg),
                   core = egg_in_view(size, view, kCoreEgg);
  FloatImage mask(size, size, 1);
  for (std::size_t i = 0; i < mask.pixels.size(); ++i) {
    const bool skin = color.likeness(&lab[3 * i]) > kNear && wide.pixels[i] > 0.5f;
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
