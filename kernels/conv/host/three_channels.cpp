// The last layer of every face model: 64 or 128 channels to RGB, 5x5. Three outputs
// would waste most of a matrix kernel's 16 or 32 columns; these loops put input
// channels into the lanes.
//
// Computes:
//   forward          y[p,o]    = sum over taps t, channels i of x[p + t, i] * w[o,t,i]
//   backward filter  dw[o,t,i] = sum over p of dy[p,o] * x[p + t, i]
// Parallel: forward, one task per output row. Four outputs x three channels are twelve
//   vector sums: each x vector serves three, each w vector four; lanes are added last.
//   Backward filter, one task per image. For one tap and four vectors of channels,
//   twelve vector sums while p walks the image. The images' sums [3,K*K,I] are added in
//   order, so the bits do not depend on the number of threads.
// Bytes: x once per tap row from cache, once from memory; w and dw stay in L1.
#include "kernels/conv/host/three_channels.h"

#include <cstring>

#include "kernels/conv/host/parallel_tasks.h"
#include "kernels/core/memory.h"

namespace kernels::three_channels {
namespace {

constexpr int outputs = 3;
constexpr int pixels = 4;   // neighbouring outputs, in forward
constexpr int vectors = 4;  // of channels, in backward filter

template <int Bytes> struct Simd {
  typedef float Vector __attribute__((vector_size(Bytes), aligned(4), may_alias));
  static constexpr int lanes = Bytes / 4;
};

// The input pixel under one tap of output (oy, ox), or null outside the image.
const float* under(const ConvShape& s, const float* image, int oy, int ox, int ky, int kx) {
  const int y = oy * s.stride - s.pad_begin + ky, x = ox * s.stride - s.pad_begin + kx;
  return y < 0 || y >= s.h || x < 0 || x >= s.w
             ? nullptr
             : image + (static_cast<std::int64_t>(y) * s.w + x) * s.in_channels;
}

// One row of outputs.
template <int Bytes>
[[gnu::always_inline]] inline void forward_row(const ConvShape& s,
                                               const float* image,  // [H,W,I]
                                               const float* w,      // [3,K,K,I]
                                               const float* zeros,  // [I]
                                               int oy,
                                               float* sums) {  // [OW,3]
  using Vector = typename Simd<Bytes>::Vector;
  constexpr int lanes = Simd<Bytes>::lanes;
  const int taps = s.kernel * s.kernel;
  for (int ox = 0; ox < s.out_w(); ox += pixels) {
    const int count = std::min(pixels, s.out_w() - ox);
    Vector sum[pixels][outputs] = {};
    for (int ky = 0; ky < s.kernel; ++ky) {
      for (int kx = 0; kx < s.kernel; ++kx) {
        const float* x[pixels];
        for (int p = 0; p < pixels; ++p) {
          const float* const pixel = p < count ? under(s, image, oy, ox + p, ky, kx) : nullptr;
          x[p] = pixel ? pixel : zeros;
        }
        const float* const weights = w + (ky * s.kernel + kx) * s.in_channels;
        for (int i = 0; i < s.in_channels; i += lanes) {
          Vector value[pixels];
#pragma GCC unroll 4
          for (int p = 0; p < pixels; ++p) value[p] = *reinterpret_cast<const Vector*>(x[p] + i);
#pragma GCC unroll 3
          for (int o = 0; o < outputs; ++o) {
            const Vector weight =
                *reinterpret_cast<const Vector*>(weights + o * taps * s.in_channels + i);
#pragma GCC unroll 4
            for (int p = 0; p < pixels; ++p) sum[p][o] += value[p] * weight;
          }
        }
      }
    }
    for (int p = 0; p < count; ++p) {
      for (int o = 0; o < outputs; ++o) {
        float total = 0.f;
        for (int lane = 0; lane < lanes; ++lane) total += sum[p][o][lane];
        sums[(ox + p) * outputs + o] = total;
      }
    }
  }
}

// The filter gradient of one image.
template <int Bytes>
[[gnu::always_inline]] inline void filter_image(const ConvShape& s,
                                                const float* image,  // [H,W,I]
                                                const float* dy,     // [OH,OW,3]
                                                float* dw) {         // [3,K*K,I]
  using Vector = typename Simd<Bytes>::Vector;
  constexpr int lanes = Simd<Bytes>::lanes;
  const int taps = s.kernel * s.kernel;
  std::memset(dw, 0, sizeof(float) * static_cast<std::size_t>(outputs * taps * s.in_channels));
  for (int oy = 0; oy < s.out_h(); ++oy) {  // outermost: a row stays in cache for all taps
    for (int tap = 0; tap < taps; ++tap) {
      const int ky = tap / s.kernel, kx = tap % s.kernel;
      for (int i = 0; i < s.in_channels; i += vectors * lanes) {
        float* const out = dw + tap * s.in_channels + i;
        Vector sum[outputs][vectors] = {};
        for (int ox = 0; ox < s.out_w(); ++ox) {
          const float* const x = under(s, image, oy, ox, ky, kx);
          if (!x) continue;
          const float* const gradient = dy + (oy * s.out_w() + ox) * outputs;
          Vector value[vectors];
#pragma GCC unroll 4
          for (int v = 0; v < vectors; ++v)
            value[v] = *reinterpret_cast<const Vector*>(x + i + v * lanes);
#pragma GCC unroll 3
          for (int o = 0; o < outputs; ++o) {
            const float g = gradient[o];
#pragma GCC unroll 4
            for (int v = 0; v < vectors; ++v) sum[o][v] += g * value[v];
          }
        }
#pragma GCC unroll 3
        for (int o = 0; o < outputs; ++o) {
#pragma GCC unroll 4
          for (int v = 0; v < vectors; ++v)
            *reinterpret_cast<Vector*>(out + o * taps * s.in_channels + v * lanes) += sum[o][v];
        }
      }
    }
  }
}

// Both loops compiled for one instruction set.
struct Loops {
  int channel_step;  // in_channels must be a multiple of it
  void (*forward)(const ConvShape&, const float*, const float*, const float*, int, float*);
  void (*filter)(const ConvShape&, const float*, const float*, float*);
};
#define LOOPS_FOR(name, attribute, bytes)                                                        \
  attribute void name##_forward(const ConvShape& s, const float* x, const float* w,              \
                                const float* zeros, int oy, float* sums) {                       \
    forward_row<bytes>(s, x, w, zeros, oy, sums);                                                \
  }                                                                                              \
  attribute void name##_filter(const ConvShape& s, const float* x, const float* dy, float* dw) { \
    filter_image<bytes>(s, x, dy, dw);                                                           \
  }                                                                                              \
  constexpr Loops name{bytes / 4 * vectors, name##_forward, name##_filter};
#if defined(__x86_64__)
LOOPS_FOR(avx512, __attribute__((target("avx512f,fma"))), 64)
LOOPS_FOR(avx2, __attribute__((target("avx2,fma"))), 32)
#endif
LOOPS_FOR(baseline, , 16)
#undef LOOPS_FOR

const Loops& loops() {
#if defined(__x86_64__)
  if (__builtin_cpu_supports("avx512f")) return avx512;
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) return avx2;
#endif
  return baseline;
}
}  // namespace

