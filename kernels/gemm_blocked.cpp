#include "kernels/gemm_blocked.h"

namespace kernels::blocked {
namespace {

// The mr x nr patch of C lives in mr * columns vector registers of `Bytes` each: 28 of AVX-512's 32, 12 of AVX2's 16.
template <class C, int Bytes, int Rows, int Columns>
[[gnu::always_inline]] inline void micro(int depth, const C* a, const C* b, C* c, std::int64_t pitch) {
  typedef C Vector __attribute__((vector_size(Bytes), aligned(alignof(C)), may_alias));
  constexpr int lanes = Bytes / static_cast<int>(sizeof(C)), nr = lanes * Columns;
  Vector sum[Rows][Columns] = {};
  for (int k = 0; k < depth; ++k) {
    Vector right[Columns];
#pragma GCC unroll 4
    for (int j = 0; j < Columns; ++j) right[j] = *reinterpret_cast<const Vector*>(b + k * nr + j * lanes);
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
    for (int j = 0; j < Columns; ++j) *reinterpret_cast<Vector*>(c + i * pitch + j * lanes) += sum[i][j];
  }
}

#if defined(__x86_64__)
template <class C> [[gnu::target("avx512f,fma")]] void avx512(int depth, const C* a, const C* b, C* c, std::int64_t pitch) { micro<C, 64, 14, 2>(depth, a, b, c, pitch); }
template <class C> [[gnu::target("avx2,fma")]] void avx2(int depth, const C* a, const C* b, C* c, std::int64_t pitch) { micro<C, 32, 6, 2>(depth, a, b, c, pitch); }
#endif
template <class C> void baseline(int depth, const C* a, const C* b, C* c, std::int64_t pitch) { micro<C, 16, 4, 2>(depth, a, b, c, pitch); }

template <class C> MicroKernel<C> choose() {
#if defined(__x86_64__)
  if (__builtin_cpu_supports("avx512f")) return {14, 128 / static_cast<int>(sizeof(C)), avx512<C>};
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) return {6, 64 / static_cast<int>(sizeof(C)), avx2<C>};
#endif
  return {4, 32 / static_cast<int>(sizeof(C)), baseline<C>};
}

}  // namespace

template <class C> const MicroKernel<C>& micro_kernel() {
  static const MicroKernel<C> chosen = choose<C>();
  return chosen;
}
template const MicroKernel<float>& micro_kernel<float>();
template const MicroKernel<double>& micro_kernel<double>();

template <class T>
void gemm(bool transpose_a, bool transpose_b, std::int64_t m, std::int64_t n, std::int64_t k, float alpha, const T* a, const T* b, float beta, T* c) {
  using C = compute_t<T>;
  const Matrix<T> left = transpose_a ? Matrix<T>{a, 1, m} : Matrix<T>{a, k, 1};
  const Matrix<T> right = transpose_b ? Matrix<T>{b, k, 1} : Matrix<T>{b, 1, n};
  multiply<C>(m, n, k, left, right, [=](std::int64_t i, std::int64_t j, const C* sums, int count) {
    T* const out = c + i * n + j;
    for (int e = 0; e < count; ++e) out[e] = T(beta == 0.f ? C(alpha) * sums[e] : C(alpha) * sums[e] + C(beta) * C(out[e]));  // beta 0: C may hold NaN
  });
}
template void gemm(bool, bool, std::int64_t, std::int64_t, std::int64_t, float, const float*, const float*, float, float*);
template void gemm(bool, bool, std::int64_t, std::int64_t, std::int64_t, float, const double*, const double*, float, double*);
template void gemm(bool, bool, std::int64_t, std::int64_t, std::int64_t, float, const bf16*, const bf16*, float, bf16*);

}  // namespace kernels::blocked
