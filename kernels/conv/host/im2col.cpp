// Computes: the passes of a convolution as matrix products. A patch is the K*K taps of
//   C channels under one output pixel; there are P = N*OH*OW patches.
//     forward          y[p, o]        = sum_(tap,i) patches(x)[p, (tap,i)] * w[o, (tap,i)]
//     backward filter  dw[o, (tap,i)] = sum_p       patches(x)[p, (tap,i)] * dy[p, o]
//     backward data    dx[q, i]       = sum_(tap,o) patches(dy)[q, (tap,o)] * w[o, (tap,i)]
//   Backward data at stride s: an input pixel meets only taps whose offset has its own
//   remainder modulo s. So the pixels fall into s*s phases, each a dense stride-1
//   convolution over dy (with 9, 6, 6 and 4 of a 5x5's 25 taps at stride 2).
// Parallel, bytes: as in blocked_gemm.h, which packs patches straight from the image.
// Source: Chellapilla, Puri & Simard 2006.
#include "kernels/conv/host/im2col.h"

#include <vector>

#include "kernels/conv/host/blocked_gemm.h"

namespace kernels::im2col_gemm {
namespace {

struct Tap {  // relative to the patch's position
  int dy, dx;
};

// Patches on a grid of positions, grid_h x grid_w per image, `step` pixels apart.
template <class T> struct Patches {
  const T* image;  // [N,h,w,channels]
  int h, w, channels, grid_h, grid_w, step;
  const Tap* taps;

  // Calls f(offset, length, tap, channel) for each stretch of one tap's channels within
  // columns first .. first + count.
  template <class F> void stretches(std::int64_t first, int count, const F& f) const {
    for (int done = 0; done < count;) {
      const int tap = static_cast<int>((first + done) / channels),
                channel = static_cast<int>((first + done) % channels);
      const int length = std::min(channels - channel, count - done);
      f(done, length, tap, channel);
      done += length;
    }
  }

  // Calls f(i, values) for `count` patches from `first` on: the tap's channels in the
  // image, or null outside it.
  template <class F> void pixels(std::int64_t first, int count, int tap, const F& f) const {
    std::int64_t n = first / grid_w / grid_h;
    int row = static_cast<int>(first / grid_w % grid_h), column = static_cast<int>(first % grid_w);
    for (int i = 0; i < count; ++i) {
      const int y = row * step + taps[tap].dy, x = column * step + taps[tap].dx;
      f(i, y < 0 || y >= h || x < 0 || x >= w ? nullptr : image + ((n * h + y) * w + x) * channels);
      if (++column < grid_w) continue;
      column = 0;
      if (++row < grid_h) continue;
      row = 0;
      ++n;
    }
  }
};

template <class T> constexpr T zeros[blocked::lines_max] = {};

template <class T> struct PatchRows : Patches<T> {  // operand (row = patch, k = (tap, channel))
  template <class E>
  void pack(std::int64_t first, int count, std::int64_t k0, int depth, int width, E* dst) const {
    const std::int64_t pitch = static_cast<std::int64_t>(width) * blocked::elements_of<E>(depth);
    this->stretches(k0, depth, [&](int k, int length, int tap, int channel) {
      const T* rows[blocked::side_max];
      this->pixels(first, count, tap,
                   [&](int r, const T* values) { rows[r] = values ? values + channel : zeros<T>; });
      blocked::pack_rows(rows, count, length, width, pitch,
                         dst + k / blocked::values_per<E> * width);
    });
  }
};

template <class T> struct PatchColumns : Patches<T> {  // operand (row = (tap, channel), k = patch)
  template <class E>
  void pack(std::int64_t first, int count, std::int64_t k0, int depth, int width, E* dst) const {
    const std::int64_t pitch = static_cast<std::int64_t>(width) * blocked::elements_of<E>(depth);
    this->stretches(first, count, [&](int r, int length, int tap, int channel) {
      const T* columns[blocked::lines_max];
      this->pixels(k0, depth, tap, [&](int k, const T* values) {
        columns[k] = values ? values + channel : zeros<T>;
      });
      blocked::pack_columns(columns, r, length, depth, width, pitch, dst);
    });
  }
};

template <class T>
struct WeightRows {  // operand (row = input channel, k = (tap of a phase, output channel))
  const T* w;        // [O,K*K,I]
  int out_channels, in_channels, kernel_area;
  const int* tap_index;  // the phase's taps in w

