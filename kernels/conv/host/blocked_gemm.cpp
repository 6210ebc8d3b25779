#include "kernels/conv/host/blocked_gemm.h"

#include <chrono>
#include <cstring>
#include <vector>

namespace kernels::blocked {
namespace {

// The sums fill Rows * Columns registers: 28 of AVX-512's 32, 12 of AVX2's 16.
template <class C, int Bytes, int Rows, int Columns>
[[gnu::always_inline]] inline void micro(int depth, const C* a, const C* b, C* c,
                                         std::int64_t pitch, bool add) {
  typedef C Vector __attribute__((vector_size(Bytes), aligned(alignof(C)), may_alias));
  constexpr int lanes = Bytes / static_cast<int>(sizeof(C)), nr = lanes * Columns;
  Vector sum[Rows][Columns] = {};
  for (int k = 0; k < depth; ++k) {
    Vector right[Columns];
#pragma GCC unroll 4
    for (int j = 0; j < Columns; ++j)
      right[j] = *reinterpret_cast<const Vector*>(b + k * nr + j * lanes);
#pragma GCC unroll 16
    for (int i = 0; i < Rows; ++i) {
      const C left = a[k * Rows + i];
#pragma GCC unroll 4
      for (int j = 0; j < Columns; ++j) sum[i][j] += left * right[j];
    }
  }
#pragma GCC unroll 16
  for (int i = 0; i < Rows; ++i) {
#pragma GCC unroll 4
    for (int j = 0; j < Columns; ++j) {
      Vector* const out = reinterpret_cast<Vector*>(c + i * pitch + j * lanes);
      *out = add ? *out + sum[i][j] : sum[i][j];
    }
  }
}

#if defined(__x86_64__)
template <class C>
[[gnu::target("avx512f,fma")]] void avx512(int depth, const C* a, const C* b, C* c,
                                           std::int64_t pitch, bool add) {
  micro<C, 64, 14, 2>(depth, a, b, c, pitch, add);
}
template <class C>
[[gnu::target("avx2,fma")]] void avx2(int depth, const C* a, const C* b, C* c, std::int64_t pitch,
                                      bool add) {
  micro<C, 32, 6, 2>(depth, a, b, c, pitch, add);
}
#endif
template <class C>
void baseline(int depth, const C* a, const C* b, C* c, std::int64_t pitch, bool add) {
  micro<C, 16, 4, 2>(depth, a, b, c, pitch, add);
}

template <class C> MicroKernel<C> choose() {
#if defined(__x86_64__)
  if (__builtin_cpu_supports("avx512f")) return {14, 128 / static_cast<int>(sizeof(C)), avx512<C>};
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))
    return {6, 64 / static_cast<int>(sizeof(C)), avx2<C>};
#endif
  return {4, 32 / static_cast<int>(sizeof(C)), baseline<C>};
}
template <> MicroKernel<Pair> choose() {
  return {avx512_bf16::mr, avx512_bf16::nr, avx512_bf16::multiply};
}

// dst[e][r] = rows[r][k + e] for a 4x4 square, transposed in registers.
void transpose_4x4(const float* const* rows, int k, float* dst, int width) {
  typedef float Vector __attribute__((vector_size(16), aligned(4), may_alias));
  typedef int Mask __attribute__((vector_size(16)));
  const auto load = [&](int r) { return *reinterpret_cast<const Vector*>(rows[r] + k); };
  const Vector a = load(0), b = load(1), c = load(2), d = load(3);
  const Vector ab_low = __builtin_shuffle(a, b, Mask{0, 4, 1, 5}),
               ab_high = __builtin_shuffle(a, b, Mask{2, 6, 3, 7});
  const Vector cd_low = __builtin_shuffle(c, d, Mask{0, 4, 1, 5}),
               cd_high = __builtin_shuffle(c, d, Mask{2, 6, 3, 7});
  const auto store = [&](int e, Vector v) { *reinterpret_cast<Vector*>(dst + e * width) = v; };
  store(0, __builtin_shuffle(ab_low, cd_low, Mask{0, 1, 4, 5}));
  store(1, __builtin_shuffle(ab_low, cd_low, Mask{2, 3, 6, 7}));
  store(2, __builtin_shuffle(ab_high, cd_high, Mask{0, 1, 4, 5}));
  store(3, __builtin_shuffle(ab_high, cd_high, Mask{2, 3, 6, 7}));
}

template <class T, class C> void copy_values(const T* source, int n, C* dst) {
  if constexpr (std::is_same_v<T, C>) {
    constexpr int step = 16 / static_cast<int>(sizeof(C));
    if (n >= step) {
      for (int i = 0; i + step <= n; i += step) std::memcpy(dst + i, source + i, 16);
      if (n % step) std::memcpy(dst + n - step, source + n - step, 16);
      return;
    }
  }
  for (int i = 0; i < n; ++i) dst[i] = C(source[i]);
}

// One panel of pack_rows().
template <class T, class C>
void pack_panel(const T* const* rows, int height, int depth, int width, C* dst) {
  int done = 0;
  if constexpr (std::is_same_v<T, float>) {
    for (; done < height && height >= 4; done += 4) {
      const int r = std::min(done, height - 4);  // the last four may overlap the four before
      const T* const* const next = rows + std::min(r + 4, height - 4);  // prefetched
      int k = 0;
      for (; k + 4 <= depth; k += 4) {
        for (int e = 0; k % 16 == 0 && e < 4; ++e) __builtin_prefetch(next[e] + k);
        transpose_4x4(rows + r, k, dst + k * width + r, width);
      }
      for (; k < depth; ++k) {
        for (int e = 0; e < 4; ++e) dst[k * width + r + e] = rows[r + e][k];
      }
    }
  }
  for (; done < height; ++done) {
    for (int k = 0; k < depth; ++k) dst[k * width + done] = C(rows[done][k]);
  }
}
}  // namespace

