// Sampling an image at computed positions.
// Computes:
//   affine_warp  source = A * destination; k x k positions per pixel are averaged
//   resize       per axis: shrinking averages the pixel's source area, enlarging is
//                bilinear; pixel edges coincide: source = (x + 1/2) * SW/W - 1/2
// Parallel: one thread per output pixel, all channels.
// Bytes: four neighbours read per sample. A gather, so bound by cache and address
//   arithmetic rather than by bandwidth.
// Source: Heckbert, "Fundamentals of Texture Mapping and Image Warping", 1989.
#include "kernels/image/resample.h"

#include "kernels/image/sampling.h"
#include "kernels/ranges.h"
#include "kernels/simt/instantiate.h"

namespace kernels {
namespace {

template <class Src> SIMT_DEVICE constexpr float unit_scale() {
  return sizeof(Src) == 1 ? 1.f / 255.f : 1.f;
}

template <class Src, int kChannels>
__global__ void warp_kernel(const Src* source, int source_h, int source_w, float* out, int h, int w,
                            Affine m, int supersample) {
  const float step = 1.f / static_cast<float>(supersample), first = 0.5f * step - 0.5f,
              share = step * step * unit_scale<Src>();
  for_rows(h, w, [=](std::int64_t y, std::int64_t x) SIMT_LAMBDA {
    float sum[kChannels] = {};
    for (int j = 0; j < supersample; ++j)
      for (int i = 0; i < supersample; ++i) {
        const float px = static_cast<float>(x) + first + static_cast<float>(i) * step,
                    py = static_cast<float>(y) + first + static_cast<float>(j) * step;
        Neighbours(m.a * px + m.b * py + m.c, m.d * px + m.e * py + m.f, source_w, source_h)
            .template add<kChannels>(source, sum);
      }
    for (int c = 0; c < kChannels; ++c) out[(y * w + x) * kChannels + c] = sum[c] * share;
  });
}

// The source pixels [first, last] of one output pixel along one axis, and their
// weights.
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

// Pixels per host worker at a time: a sample costs far more than a copy.
constexpr std::int64_t kPiece = 1024;

template <class Src>
void check(const char* launcher, Picture<const Src> source, Picture<float> out) {
  if (source.h < 1 || source.w < 1)
    throw Error(ErrorKind::usage, std::string(launcher) + ": the source image is empty");
  if (source.c != out.c)
    throw Error(ErrorKind::usage, std::string(launcher) + ": source and result need the same " +
                                      "channels, got " + std::to_string(source.c) + " and " +
                                      std::to_string(out.c));
}

template <class P> std::size_t bytes_of(const P& picture) {
  return sizeof(*picture.data) * picture.h * picture.w * picture.c;
}
}  // namespace

template <class D, class Src>
void affine_warp(Stream& stream, Picture<const Src> source, Picture<float> out, const Affine& map,
                 int supersample) {
  check("affine_warp", source, out);
  if (supersample < 1 || supersample > 64)
    throw Error(ErrorKind::usage,
                "affine_warp: supersample must be 1 to 64, got " + std::to_string(supersample));
  for_channels("affine_warp", out.c, [&](auto n) {
    simt::launch_range<warp_kernel<Src, n()>, kPiece>(
        stream.moves(bytes_of(source) + bytes_of(out)), static_cast<std::int64_t>(out.h) * out.w,
        source.data, source.h, source.w, out.data, out.h, out.w, map, supersample);
  });
}

template <class D, class Src>
void resize(Stream& stream, Picture<const Src> source, Picture<float> out) {
  check("resize", source, out);
  for_channels("resize", out.c, [&](auto n) {
    simt::launch_range<resize_kernel<Src, n()>, kPiece>(
        stream.moves(bytes_of(source) + bytes_of(out)), static_cast<std::int64_t>(out.h) * out.w,
        source.data, source.h, source.w, out.data, out.h, out.w);
  });
}

SIMT_INSTANTIATE_FOR(affine_warp, std::uint8_t)
SIMT_INSTANTIATE_FOR(affine_warp, float)
SIMT_INSTANTIATE_FOR(resize, std::uint8_t)
SIMT_INSTANTIATE_FOR(resize, float)
}  // namespace kernels