  template <class E>
  void pack(std::int64_t first, int count, std::int64_t k0, int depth, int width, E* dst) const {
    const T* columns[blocked::lines_max];
    for (int k = 0; k < depth; ++k) {
      const int tap = tap_index[(k0 + k) / out_channels];
      const std::int64_t o = (k0 + k) % out_channels;
      columns[k] = w + (o * kernel_area + tap) * in_channels + first;
    }
    blocked::pack_columns(columns, 0, count, depth, width,
                          static_cast<std::int64_t>(width) * blocked::elements_of<E>(depth), dst);
  }
};

std::vector<Tap> forward_taps(const ConvShape& s) {
  std::vector<Tap> taps;
  for (int ky = 0; ky < s.kernel; ++ky) {
    for (int kx = 0; kx < s.kernel; ++kx) taps.push_back({ky - s.pad_begin, kx - s.pad_begin});
  }
  return taps;
}

// out[e] = f(bias[e] + sums[e]); out may be sums.
template <class T, class C>
void add_bias_activate(const C* sums, const T* bias, int count, const ConvEpilogue& epilogue,
                       C* out) {
  const auto each = [&](const auto& f) {
    if (bias) {
#pragma GCC ivdep
      for (int e = 0; e < count; ++e) out[e] = f(sums[e] + C(bias[e]));
    } else {
#pragma GCC ivdep
      for (int e = 0; e < count; ++e) out[e] = f(sums[e]);
    }
  };
  switch (epilogue.activation) {  // out here, so that each loop vectorises
    case Activation::leaky_relu: {
      const C slope(epilogue.slope);
      return each([slope](C v) {
        const C scaled = slope * v;  // computed in both cases: a branch costs more
        return v > C(0) ? v : scaled;
      });
    }
    case Activation::sigmoid: return each([&](C v) { return activate(v, epilogue); });
    case Activation::none: return each([](C v) { return v; });
  }
}

}  // namespace

template <class T>
void conv_forward(const ConvShape& s, const T* x, const T* w, const T* bias, T* y,
                  const ConvEpilogue& epilogue) {
  using C = compute_t<T>;
  const std::vector<Tap> taps = forward_taps(s);
  const std::int64_t depth = static_cast<std::int64_t>(s.kernel) * s.kernel * s.in_channels;
  const PatchRows<T> patches{
      {x, s.h, s.w, s.in_channels, s.out_h(), s.out_w(), s.stride, taps.data()}};
  const blocked::Matrix<T> weights{w, depth, 1};
  blocked::multiply<T>(s.n * s.out_h() * s.out_w(), s.out_channels, depth, s.in_channels % 2 == 0,
                       patches, weights, [&](std::int64_t p, std::int64_t o, C* sums, int count) {
                         T* const out = y + p * s.out_channels + o;
                         C* finished = sums;
                         if constexpr (std::is_same_v<T, C>) finished = out;
                         add_bias_activate(sums, bias ? bias + o : nullptr, count, epilogue,
                                           finished);
                         if constexpr (!std::is_same_v<T, C>)
                           blocked::store_values(finished, count, out);
                       });
}

template <class T> void conv_backward_data(const ConvShape& s, const T* dy, const T* w, T* dx) {
  using C = compute_t<T>;
  for (int phase_y = 0; phase_y < std::min(s.stride, s.h); ++phase_y) {
    for (int phase_x = 0; phase_x < std::min(s.stride, s.w); ++phase_x) {
      // a*s + phase = oy*s - pad + k, so oy = a + (phase + pad - k) / s if s divides.
      std::vector<Tap> taps;
      std::vector<int> tap_index;
      for (int ky = 0; ky < s.kernel; ++ky) {
        for (int kx = 0; kx < s.kernel; ++kx) {
          const int y = phase_y + s.pad_begin - ky, x = phase_x + s.pad_begin - kx;
          if (y % s.stride != 0 || x % s.stride != 0) continue;
          taps.push_back({y / s.stride, x / s.stride});
          tap_index.push_back(ky * s.kernel + kx);
        }
      }
      const int grid_h = (s.h - phase_y + s.stride - 1) / s.stride,
                grid_w = (s.w - phase_x + s.stride - 1) / s.stride;
      const PatchRows<T> patches{
          {dy, s.out_h(), s.out_w(), s.out_channels, grid_h, grid_w, 1, taps.data()}};
      const WeightRows<T> weights{w, s.out_channels, s.in_channels, s.kernel * s.kernel,
                                  tap_index.data()};
      const std::int64_t depth = static_cast<std::int64_t>(taps.size()) * s.out_channels;
      blocked::multiply<T>(s.n * grid_h * grid_w, s.in_channels, depth, s.out_channels % 2 == 0,
                           patches, weights,
                           [&](std::int64_t q, std::int64_t i, C* sums, int count) {
                             const std::int64_t row = q / grid_w, n = row / grid_h;
                             const std::int64_t y = row % grid_h * s.stride + phase_y,
                                                x = q % grid_w * s.stride + phase_x;
                             T* const out = dx + ((n * s.h + y) * s.w + x) * s.in_channels + i;
                             blocked::store_values(sums, count, out);
                           });
    }
  }
}

template <class T> void conv_backward_filter(const ConvShape& s, const T* x, const T* dy, T* dw) {
  using C = compute_t<T>;
  const std::vector<Tap> taps = forward_taps(s);
  const std::int64_t columns = static_cast<std::int64_t>(s.kernel) * s.kernel * s.in_channels;
  const blocked::Matrix<T> gradients{dy, 1, s.out_channels};
  const PatchColumns<T> patches{
      {x, s.h, s.w, s.in_channels, s.out_h(), s.out_w(), s.stride, taps.data()}};
  blocked::multiply<T>(s.out_channels, columns, s.n * s.out_h() * s.out_w(), true, gradients,
                       patches, [&](std::int64_t o, std::int64_t column, C* sums, int count) {
                         T* const out = dw + o * columns + column;
                         blocked::store_values(sums, count, out);
                       });
}

#define INSTANTIATE(T)                                            \
  template decltype(conv_forward<T>) conv_forward<T>;             \
  template decltype(conv_backward_data<T>) conv_backward_data<T>; \
  template decltype(conv_backward_filter<T>) conv_backward_filter<T>;
INSTANTIATE(float)
INSTANTIATE(bf16)
INSTANTIATE(f16)
INSTANTIATE(double)
#undef INSTANTIATE
}  // namespace kernels::im2col_gemm