template <class T, class E>
void pack_rows(const T* const* rows, int count, int depth, int width, std::int64_t pitch, E* dst) {
  if constexpr (std::is_same_v<E, Pair>) {
    avx512_bf16::pack_rows(rows, count, depth, width, pitch, dst);
  } else {
    for (int done = 0; done < count; done += width, rows += width, dst += pitch)
      pack_panel(rows, std::min(width, count - done), depth, width, dst);
  }
}

template <class T, class E>
void pack_columns(const T* const* columns, int offset, int count, int depth, int width,
                  std::int64_t pitch, E* dst) {
  // Eight elements at a time, so a panel is written in one go. Panels lie a power of two
  // apart: one line of each at a time would map to the same cache set.
  constexpr int step = 8 * values_per<E>;
  for (int k0 = 0; k0 < depth; k0 += step, dst += 8 * width) {
    const int values = std::min(step, depth - k0);
    for (int r = offset, done = 0; done < count;) {
      const int row = r % width, length = std::min(width - row, count - done);
      E* const out = dst + r / width * pitch + row;
      if constexpr (std::is_same_v<E, Pair>) {
        for (int k = k0 + step; k < std::min(k0 + 2 * step, depth); ++k)
          __builtin_prefetch(columns[k] + done);
        avx512_bf16::pack_columns(columns + k0, done, length, values, width, out);
      } else {
        for (int k = 0; k < values; ++k)
          copy_values(columns[k0 + k] + done, length, out + k * width);
      }
      r += length, done += length;
    }
  }
}

template <class T, class C> void store_values(const C* values, int count, T* out) {
  if constexpr (std::is_same_v<T, bf16>) {
    if (avx512_bf16::available()) return avx512_bf16::round(values, count, out);
  }
  for (int e = 0; e < count; ++e) out[e] = T(values[e]);
}

namespace {
// The least seconds per product of the inner kernel over several runs on warm panels.
template <class E> struct ProductTime {
  const MicroKernel<E>& micro = micro_kernel<E>();
  std::vector<E> a = std::vector<E>(static_cast<std::size_t>(micro.mr) * depth_max),
                 b = std::vector<E>(static_cast<std::size_t>(micro.nr) * depth_max);
  std::vector<float> c = std::vector<float>(static_cast<std::size_t>(micro.mr * micro.nr));
  double least = 1;

  void measure() {
    constexpr int runs = 8;
    const auto begin = std::chrono::steady_clock::now();
    for (int i = 0; i < runs; ++i)
      micro.run(depth_max, a.data(), b.data(), c.data(), micro.nr, true);
    const std::chrono::duration<double> spent = std::chrono::steady_clock::now() - begin;
    least = std::min(least, spent.count() / (runs * micro.mr * micro.nr * depth_max *
                                             static_cast<double>(values_per<E>)));
  }
};
}  // namespace

double pair_rate() {
  static const double rate = [] {
    if (!avx512_bf16::available()) return 0.;
    ProductTime<float> floats;
    ProductTime<Pair> pairs;
    for (int i = 0; i < 50; ++i) {  // in turn, so a change of clock meets both
      floats.measure();
      pairs.measure();
    }
    return floats.least / pairs.least;
  }();
  return rate;
}

template <class C> const MicroKernel<C>& micro_kernel() {
  static const MicroKernel<C> chosen = choose<C>();
  return chosen;
}

template <class T>
void gemm(Transpose transpose_a, Transpose transpose_b, std::int64_t m, std::int64_t n,
          std::int64_t k, float alpha, const T* a, const T* b, float beta, T* c) {
  using C = compute_t<T>;
  const Matrix<T> left = transpose_a == Transpose::yes ? Matrix<T>{a, 1, m} : Matrix<T>{a, k, 1};
  const Matrix<T> right = transpose_b == Transpose::yes ? Matrix<T>{b, k, 1} : Matrix<T>{b, 1, n};
  multiply<T>(
      m, n, k, true, left, right, [=](std::int64_t i, std::int64_t j, const C* sums, int count) {
        T* const out = c + i * n + j;
        for (int e = 0; e < count; ++e)  // beta 0: C may hold NaN
          out[e] = T(beta == 0.f ? C(alpha) * sums[e] : C(alpha) * sums[e] + C(beta) * C(out[e]));
      });
}

#define INSTANTIATE(T)                                                            \
  template decltype(pack_rows<T, compute_t<T>>) pack_rows<T, compute_t<T>>;       \
  template decltype(pack_columns<T, compute_t<T>>) pack_columns<T, compute_t<T>>; \
  template decltype(store_values<T, compute_t<T>>) store_values<T, compute_t<T>>; \
  template decltype(gemm<T>) gemm<T>;
INSTANTIATE(float)
INSTANTIATE(bf16)
INSTANTIATE(f16)
INSTANTIATE(double)
#undef INSTANTIATE
template decltype(pack_rows<bf16, Pair>) pack_rows<bf16, Pair>;
template decltype(pack_columns<bf16, Pair>) pack_columns<bf16, Pair>;
template decltype(micro_kernel<float>) micro_kernel<float>;
template decltype(micro_kernel<double>) micro_kernel<double>;
template decltype(micro_kernel<Pair>) micro_kernel<Pair>;
}  // namespace kernels::blocked
