#include "faceswap/media/orientation.h"

#include <algorithm>
#include <cmath>
#include <cstring>

namespace faceswap {
namespace {

// The upright position of the stored pixel (0, 0).
Point origin(const Orientation& o, int width, int height) {
  return {static_cast<double>((o.a < 0 ? width - 1 : 0) + (o.c < 0 ? height - 1 : 0)),
          static_cast<double>((o.b < 0 ? width - 1 : 0) + (o.d < 0 ? height - 1 : 0))};
}
}  // namespace

Orientation orientation_of_exif(int value) {
  switch (value) {
    case 2: return {-1, 0, 0, 1};
    case 3: return {-1, 0, 0, -1};
    case 4: return {1, 0, 0, -1};
    case 5: return {0, 1, 1, 0};
    case 6: return {0, 1, -1, 0};
    case 7: return {0, -1, -1, 0};
    case 8: return {0, -1, 1, 0};
    default: return {};
  }
}

Orientation orientation_of_matrix(double a, double b, double c, double d) {
  const double x = std::hypot(a, b), y = std::hypot(c, d);
  if (!(x > 0) || !(y > 0) || !std::isfinite(x) || !std::isfinite(y)) return {};
  const auto sign = [](double v) { return v > 0.9 ? 1 : v < -0.9 ? -1 : 0; };
  const Orientation o{sign(a / x), sign(b / x), sign(c / y), sign(d / y)};
  return std::abs(o.a * o.d - o.b * o.c) == 1 ? o : Orientation{};
}

int clockwise_degrees(const Orientation& o) {
  // The stored y axis points to (c, d), y down: (-1, 0) is a quarter turn clockwise,
  // with a reflection before it or without.
  if (o.c == -1) return 90;
  if (o.c == 1) return 270;
  return o.d == 1 ? 0 : 180;
}

void to_upright(const std::uint8_t* stored, std::ptrdiff_t stride, int width, int height,
                const Orientation& o, Image& out) {
  const int upright_width = o.swaps_sides() ? height : width,
            upright_height = o.swaps_sides() ? width : height;
  if (out.width != upright_width || out.height != upright_height || out.channels != 3 ||
      out.pixels.size() != static_cast<std::size_t>(width) * height * 3)
    out = Image(upright_width, upright_height);
  if (o.identity()) {
    for (int y = 0; y < height; ++y)
      std::memcpy(out.at(0, y), stored + y * stride, static_cast<std::size_t>(width) * 3);
    return;
  }
  const Point zero = origin(o, width, height);
  // One stored pixel to the right, in bytes of the upright picture.
  const std::ptrdiff_t step = 3 * (o.a + static_cast<std::ptrdiff_t>(o.b) * out.width);
  for (int y = 0; y < height; ++y) {
    const std::uint8_t* from = stored + y * stride;
    std::uint8_t* to =
        out.at(static_cast<int>(zero.x) + o.c * y, static_cast<int>(zero.y) + o.d * y);
    for (int x = 0; x < width; ++x, from += 3) {
      std::uint8_t* pixel = to + x * step;
      pixel[0] = from[0], pixel[1] = from[1], pixel[2] = from[2];
    }
  }
}

void to_stored(const Image& upright, const Orientation& o, int width, int height, const Box& box,
               std::uint8_t* out, std::ptrdiff_t stride) {
  const Point zero = origin(o, width, height);
  const std::ptrdiff_t step = 3 * (o.a + static_cast<std::ptrdiff_t>(o.b) * upright.width);
  for (int y = 0; y < box.height; ++y) {
    const int sx = box.x, sy = box.y + y;
    const std::uint8_t* from = upright.at(static_cast<int>(zero.x) + o.a * sx + o.c * sy,
                                          static_cast<int>(zero.y) + o.b * sx + o.d * sy);
    std::uint8_t* to = out + y * stride;
    for (int x = 0; x < box.width; ++x, to += 3) {
      const std::uint8_t* pixel = from + x * step;
      to[0] = pixel[0], to[1] = pixel[1], to[2] = pixel[2];
    }
  }
}

Box stored_box(const Box& box, const Orientation& o, int width, int height) {
  // The inverse of an orthogonal map is its transpose; two corners give the box.
  const Point zero = origin(o, width, height);
  const auto back = [&](double x, double y) {
    x -= zero.x, y -= zero.y;
    return Point{o.a * x + o.b * y, o.c * x + o.d * y};
  };
  const Point p = back(box.x, box.y), q = back(box.x + box.width - 1, box.y + box.height - 1);
  const int x0 = static_cast<int>(std::min(p.x, q.x)), x1 = static_cast<int>(std::max(p.x, q.x));
  const int y0 = static_cast<int>(std::min(p.y, q.y)), y1 = static_cast<int>(std::max(p.y, q.y));
  return {x0, y0, x1 - x0 + 1, y1 - y0 + 1};
}
}  // namespace faceswap