bool offers(const ConvShape& s) {
  return s.out_channels == outputs && s.in_channels % loops().channel_step == 0;
}

void conv_forward(const ConvShape& s, const float* x, const float* w, const float* bias, float* y,
                  const ConvEpilogue& epilogue) {
  const Buffer zeros(Device::host, sizeof(float) * static_cast<std::size_t>(s.in_channels));
  std::memset(zeros.data(), 0, zeros.bytes());
  parallel_tasks(s.n * s.out_h(), [&](std::int64_t row) {
    float* const out = y + row * s.out_w() * outputs;
    loops().forward(s, x + row / s.out_h() * s.h * s.w * s.in_channels, w, zeros.as<float>(),
                    static_cast<int>(row % s.out_h()), out);
    for (int e = 0; e < s.out_w() * outputs; ++e)
      out[e] = activate(bias ? out[e] + bias[e % outputs] : out[e], epilogue);
  });
}

void conv_backward_filter(const ConvShape& s, const float* x, const float* dy, float* dw) {
  const std::int64_t size =
      static_cast<std::int64_t>(outputs) * s.kernel * s.kernel * s.in_channels;
  const Buffer partial(Device::host, sizeof(float) * static_cast<std::size_t>(s.n * size));
  parallel_tasks(s.n, [&](std::int64_t n) {
    loops().filter(s, x + n * s.h * s.w * s.in_channels, dy + n * s.out_h() * s.out_w() * outputs,
                   partial.as<float>() + n * size);
  });
  std::memset(dw, 0, sizeof(float) * static_cast<std::size_t>(size));
  for (std::int64_t n = 0; n < s.n; ++n) {
    for (std::int64_t i = 0; i < size; ++i) dw[i] += partial.as<float>()[n * size + i];
  }
}
}  // namespace kernels::three_channels
