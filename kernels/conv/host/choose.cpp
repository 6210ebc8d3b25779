// The host's end of the convolution and GEMM seams: which implementation computes what.
#include "kernels/conv/host/host_variants.h"

#include "kernels/conv/gemm.h"
#include "kernels/core/memory.h"
#include "kernels/elementwise.h"

namespace kernels {
namespace {

std::int64_t x_size(const ConvShape& s) { return s.n * s.h * s.w * s.in_channels; }
std::int64_t y_size(const ConvShape& s) { return s.n * s.out_h() * s.out_w() * s.out_channels; }
std::int64_t w_size(const ConvShape& s) {
  return static_cast<std::int64_t>(s.out_channels) * s.kernel * s.kernel * s.in_channels;
}

// Two-byte types where float is faster: widen, compute, narrow. f16 is for GPUs; on the host it is here to be tested.
template <class T> constexpr bool two_bytes = std::is_same_v<T, bf16> || std::is_same_v<T, f16>;
struct Widened {
  Buffer buffer;
  explicit Widened(std::int64_t n)
      : buffer(Device::host, sizeof(float) * static_cast<std::size_t>(n)) {}
  template <class T> Widened(Stream& stream, const T* x, std::int64_t n) : Widened(n) {
    cast<Host, T, float>(stream, x, data(), n);
  }
  float* data() const { return buffer.as<float>(); }
};

#if DOPPEL_HAS_ONEDNN
template <class T> bool native() { return std::is_same_v<T, bf16> && onednn::native_bf16(); }

// Few output positions leave oneDNN's kernels little to do per weight that they load, and the reorder of the many weights weighs
// most: there our own GEMM is faster. Milliseconds of one thread at batch 16 on a Zen 4 (bench/bench_conv.cpp), oneDNN and ours:
//   float, forward     4x4: 245, 139 (512 -> 1024, 5x5)  280, 194 (1024 -> 2048, 3x3)     8x8: 113, 138
//   float, filter      4x4: 317, 139                     387, 203                         8x8: 176, 151
//   bf16, filter       4x4: 264, 145                     169, 218                         8x8:  99, 136
template <class T> bool onednn_forward(const ConvShape& s) {
  return std::is_same_v<T, bf16> || s.out_h() * s.out_w() > 16;
}
template <class T> bool onednn_filter(const ConvShape& s) {
  return s.out_h() * s.out_w() > (std::is_same_v<T, bf16> ? 16 : 64);
}
#else
template <class T> bool native() { return false; }
#endif

// What a pass of a convolution costs at least, whichever of the three: the same three arrays, the same multiply-adds.
double flops(const ConvShape& s) {
  return 2.0 * static_cast<double>(y_size(s)) * static_cast<double>(s.kernel) * s.kernel *
         s.in_channels;
}
template <class T> double bytes(const ConvShape& s) {
  return static_cast<double>(sizeof(T)) * static_cast<double>(x_size(s) + w_size(s) + y_size(s));
}

}  // namespace

template <class D, class T>
void conv_forward(Stream& stream, const ConvShape& s, const T* x, const T* w, const T* bias, T* y,
                  const ConvEpilogue& epilogue) {
  if (y_size(s) == 0 || stream.dry_run("conv_forward", flops(s), bytes<T>(s))) return;
  if constexpr (two_bytes<T>) {
    if (!native<T>()) {
      const Widened wide_x(stream, x, x_size(s)), wide_w(stream, w, w_size(s)), wide_y(y_size(s));
      const Widened wide_bias = bias ? Widened(stream, bias, s.out_channels) : Widened(0);
      conv_forward<D, float>(stream, s, wide_x.data(), wide_w.data(), wide_bias.data(),
                             wide_y.data(), epilogue);
      return cast<D, float, T>(stream, wide_y.data(), y, y_size(s));
    }
  }
  if constexpr (std::is_same_v<T, float>) {
    if (three_channels::offers(s)) return three_channels::conv_forward(s, x, w, bias, y, epilogue);
  }
#if DOPPEL_HAS_ONEDNN
  if constexpr (std::is_same_v<T, float> || std::is_same_v<T, bf16>) {
    if (onednn_forward<T>(s) && onednn::conv_forward(s, x, w, bias, y, epilogue)) return;
  }
#endif
  im2col::conv_forward(s, x, w, bias, y, epilogue);
}

template <class D, class T>
void conv_backward_data(Stream& stream, const ConvShape& s, const T* dy, const T* w, T* dx) {
  if (x_size(s) == 0 || stream.dry_run("conv_backward_data", flops(s), bytes<T>(s))) return;
  if constexpr (two_bytes<T>) {
    if (!native<T>()) {
      const Widened wide_dy(stream, dy, y_size(s)), wide_w(stream, w, w_size(s)),
          wide_dx(x_size(s));
      conv_backward_data<D, float>(stream, s, wide_dy.data(), wide_w.data(), wide_dx.data());
      return cast<D, float, T>(stream, wide_dx.data(), dx, x_size(s));
    }
  }
#if DOPPEL_HAS_ONEDNN
  if constexpr (std::is_same_v<T, float> || std::is_same_v<T, bf16>) {
    if (onednn::conv_backward_data(s, dy, w, dx)) return;
  }
#endif
  im2col::conv_backward_data(s, dy, w, dx);
}

template <class D, class T>
void conv_backward_filter(Stream& stream, const ConvShape& s, const T* x, const T* dy, T* dw) {
  if (stream.dry_run("conv_backward_filter", flops(s), bytes<T>(s))) return;
  if constexpr (two_bytes<T>) {
    if (!native<T>() || s.in_channels < 16 ||
        three_channels::offers(
            s)) {  // oneDNN's bf16 takes 268 ms for 3 -> 128 at 64x64, its float 14 ms
      const Widened wide_x(stream, x, x_size(s)), wide_dy(stream, dy, y_size(s)),
          wide_dw(w_size(s));
      conv_backward_filter<D, float>(stream, s, wide_x.data(), wide_dy.data(), wide_dw.data());
      return cast<D, float, T>(stream, wide_dw.data(), dw, w_size(s));
    }
  }
  if constexpr (std::is_same_v<T, float>) {
    if (three_channels::offers(s)) return three_channels::conv_backward_filter(s, x, dy, dw);
  }
#if DOPPEL_HAS_ONEDNN
  if constexpr (std::is_same_v<T, float> || std::is_same_v<T, bf16>) {
    if (s.n > 0 && onednn_filter<T>(s) && onednn::conv_backward_filter(s, x, dy, dw)) return;
  }
#endif
  im2col::conv_backward_filter(s, x, dy, dw);
}

template <class D, class T>
void gemm([[maybe_unused]] Stream& stream, Transpose transpose_a, Transpose transpose_b,
          std::int64_t m, std::int64_t n, std::int64_t k, float alpha, const T* a, const T* b,
          float beta, T* c) {
  const bool ta = transpose_a == Transpose::yes, tb = transpose_b == Transpose::yes;
  if (m == 0 || n == 0) return;
  const double products = static_cast<double>(m) * static_cast<double>(n) * static_cast<double>(k);
  if (stream.dry_run("gemm", 2 * products,
                     static_cast<double>(sizeof(T)) * static_cast<double>(m * k + k * n + m * n)))
    return;
  if constexpr (two_bytes<T>) {
    if (!native<T>()) {
      const Widened wide_a(stream, a, m * k), wide_b(stream, b, k * n),
          wide_c = beta != 0.f ? Widened(stream, c, m * n) : Widened(m * n);
      gemm<D, float>(stream, transpose_a, transpose_b, m, n, k, alpha, wide_a.data(), wide_b.data(),
                     beta, wide_c.data());
      return cast<D, float, T>(stream, wide_c.data(), c, m * n);
    }
  }
#if DOPPEL_HAS_ONEDNN
  if constexpr (std::is_same_v<T, float> || std::is_same_v<T, bf16>) {
    // Few rows times a transposed matrix, a dense layer forward: oneDNN's threads wait for each other at every block of k. 32 x 16384
    // by 16384 x 1024 on two threads: 54 ms, ours 24.
    const bool ours = k == 0 || (std::is_same_v<T, float> && tb && m <= 128);
    if (!ours && onednn::gemm(ta, tb, m, n, k, alpha, a, b, beta, c)) return;
  }
#endif
  blocked::gemm(ta, tb, m, n, k, alpha, a, b, beta, c);
}

#define INSTANTIATE(T)                                                                             \
  template void conv_forward<Host, T>(Stream&, const ConvShape&, const T*, const T*, const T*, T*, \
                                      const ConvEpilogue&);                                        \
  template void conv_backward_data<Host, T>(Stream&, const ConvShape&, const T*, const T*, T*);    \
  template void conv_backward_filter<Host, T>(Stream&, const ConvShape&, const T*, const T*, T*);  \
  template void gemm<Host, T>(Stream&, Transpose, Transpose, std::int64_t, std::int64_t,           \
                              std::int64_t, float, const T*, const T*, float, T*);
INSTANTIATE(float)
INSTANTIATE(bf16)
INSTANTIATE(f16)
INSTANTIATE(double)
#undef INSTANTIATE

}  // namespace kernels
