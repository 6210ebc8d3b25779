// Sampling an image at computed positions: one thread per output pixel, all channels; each output pixel reads four neighbours
// per sample. Gathers, so bound by cache and address arithmetic rather than by memory bandwidth.
//   affine_warp  source = A * destination; k x k positions inside the pixel averaged where the picture shrinks
//   grid_warp    source = 5x5 grid of positions, bilinear between its nodes
//   resize       per axis: shrinking averages the source area that the pixel covers (partial pixels by their share),
//                enlarging is bilinear; pixel edges coincide: source = (x + 1/2) * SW/W - 1/2
#include "kernels/image/resample.h"

#include "kernels/image/sampling.h"
#include "kernels/ranges.h"

namespace kernels {
namespace {

template <class Src> SIMT_DEVICE constexpr float unit_scale() {
  return sizeof(Src) == 1 ? 1.f / 255.f : 1.f;
}

struct AffineMap {
  Affine m;
  SIMT_DEVICE void operator()(float x, float y, float& sx, float& sy) const {
    sx = m.a * x + m.b * y + m.c;
    sy = m.d * x + m.e * y + m.f;
  }
};

struct GridMap {
  WarpGrid grid;
  float nodes_per_x, nodes_per_y;  // 4/(w-1), 4/(h-1)
  SIMT_DEVICE void operator()(float x, float y, float& sx, float& sy) const {
    const GridCell cell(x * nodes_per_x, y * nodes_per_y);
    sx = cell.read(grid.x);
    sy = cell.read(grid.y);
  }
};

template <class Src, class Map, int kChannels>
__global__ void warp_kernel(const Src* source, int source_h, int source_w, float* out, int h, int w,
                            Map map, int supersample) {
  const float step = 1.f / static_cast<float>(supersample), first = 0.5f * step - 0.5f,
              share = step * step * unit_scale<Src>();
  for_rows(h, w, [=](std::int64_t y, std::int64_t x) SIMT_LAMBDA {
    float sum[kChannels] = {};
    for (int j = 0; j < supersample; ++j)
      for (int i = 0; i < supersample; ++i) {
        float sx, sy;
        map(static_cast<float>(x) + first + static_cast<float>(i) * step,
            static_cast<float>(y) + first + static_cast<float>(j) * step, sx, sy);
        Neighbours(sx, sy, source_w, source_h).template add<kChannels>(source, sum);
      }
    for (int c = 0; c < kChannels; ++c) out[(y * w + x) * kChannels + c] = sum[c] * share;
  });
}

// The source pixels [first, last] that make up one output pixel along one axis, and their weights.
struct Span {
  int first, last;
  float begin, end, over;  // area: the covered interval, and 1 / its length
  float fraction;          // bilinear: share of the second pixel
  bool shrinks;
  SIMT_DEVICE Span(int i, int source, int size) {
    const float ratio = static_cast<float>(source) / static_cast<float>(size);
    shrinks = source > size;
    begin = end = fraction = over = 0.f;
    if (shrinks) {
      begin = static_cast<float>(i) * ratio;
      end = static_cast<float>(i + 1) * ratio;
      first = static_cast<int>(begin);
      last = static_cast<int>(end);
      if (last > source - 1) last = source - 1;
      over = 1.f / ratio;
    } else {
      const float at = (static_cast<float>(i) + 0.5f) * ratio - 0.5f,
                  edge = static_cast<float>(source - 1);
      const float inside = at > 0.f ? (at < edge ? at : edge) : 0.f;
      first = static_cast<int>(inside);
      fraction = inside - static_cast<float>(first);
      last = first + 1 < source ? first + 1 : first;
    }
  }
  SIMT_DEVICE float weight(int k) const {
    if (!shrinks) return first == last ? 1.f : (k == first ? 1.f - fraction : fraction);
    const float low = static_cast<float>(k) > begin ? static_cast<float>(k) : begin,
                high = static_cast<float>(k + 1) < end ? static_cast<float>(k + 1) : end;
    return high > low ? (high - low) * over : 0.f;
  }
};

template <class Src, int kChannels>
__global__ void resize_kernel(const Src* source, int source_h, int source_w, float* out, int h,
                              int w) {
  for_rows(h, w, [=](std::int64_t y, std::int64_t x) SIMT_LAMBDA {
    const Span rows(static_cast<int>(y), source_h, h), columns(static_cast<int>(x), source_w, w);
    float sum[kChannels] = {};
    for (int j = rows.first; j <= rows.last; ++j) {
      float line[kChannels] = {};
      for (int i = columns.first; i <= columns.last; ++i) {
        const float weight = columns.weight(i);
        for (int c = 0; c < kChannels; ++c)
          line[c] +=
              weight * static_cast<float>(
                           source[(static_cast<std::int64_t>(j) * source_w + i) * kChannels + c]);
      }
      const float weight = rows.weight(j);
      for (int c = 0; c < kChannels; ++c) sum[c] += weight * line[c];
    }
    for (int c = 0; c < kChannels; ++c)
      out[(y * w + x) * kChannels + c] = sum[c] * unit_scale<Src>();
  });
}

// Calls f with the number of channels as a constant.
template <class F>
void for_channels(const char* what, int source_h, int source_w, int channels, F&& f) {
  if (source_h < 1 || source_w < 1)
    throw Error(ErrorKind::usage, std::string(what) + ": the source image is empty");
  switch (channels) {
    case 1: return f(std::integral_constant<int, 1>{});
    case 2: return f(std::integral_constant<int, 2>{});
    case 3: return f(std::integral_constant<int, 3>{});
    case 4: return f(std::integral_constant<int, 4>{});
    default:
      throw Error(ErrorKind::usage,
                  std::string(what) + ": 1 to 4 channels, got " + std::to_string(channels));
  }
}

constexpr std::int64_t kPiece =
    1024;  // pixels per host worker at a time: a sample costs far more than a copy

template <class Src, class Map>
void warp(Stream& stream, const char* what, const Src* source, int source_h, int source_w,
          float* out, int h, int w, int channels, const Map& map, int supersample) {
  for_channels(what, source_h, source_w, channels, [&](auto n) {
    simt::launch_range<warp_kernel<Src, Map, n()>, kPiece>(stream, static_cast<std::int64_t>(h) * w,
                                                           source, source_h, source_w, out, h, w,
                                                           map, supersample);
  });
}

}  // namespace

template <class D, class Src>
void affine_warp(Stream& stream, const Src* source, int source_h, int source_w, float* out, int h,
                 int w, int channels, const Affine& map, int supersample) {
  if (supersample < 1 || supersample > 64)
    throw Error(ErrorKind::usage,
                "affine_warp: supersample must be 1 to 64, got " + std::to_string(supersample));
  warp(stream, "affine_warp", source, source_h, source_w, out, h, w, channels, AffineMap{map},
       supersample);
}

template <class D, class Src>
void grid_warp(Stream& stream, const Src* source, int source_h, int source_w, float* out, int h,
               int w, int channels, const WarpGrid& grid) {
  const GridMap map{grid, w > 1 ? 4.f / static_cast<float>(w - 1) : 0.f,
                    h > 1 ? 4.f / static_cast<float>(h - 1) : 0.f};
  warp(stream, "grid_warp", source, source_h, source_w, out, h, w, channels, map, 1);
}

template <class D, class Src>
void resize(Stream& stream, const Src* source, int source_h, int source_w, float* out, int h, int w,
            int channels) {
  for_channels("resize", source_h, source_w, channels, [&](auto n) {
    simt::launch_range<resize_kernel<Src, n()>, kPiece>(stream, static_cast<std::int64_t>(h) * w,
                                                        source, source_h, source_w, out, h, w);
  });
}

using simt::ThisDevice;
#define KERNELS_INSTANTIATE(Src)                                                                   \
  template void affine_warp<ThisDevice, Src>(Stream&, const Src*, int, int, float*, int, int, int, \
                                             const Affine&, int);                                  \
  template void grid_warp<ThisDevice, Src>(Stream&, const Src*, int, int, float*, int, int, int,   \
                                           const WarpGrid&);                                       \
  template void resize<ThisDevice, Src>(Stream&, const Src*, int, int, float*, int, int, int);
KERNELS_INSTANTIATE(std::uint8_t)
KERNELS_INSTANTIATE(float)

}  // namespace kernels
