// The host's convolution and GEMM seams: the choice between three_channels, oneDNN, and
// im2col with the blocked GEMM.
#include <fmt/format.h>

#include "kernels/conv/conv.h"
#include "kernels/conv/gemm.h"
#include "kernels/conv/host/blocked_gemm.h"
#include "kernels/conv/host/im2col.h"
#include "kernels/conv/host/three_channels.h"
#include "kernels/conv/onednn/conv.h"
#include "kernels/conv/onednn/gemm.h"
#include "kernels/core/memory.h"
#include "kernels/elementwise.h"

namespace kernels {
namespace {

template <class T> constexpr bool two_bytes = std::is_same_v<T, bf16> || std::is_same_v<T, f16>;
template <class T>
constexpr bool onednn_type = DOPPEL_HAS_ONEDNN &&
                             (std::is_same_v<T, float> || std::is_same_v<T, bf16>);

// oneDNN with AMX multiplies bf16 faster than anything else here.
bool amx() {
#if DOPPEL_HAS_ONEDNN
  return onednn::has_amx();
#else
  return false;
#endif
}
// bf16 by pairs in blocked_gemm.h. Where they are slow, float is the faster way to
// compute bf16.
template <class T> bool own_pairs() {
  return std::is_same_v<T, bf16> && !amx() && blocked::prefers_pairs();
}

// Two-byte types are computed in float, except bf16 on a CPU that multiplies it as fast.
// even: the shape's channels come in pairs.
template <class T> bool widens(bool even = true) {
  if constexpr (onednn_type<T> && two_bytes<T>) {
    if (amx() || (own_pairs<T>() && onednn::native_bf16())) return false;
  }
  return two_bytes<T> && !(own_pairs<T>() && even);
}

struct Widened {
  Buffer buffer;
  explicit Widened(std::int64_t n)
      : buffer(Device::host, sizeof(float) * static_cast<std::size_t>(n)) {}
  template <class T> Widened(Stream& stream, const T* x, std::int64_t n) : Widened(n) {
    cast<Host, T, float>(stream, x, data(), n);
  }
  float* data() const { return buffer.as<float>(); }
};

// Small outputs go to our own GEMM: they leave oneDNN little work per weight, and its
// reorder of the weights costs most. Example: forward, float, 5x5, 512 -> 1024
// channels, batch 16, one thread of a Zen 4: at 4x4 outputs oneDNN takes 245 ms and
// ours 139 ms, at 8x8 113 ms and 138 ms.
//
// In bf16 our pairs do the passes whose weights outgrow oneDNN's caches. GFLOP/s of
// oneDNN 2.6 and ours on one thread of a Zen 5: forward at 4x4 outputs, 64 -> 128
// channels 566 and 390, 512 -> 1024 233 and 428; backward data, 3x3, 256 -> 512 464 and
// 424, 512 -> 1024 325 and 426; filter, 16 -> 32 370 and 168, 512 -> 1024 312 and 417.
// oneDNN's threads share one filter gradient and wait for each other: on a busy machine
// its filter falls to 55 to 70 with two threads, ours to 380 and more.
template <class T> bool pairs_fit(int channels, const ConvShape& s, std::int64_t least_weights) {
  return own_pairs<T>() && channels % 2 == 0 && s.w_size() >= least_weights;
}
template <class T> bool onednn_forward(const ConvShape& s) {
  const bool small = s.out_h() * s.out_w() <= 16;
  if (std::is_same_v<T, bf16>) return !small || !pairs_fit<T>(s.in_channels, s, 1 << 18);
  return !small;
}
template <class T> bool onednn_data(const ConvShape& s) {
  return !pairs_fit<T>(s.out_channels, s, 1 << 21);
}
template <class T> bool onednn_filter(const ConvShape& s) {
  return s.n > 0 && !pairs_fit<T>(0, s, 1 << 15) &&
         s.out_h() * s.out_w() > (std::is_same_v<T, bf16> ? 16 : 64);
}

// The pass as a GPU's product, its channels padded to 16 bytes.
template <class T> CountedProduct product_of(Direction direction, const ConvShape& s) {
  constexpr int kLanes = 16 / sizeof(T);
  ConvShape padded = s;
  for (int* channels : {&padded.in_channels, &padded.out_channels})
    *channels = (*channels + kLanes - 1) / kLanes * kLanes;
  const double taps = s.kernel * s.kernel, in = padded.in_channels, out = padded.out_channels,
               outputs = static_cast<double>(s.n) * s.out_h() * s.out_w(),
               inputs = static_cast<double>(s.n) * s.h * s.w;
  CountedProduct product{outputs, out, taps * in};
  if (direction == Direction::data) product = {inputs, in, taps * out / (s.stride * s.stride)};
  if (direction == Direction::filter) product = {out, taps * in, outputs};
  for (const auto size : {&ConvShape::x_size, &ConvShape::w_size, &ConvShape::y_size}) {
    if ((padded.*size)() == (s.*size)()) continue;
    product.copied_bytes += 2.0 * sizeof(T) * static_cast<double>((padded.*size)());
    ++product.copies;
  }
  return product;
}

// Counts a pass on the meta device.
template <class T> bool dry_run(Stream& stream, Direction direction, const ConvShape& s) {
  if (stream.device() != Device::meta) return false;
  stream.moves((s.x_size() + s.w_size() + s.y_size()) * sizeof(T));
  stream.computes(s.flops(), product_of<T>(direction, s));
  return stream.dry_run((s.str() + ", " + name(direction)).c_str());
}
}  // namespace

bool host_prefers_bf16() { return amx() || blocked::pair_rate() > 1.5; }

template <class D, class T>
void conv_forward(Stream& stream, const ConvShape& s, const T* x, const T* w, const T* bias, T* y,
                  const ConvEpilogue& epilogue) {
  if (s.y_size() == 0) return;
  if (dry_run<T>(stream, Direction::forward, s)) {
    // On the GPU a kernel of ours follows, unless cuDNN's fused plan proves faster.
    if (bias || epilogue.activation != Activation::none)
      stream.moves(2 * static_cast<std::size_t>(s.y_size()) * sizeof(T)).dry_run("conv_epilogue");
    return;
  }
  if constexpr (two_bytes<T>) {
    if (widens<T>(s.in_channels % 2 == 0)) {
      const Widened wide_x(stream, x, s.x_size()), wide_w(stream, w, s.w_size()),
          wide_y(s.y_size());
      const Widened wide_bias = bias ? Widened(stream, bias, s.out_channels) : Widened(0);
      conv_forward<D, float>(stream, s, wide_x.data(), wide_w.data(), wide_bias.data(),
                             wide_y.data(), epilogue);
      return cast<D, float, T>(stream, wide_y.data(), y, s.y_size());
    }
  }
  if constexpr (std::is_same_v<T, float>) {
    if (three_channels::offers(s)) return three_channels::conv_forward(s, x, w, bias, y, epilogue);
  }
  if constexpr (onednn_type<T>) {
    if (onednn_forward<T>(s) && onednn::conv_forward(s, x, w, bias, y, epilogue)) return;
  }
  im2col_gemm::conv_forward(s, x, w, bias, y, epilogue);
}

template <class D, class T>
void conv_backward_data(Stream& stream, const ConvShape& s, const T* dy, const T* w, T* dx) {
  if (s.x_size() == 0 || dry_run<T>(stream, Direction::data, s)) return;
  if constexpr (two_bytes<T>) {
    if (widens<T>(s.out_channels % 2 == 0)) {
      const Widened wide_dy(stream, dy, s.y_size()), wide_w(stream, w, s.w_size()),
          wide_dx(s.x_size());
      conv_backward_data<D, float>(stream, s, wide_dy.data(), wide_w.data(), wide_dx.data());
      return cast<D, float, T>(stream, wide_dx.data(), dx, s.x_size());
    }
  }
  if constexpr (onednn_type<T>) {
    if (onednn_data<T>(s) && onednn::conv_backward_data(s, dy, w, dx)) return;
  }
  im2col_gemm::conv_backward_data(s, dy, w, dx);
}

template <class D, class T>
void conv_backward_filter(Stream& stream, const ConvShape& s, const T* x, const T* dy, T* dw) {
  if (dry_run<T>(stream, Direction::filter, s)) return;
  if constexpr (two_bytes<T>) {
    // oneDNN's bf16 is slow with few input channels: 268 ms against 14 ms in float for
    // 3 -> 128 channels at 64x64 on a Zen 4.
    if (widens<T>() || s.in_channels < 16 || three_channels::offers(s)) {
      const Widened wide_x(stream, x, s.x_size()), wide_dy(stream, dy, s.y_size()),
          wide_dw(s.w_size());
      conv_backward_filter<D, float>(stream, s, wide_x.data(), wide_dy.data(), wide_dw.data());
      return cast<D, float, T>(stream, wide_dw.data(), dw, s.w_size());
    }
  }
  if constexpr (std::is_same_v<T, float>) {
    if (three_channels::offers(s)) return three_channels::conv_backward_filter(s, x, dy, dw);
  }
  if constexpr (onednn_type<T>) {
    if (onednn_filter<T>(s) && onednn::conv_backward_filter(s, x, dy, dw)) return;
  }
  im2col_gemm::conv_backward_filter(s, x, dy, dw);
}

template <class D, class T>
void gemm(Stream& stream, Transpose transpose_a, Transpose transpose_b, std::int64_t m,
          std::int64_t n, std::int64_t k, float alpha, const T* a, const T* b, float beta, T* c) {
  if (m == 0 || n == 0) return;
  const double products = static_cast<double>(m) * static_cast<double>(n) * static_cast<double>(k);
  stream.moves((m * k + k * n + m * n) * sizeof(T));
  stream.computes(2 * products,
                  {static_cast<double>(m), static_cast<double>(n), static_cast<double>(k)});
  if (stream.device() == Device::meta) {
    stream.dry_run(fmt::format("gemm {}x{}x{}", m, n, k).c_str());
    return;
  }
  if constexpr (two_bytes<T>) {
    if (widens<T>()) {
      const Widened wide_a(stream, a, m * k), wide_b(stream, b, k * n),
          wide_c = beta != 0.f ? Widened(stream, c, m * n) : Widened(m * n);
      gemm<D, float>(stream, transpose_a, transpose_b, m, n, k, alpha, wide_a.data(), wide_b.data(),
                     beta, wide_c.data());
      return cast<D, float, T>(stream, wide_c.data(), c, m * n);
    }
  }
  if constexpr (onednn_type<T>) {
    // A dense layer forward, few rows times a transposed matrix: oneDNN's threads wait at
    // every block of k. 32 x 16384 by 16384 x 1024 on two threads: 54 ms, ours 24 ms.
    const bool ours =
        k == 0 || (std::is_same_v<T, float> && transpose_b == Transpose::yes && m <= 128);
    if (!ours && onednn::gemm(transpose_a, transpose_b, m, n, k, alpha, a, b, beta, c)) return;
  }
  blocked::gemm(transpose_a, transpose_b, m, n, k, alpha, a, b, beta, c);
}

#define INSTANTIATE(T)                                                            \
  template decltype(conv_forward<Host, T>) conv_forward<Host, T>;                 \
  template decltype(conv_backward_data<Host, T>) conv_backward_data<Host, T>;     \
  template decltype(conv_backward_filter<Host, T>) conv_backward_filter<Host, T>; \
  template decltype(gemm<Host, T>) gemm<Host, T>;
INSTANTIATE(float)
INSTANTIATE(bf16)
INSTANTIATE(f16)
INSTANTIATE(double)
#undef INSTANTIATE
}  // namespace kernels
