#include "faceswap/convert/compose.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "faceswap/convert/mask_shapes.h"
#include "kernels/image/blend.h"
#include "kernels/image/color.h"

namespace faceswap {

using kernels::Host;

namespace {

constexpr double kEggGrowth = 1.1;  // of the mask: the plain egg is too small for most faces
constexpr double kBoxInset = 0.03;  // share of the side
constexpr double kColorEgg = 0.8;   // growth of the egg whose colours are compared
constexpr float kMaxGain = 1.25f;   // of the LAB deviations, so a moustache adds no contrast

kernels::Stream& host() { return kernels::Stream::of(kernels::Device::host); }

// Hides the crop's straight border: 0 on the outermost pixels, rising over `width`.
void fade_border(FloatImage& mask, double width) {
  const int size = mask.width;
  for (int y = 0; y < size; ++y) {
    for (int x = 0; x < size; ++x) {
      const int inside = std::min({x, y, size - 1 - x, size - 1 - y});
      const double t = std::min(1.0, inside / width);
      *mask.at(x, y) =
          std::clamp(*mask.at(x, y), 0.f, 1.f) * static_cast<float>(t * t * (3 - 2 * t));
    }
  }
}

// Colours are compared under the mask and only in the middle of the face. Further out a
// turned head shows wall and hair, whose colours would tint the skin.
FloatImage color_weight(const FloatImage& mask, const View& view) {
  FloatImage weight = egg_in_view(mask.width, view, kColorEgg);
  for (std::size_t i = 0; i < weight.pixels.size(); ++i) weight.pixels[i] *= mask.pixels[i];
  return weight;
}

// Gives `decoded` the colours of `original`, both weighed by `weight`.
FloatImage match_color(const FloatImage& decoded, const FloatImage& original,
                       const FloatImage& weight, ColorKind kind) {
  const std::int64_t n = static_cast<std::int64_t>(weight.pixels.size());
  const bool in_lab = kind == ColorKind::lab;
  FloatImage from = decoded, to = original;
  if (in_lab) {
    kernels::rgb_to_lab<Host>(host(), decoded.pixels.data(), from.pixels.data(), n);
    kernels::rgb_to_lab<Host>(host(), original.pixels.data(), to.pixels.data(), n);
  }
  float from_stats[7], to_stats[7];
  kernels::channel_stats<Host>(host(), from.pixels.data(), weight.pixels.data(), from_stats, n);
  kernels::channel_stats<Host>(host(), to.pixels.data(), weight.pixels.data(), to_stats, n);
  if (!(from_stats[6] > 0)) return decoded;  // no middle of the face in the view
  FloatImage matched(decoded.width, decoded.height, 3);
  kernels::transfer_stats<Host>(host(), from.pixels.data(), matched.pixels.data(), n, from_stats,
                                to_stats, in_lab, kMaxGain);
  if (in_lab) {
    kernels::lab_to_rgb<Host>(host(), matched.pixels.data(), from.pixels.data(), n);
    return from;
  }
  for (float& v : matched.pixels) v = std::clamp(v, 0.f, 1.f);
  return matched;
}

struct Bounds {  // edges inclusive
  double left = 1e300, top = 1e300, right = -1e300, bottom = -1e300;
  void add(Point p) {
    left = std::min(left, p.x);
    right = std::max(right, p.x);
    top = std::min(top, p.y);
    bottom = std::max(bottom, p.y);
  }
  bool empty() const { return !(left <= right && top <= bottom); }
};

// The pixels of the frame that a mask above zero can reach.
Box reached_box(const FloatImage& mask, const Similarity& view_to_square, const PixelScale& pixels,
                const Image& frame, int supersample) {
  Bounds inside;
  for (int y = 0; y < mask.height; ++y) {
    for (int x = 0; x < mask.width; ++x) {
      if (*mask.at(x, y) > 0) inside.add({static_cast<double>(x), static_cast<double>(y)});
    }
  }
  if (inside.empty()) return {};
  // Bilinear reads go one pixel of the view further, samples inside a pixel half a
  // pixel of the frame.
  Bounds reached;
  for (const double x : {inside.left - 1, inside.right + 1}) {
    for (const double y : {inside.top - 1, inside.bottom + 1})
      reached.add(pixels.oblong(view_to_square({x, y})));
  }
  const double margin = supersample > 1 ? 0.5 : 0.0;
  const auto within = [](double v, int size) {
    return static_cast<int>(std::clamp(v, 0.0, static_cast<double>(size)));
  };
  const int x0 = within(std::ceil(reached.left - margin), frame.width),
            x1 = within(std::floor(reached.right + margin) + 1, frame.width);
  const int y0 = within(std::ceil(reached.top - margin), frame.height),
            y1 = within(std::floor(reached.bottom + margin) + 1, frame.height);
  if (x0 >= x1 || y0 >= y1) return {};
  return {x0, y0, x1 - x0, y1 - y0};
}

FloatImage read_box(const Image& frame, const Box& box) {
  FloatImage out(box.width, box.height, 3);
  for (int y = 0; y < box.height; ++y) {
    const std::uint8_t* row = frame.at(box.x, box.y + y);
    std::transform(row, row + 3 * box.width, out.at(0, y),
                   [](std::uint8_t v) { return v / 255.f; });
  }
  return out;
}

// Writes pixels with a mask above zero; returns the smallest box that holds them.
Box write_box(Image& frame, const Box& box, const FloatImage& picture, const FloatImage& mask) {
  Bounds written;
  for (int y = 0; y < box.height; ++y) {
    for (int x = 0; x < box.width; ++x) {
      if (!(*mask.at(x, y) > 0)) continue;
      for (int c = 0; c < 3; ++c)
        frame.at(box.x + x, box.y + y)[c] =
            static_cast<std::uint8_t>(std::clamp(picture.at(x, y)[c], 0.f, 1.f) * 255 + 0.5f);
      written.add({static_cast<double>(x), static_cast<double>(y)});
    }
  }
  if (written.empty()) return {};
  const int left = static_cast<int>(written.left), top = static_cast<int>(written.top);
  return {box.x + left, box.y + top, static_cast<int>(written.right) - left + 1,
          static_cast<int>(written.bottom) - top + 1};
}

void check(int size, const FloatImage& original, const ComposeOptions& options) {
  if (size < 4)
    throw Error(ErrorKind::failure, fmt::format("blend mask: size {}; at least 4 is needed", size));
  if (options.mask == MaskKind::skin &&
      (original.width != size || original.height != size || original.channels != 3)) {
    throw Error(
        ErrorKind::failure,
        fmt::format("blend mask: the skin mask needs the face's picture [{},{},3], got [{},{},{}]",
                    size, size, original.height, original.width, original.channels));
  }
  if (!(options.feather >= 0 && options.feather <= 0.5))
    throw Error(ErrorKind::usage,
                fmt::format("feather {}: must be 0 to 0.5 of the crop's side", options.feather));
  if (!(std::fabs(options.erode) <= 0.5))
    throw Error(ErrorKind::usage,
                fmt::format("erode {}: must be -0.5 to 0.5 of the crop's side", options.erode));
}

void check(const Image& frame, const Similarity& s, const FloatImage& decoded,
           const FloatImage& original) {
  const int size = decoded.width;
  if (size < 4 || decoded.height != size || decoded.channels != 3 || original.width != size ||
      original.height != size || original.channels != 3) {
    throw Error(ErrorKind::failure,
                fmt::format("compose: expects two square RGB pictures of one size, got [{},{},{}] "
                            "decoded and [{},{},{}] original",
                            decoded.height, size, decoded.channels, original.height, original.width,
                            original.channels));
  }
  if (frame.channels != 3 || frame.empty()) {
    throw Error(ErrorKind::failure, fmt::format("compose: expects an RGB frame, got {} x {} x {}",
                                                frame.width, frame.height, frame.channels));
  }
  if (!std::isfinite(s.a) || !std::isfinite(s.b) || !std::isfinite(s.tx) || !std::isfinite(s.ty) ||
      !(s.scale() > 1e-9)) {
    throw Error(ErrorKind::failure,
                fmt::format("compose: the face's similarity ({}, {}, {}, {}) cannot be inverted",
                            s.a, s.b, s.tx, s.ty));
  }
}
}  // namespace

MaskKind mask_kind(const std::string& text) {
  if (text == "egg") return MaskKind::egg;
  if (text == "skin") return MaskKind::skin;
  if (text == "box") return MaskKind::box;
  throw Error(ErrorKind::usage,
              fmt::format("mask '{}' is not known: choose egg, skin or box", text));
}

ColorKind color_kind(const std::string& text) {
  if (text == "none") return ColorKind::none;
  if (text == "mean") return ColorKind::mean;
  if (text == "lab") return ColorKind::lab;
  throw Error(ErrorKind::usage,
              fmt::format("colour match '{}' is not known: choose none, mean or lab", text));
}

FloatImage blend_mask(int size, const View& view, const FloatImage& original,
                      const ComposeOptions& options) {
  check(size, original, options);
  const double feather = options.feather * size;  // deviation, pixels
  FloatImage shape;
  if (options.mask == MaskKind::box) {
    // The inset leaves room for the feather.
    shape = rounded_box(size, kBoxInset + options.feather + options.erode);
  } else {
    shape = options.mask == MaskKind::egg ? egg_in_view(size, view, kEggGrowth)
                                          : skin_in_view(original, view);
    erode(shape, options.erode * size);
  }
  FloatImage mask(size, size, 1);
  kernels::gaussian_blur<Host>(host(), {shape.pixels.data(), size, size, 1}, mask.pixels.data(),
                               static_cast<float>(feather));
  fade_border(mask, std::max(2.0, feather));
  return mask;
}

Box compose(Image& frame, const Similarity& to_canonical, const View& view,
            const FloatImage& decoded, const FloatImage& original, const ComposeOptions& options,
            const PixelScale& pixels) {
  check(frame, to_canonical, decoded, original);
  const int size = decoded.width;
  const FloatImage mask = blend_mask(size, view, original, options);
  const FloatImage face =
      options.color == ColorKind::none
          ? decoded
          : match_color(decoded, original, color_weight(mask, view), options.color);

  const Similarity view_to_square = view_to_canonical(view, size).then(to_canonical.inverse()),
                   square_to_view = view_to_square.inverse();
  // A small face takes several samples a pixel.
  const double shrink = square_to_view.scale() / std::min(pixels.x, pixels.y);
  const int supersample = std::clamp(static_cast<int>(shrink + 0.5), 1, 8);
  const Box box = reached_box(mask, view_to_square, pixels, frame, supersample);
  if (box.width == 0) return {};
  const kernels::Affine box_to_view =
      pixels.from_oblong({static_cast<double>(box.x), static_cast<double>(box.y)}, square_to_view);
  const FloatImage face_here = warp(face, box.width, box.height, box_to_view, supersample),
                   mask_here = warp(mask, box.width, box.height, box_to_view, supersample),
                   behind = read_box(frame, box);
  FloatImage blended(box.width, box.height, 3);
  kernels::blend<Host>(host(), {face_here.pixels.data(), box.height, box.width, 3},
                       behind.pixels.data(), mask_here.pixels.data(), blended.pixels.data());
  return write_box(frame, box, blended, mask_here);
}
}  // namespace faceswap
