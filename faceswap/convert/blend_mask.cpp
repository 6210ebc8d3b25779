// The mask that a decoded face is blended with: a shape, eroded, feathered, and faded out before the crop ends.
#include <algorithm>
#include <cmath>

#include <fmt/format.h>

#include "faceswap/convert/compose.h"
#include "faceswap/convert/mask_shapes.h"
#include "kernels/image/blend.h"
#include "kernels/image/resample.h"

namespace faceswap {
namespace {

constexpr double kEggGrowth = 1.1;  // the plain egg is a little small for most faces
constexpr double kBoxInset = 0.03;  // share of the side

kernels::Stream& host() { return kernels::Stream::of(kernels::Device::host); }

// Nothing of the crop's straight border may show in the frame: 0 on the outermost pixels, rising over `width` pixels.
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

}  // namespace

FloatImage egg_in_view(int size, const kernels::Region& view, double growth) {
  if (!(view.side > 0))
    throw Error(ErrorKind::failure,
                fmt::format("blend mask: the view's side is {}; it must be above 0", view.side));
  // Drawn at about the view's own resolution: one pixel here is one pixel there.
  const int drawn = std::clamp(static_cast<int>(std::lround(size / view.side)), 16, 1024);
  const FloatImage egg = egg_mask(drawn, growth);
  const Similarity position = view_to_canonical(view, size).then(canonical_to_crop(drawn));
  FloatImage out(size, size, 1);
  kernels::affine_warp<kernels::Host, float>(host(), {egg.pixels.data(), drawn, drawn, 1},
                                             {out.pixels.data(), size, size, 1}, position.affine(),
                                             1);
  return out;
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

FloatImage blend_mask(int size, const kernels::Region& view, const FloatImage& original,
                      const ComposeOptions& options) {
  check(size, original, options);
  const double feather = options.feather * size;  // deviation, pixels
  FloatImage shape;
  if (options.mask == MaskKind::box) {
    shape = rounded_box(size, kBoxInset + options.feather + options.erode);  // room for the feather
  } else {
    shape = options.mask == MaskKind::egg ? egg_in_view(size, view, kEggGrowth)
                                          : skin_in_view(original, view);
    FloatImage eroded(size, size, 1);
    kernels::erode<kernels::Host>(host(), {shape.pixels.data(), size, size, 1},
                                  eroded.pixels.data(), static_cast<float>(options.erode * size));
    shape = std::move(eroded);
  }
  FloatImage mask(size, size, 1);
  kernels::gaussian_blur<kernels::Host>(host(), {shape.pixels.data(), size, size, 1},
                                        mask.pixels.data(), static_cast<float>(feather));
  fade_border(mask, std::max(2.0, feather));
  return mask;
}

}  // namespace faceswap
