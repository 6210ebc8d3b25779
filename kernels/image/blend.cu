// Masks and blending.
// Computes:
//   gaussian_blur  along rows, then along columns: 2 (2 radius + 1) multiply-adds per
//                  value instead of (2 radius + 1)^2
//   erode          the minimum or maximum over a disc; beyond the edge, the edge pixel
//   blend          mask * foreground + (1 - mask) * background
// Parallel: a block takes 256 values of a row. The row blur reads them through shared
//   memory, the column blur straight from the cached rows; the disc brings each of its
//   rows into shared memory once. Blending: one thread per pixel.
// Bytes: blur reads and writes the image twice; blend moves 3 images and a mask.
// Source: Gonzalez & Woods, "Digital Image Processing" (separable kernels, grey
//   erosion).
#include "kernels/image/blend.h"

#include <cmath>

#include "kernels/core/memory.h"
#include "kernels/ranges.h"
#include "kernels/simt/instantiate.h"

namespace kernels {
namespace {

constexpr int kTile = 256, kMaxRadius = 64, kMaxChannels = 4, kMaxDisc = 255;

SIMT_DEVICE std::int64_t clamp_index(std::int64_t i, std::int64_t n) {
  return i < 0 ? 0 : (i < n ? i : n - 1);
}

// Half of a symmetric window; tap[0] is its middle.
struct HalfWindow {
  float tap[kMaxRadius + 1];
  int radius;
};

HalfWindow gaussian(float sigma) {
  HalfWindow window{};
  const int radius = static_cast<int>(std::ceil(3.f * sigma));
  window.radius = radius < kMaxRadius ? radius : kMaxRadius;
  double taps[kMaxRadius + 1], sum = 0;
  for (int k = 0; k <= window.radius; ++k) {
    taps[k] = std::exp(-0.5 * k * k / (static_cast<double>(sigma) * sigma));
    sum += k == 0 ? taps[k] : 2 * taps[k];
  }
  for (int k = 0; k <= window.radius; ++k) window.tap[k] = static_cast<float>(taps[k] / sum);
  return window;
}

struct BlurRows {
  static constexpr int kx = kTile, ky = 1;
  const float* image;  // [H,W,C]
  float* out;          // [H,W,C]
  int h, w, channels;
  HalfWindow window;
  template <class B> SIMT_DEVICE void operator()(B& b) const {
    SIMT_BLOCK_SHARED(B, float, line, [kTile + 2 * kMaxRadius * kMaxChannels]);
    const std::int64_t length = static_cast<std::int64_t>(w) * channels,
                       first = std::int64_t{b.block_x()} * kTile;
    const float* const row = image + b.block_y() * length;
    float* const out_row = out + b.block_y() * length;
    const int halo = window.radius * channels;
    b.for_each(kTile + 2 * halo, [&](int e) SIMT_LAMBDA {
      // Beyond the edge: the edge pixel's value of the same channel.
      std::int64_t at = first + e - halo;
      if (at < 0) at = (at % channels + channels) % channels;
      else if (at >= length) at = length - channels + at % channels;
      line[e] = row[at];
    });
    simt::Reg<B, float> sum;
    b.each([&](int t, int) SIMT_LAMBDA { sum[t] = window.tap[0] * line[t + halo]; });
    for (int k = 1; k <= window.radius; ++k) {
      const float tap = window.tap[k];
      const int offset = k * channels;
      b.each([&](int t, int) SIMT_LAMBDA {
        sum[t] += tap * (line[t + halo - offset] + line[t + halo + offset]);
      });
    }
    b.each([&](int t, int) SIMT_LAMBDA {
      if (first + t < length) out_row[first + t] = sum[t];
    });
  }
};

struct BlurColumns {
  static constexpr int kx = kTile, ky = 1;
  const float* image;  // [H,W*C]
  float* out;          // [H,W*C]
  int h;
  std::int64_t length;  // W*C
  HalfWindow window;
  template <class B> SIMT_DEVICE void operator()(B& b) const {
    const std::int64_t first = std::int64_t{b.block_x()} * kTile, y = b.block_y();
    const int count = static_cast<int>(length - first < kTile ? length - first : kTile);
    simt::Reg<B, float> sum{};
    const float* const middle = image + y * length + first;
    b.strided(count, [&](int t, int) SIMT_LAMBDA { sum[t] = window.tap[0] * middle[t]; });
    for (int k = 1; k <= window.radius; ++k) {
      const float tap = window.tap[k];
      const float* const above = image + clamp_index(y - k, h) * length + first;
      const float* const below = image + clamp_index(y + k, h) * length + first;
      b.strided(count, [&](int t, int) SIMT_LAMBDA { sum[t] += tap * (above[t] + below[t]); });
    }
    float* const out_row = out + y * length + first;
    b.strided(count, [&](int t, int) SIMT_LAMBDA { out_row[t] = sum[t]; });
  }
};

template <bool kMinimum> struct Disc {
  static constexpr int kx = kTile, ky = 1;
  const float* mask;  // [H,W]
  float* out;         // [H,W]
  int h, w, reach;
  float radius;
  template <class B> SIMT_DEVICE void operator()(B& b) const {
    SIMT_BLOCK_SHARED(B, float, line, [kTile + 2 * kMaxDisc]);
    const std::int64_t first = std::int64_t{b.block_x()} * kTile, y = b.block_y();
    simt::Reg<B, float> best;
    b.each([&](int t, int) SIMT_LAMBDA { best[t] = mask[y * w + clamp_index(first + t, w)]; });
    for (int dy = -reach; dy <= reach; ++dy) {
      const float* const row = mask + clamp_index(y + dy, h) * w;
      b.for_each(kTile + 2 * reach,
                 [&](int e) SIMT_LAMBDA { line[e] = row[clamp_index(first + e - reach, w)]; });
      int half = 0;
      while (static_cast<float>((half + 1) * (half + 1) + dy * dy) <= radius * radius) ++half;
      for (int dx = -half; dx <= half; ++dx)
        b.each([&](int t, int) SIMT_LAMBDA {
          const float v = line[t + reach + dx];
          if constexpr (kMinimum) best[t] = v < best[t] ? v : best[t];
          else best[t] = v > best[t] ? v : best[t];
        });
      b.phase([](int, int) SIMT_LAMBDA {});  // `line` may be written again
    }
    b.each([&](int t, int) SIMT_LAMBDA {
      if (first + t < w) out[y * w + first + t] = best[t];
    });
  }
};

template <int kChannels>
__global__ void blend_kernel(const float* foreground, const float* background, const float* mask,
                             float* out, std::int64_t pixels) {
  for_elements(pixels, [=](std::int64_t p) SIMT_LAMBDA {
    SIMT_UNROLL
    for (int c = 0; c < kChannels; ++c) {
      const std::int64_t i = p * kChannels + c;
      out[i] = background[i] + mask[p] * (foreground[i] - background[i]);
    }
  });
}

dim3 row_tiles(std::int64_t length, int rows) {
  return dim3(static_cast<unsigned>((length + kTile - 1) / kTile), static_cast<unsigned>(rows));
}
}  // namespace

template <class D>
void gaussian_blur(Stream& stream, Picture<const float> image, float* out, float sigma) {
  const std::int64_t length = static_cast<std::int64_t>(image.w) * image.c;
  if (length <= 0 || image.h <= 0) return;
  if (image.c > kMaxChannels)
    throw Error(ErrorKind::usage,
                "gaussian_blur: at most 4 channels, got " + std::to_string(image.c));
  const std::size_t bytes = static_cast<std::size_t>(image.h * length) * sizeof(float);
  if (!(sigma > 0.f)) return copy(out, stream.device(), image.data, stream.device(), bytes);
  const HalfWindow window = gaussian(sigma);
  const Buffer rows(stream.device(), bytes);
  const dim3 grid = row_tiles(length, image.h);
  const std::size_t moved = 2 * bytes;
  simt::launch_block(stream.moves(moved), grid,
                     BlurRows{image.data, rows.as<float>(), image.h, image.w, image.c, window});
  simt::launch_block(stream.moves(moved), grid,
                     BlurColumns{rows.as<float>(), out, image.h, length, window});
}

template <class D> void erode(Stream& stream, Picture<const float> mask, float* out, float radius) {
  if (mask.c != 1)
    throw Error(ErrorKind::usage, "erode: a mask has 1 channel, got " + std::to_string(mask.c));
  if (mask.h <= 0 || mask.w <= 0) return;
  const float size = std::fabs(radius);
  if (!(size < kMaxDisc + 1))
    throw Error(ErrorKind::usage,
                "erode: the radius must be below 256 pixels, got " + std::to_string(radius));
  const int reach = static_cast<int>(size);
  const dim3 grid = row_tiles(mask.w, mask.h);
  stream.moves(2 * sizeof(float) * mask.h * mask.w);
  if (radius >= 0.f)
    simt::launch_block(stream, grid, Disc<true>{mask.data, out, mask.h, mask.w, reach, size});
  else simt::launch_block(stream, grid, Disc<false>{mask.data, out, mask.h, mask.w, reach, size});
}

template <class D>
void blend(Stream& stream, Picture<const float> foreground, const float* background,
           const float* mask, float* out) {
  const std::int64_t pixels = static_cast<std::int64_t>(foreground.h) * foreground.w;
  for_channels("blend", foreground.c, [&](auto n) {
    simt::launch_range<blend_kernel<n()>>(stream.moves((3 * n() + 1) * pixels * sizeof(float)),
                                          pixels, foreground.data, background, mask, out, pixels);
  });
}

SIMT_INSTANTIATE_FOR(gaussian_blur)
SIMT_INSTANTIATE_FOR(erode)
SIMT_INSTANTIATE_FOR(blend)
}  // namespace kernels
