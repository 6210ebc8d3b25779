// The host's blocked matrix product, for GEMM and the three passes of a convolution.
//
// Computes: C[i,j] = sum_k A(i,k) * B(j,k). An operand packs itself, so a convolution
//   packs patches straight from the image and never stores its patch matrix.
// Parallel: one task per tile of C of about 336 x 384. A task walks k in blocks of 192
//   elements: it packs its rows of A and B into panels in the inner kernel's order, then
//   the inner kernel keeps mr x nr sums in registers along a pair of panels. Each sum is
//   added in the order of k by one task, so the bits depend neither on threads nor on
//   tile sizes.
// Elements: float or double, one value of k each; or Pair, two values of k in bf16, where
//   the CPU has AVX-512 BF16. Its instruction adds both products of a pair to a float,
//   each rounded, and takes denormals for zero.
// Bytes: A is read n/384 times, B m/336 times; a packed element serves 179 multiply-adds
//   on average. A tile and its two panels fill a 1 MB L2 cache.
// Source: Goto & van de Geijn 2008, Anatomy of High-Performance Matrix Multiplication.
#pragma once
#include <algorithm>
#include <cstring>

#include "kernels/conv/gemm.h"
#include "kernels/conv/host/avx512_bf16.h"
#include "kernels/conv/host/parallel_tasks.h"
#include "kernels/core/memory.h"

namespace kernels::blocked {

// As kernels::gemm(), for every type.
template <class T>
void gemm(Transpose transpose_a, Transpose transpose_b,    //
          std::int64_t m, std::int64_t n, std::int64_t k,  //
          float alpha, const T* a, const T* b, float beta, T* c);

// Elements of a panel: two neighbouring values of k, or one.
using avx512_bf16::Pair;
template <class E> constexpr int values_per = std::is_same_v<E, Pair> ? 2 : 1;
template <class E> using sum_t = std::conditional_t<std::is_same_v<E, Pair>, float, E>;
template <class E> constexpr int elements_of(int depth) {
  return (depth + values_per<E> - 1) / values_per<E>;
}

// The inner kernel of one instruction set: c[i][j] (+)= sum_k a[k][i] * b[k][j].
template <class E> struct MicroKernel {
  int mr, nr;
  void (*run)(int elements,
              const E* a,   // [elements,mr]
              const E* b,   // [elements,nr]
              sum_t<E>* c,  // [mr,nr], rows `pitch` apart
              std::int64_t pitch, bool add);
};
template <class E> const MicroKernel<E>& micro_kernel();  // the best for this CPU

// Products per second of the inner kernel of pairs over that of floats, measured once in
// about 1 ms; 0 without AVX-512 BF16. CPUs differ by powers of two: 2 on a Zen 5, 1 on a
// Zen 4, 0.5 on an Intel of 2023.
double pair_rate();
inline bool prefers_pairs() { return pair_rate() > 0.75; }  // for bf16; else floats

inline constexpr int depth_max = 192;  // elements of k packed at a time
inline constexpr int side_max = 384;   // rows or columns of a tile
inline constexpr int lines_max = std::max(2 * depth_max, side_max);  // of a packing function

// An operand packs `count` of its rows, `depth` values each, into panels of `width`
// rows that lie `pitch` = width * elements_of<E>(depth) apart:
//   dst[r / width * pitch + e * width + r % width] = element e of row first + r from k0 on
// The last panel's missing rows keep their values, which must be finite; no result uses
// them. Half a pair beyond `depth` is zero. pack_rows takes rows contiguous in k (a
// transpose). pack_columns takes values contiguous in r, one pointer per k; the first
// value lands at row `offset`.
template <class T, class E>
void pack_rows(const T* const* rows,  // [count], each of [depth]
               int count, int depth, int width, std::int64_t pitch, E* dst);
template <class T, class E>
void pack_columns(const T* const* columns,  // [depth], each of [count]
                  int offset, int count, int depth, int width, std::int64_t pitch, E* dst);

// A stored matrix as operand: element (row, k) is data[row * row_stride + k *
// k_stride]. One of the strides must be 1.
template <class T> struct Matrix {
  const T* data;
  std::int64_t row_stride, k_stride;

  template <class E>
  void pack(std::int64_t first, int count, std::int64_t k0, int depth, int width, E* dst) const {
    const T* const source = data + first * row_stride + k0 * k_stride;
    const std::int64_t pitch = static_cast<std::int64_t>(width) * elements_of<E>(depth);
    const T* lines[lines_max];
    if (k_stride == 1) {
      for (int r = 0; r < count; ++r) lines[r] = source + r * row_stride;
      pack_rows(lines, count, depth, width, pitch, dst);
    } else {
      for (int k = 0; k < depth; ++k) lines[k] = source + k * k_stride;
      pack_columns(lines, 0, count, depth, width, pitch, dst);
    }
  }
};

// out[e] = T(values[e]), in SIMD.
template <class T, class C> void store_values(const C* values, int count, T* out);

// The largest sides up to 336 x 384 that give every worker at least three tiles.
struct Tile {
  int m, n;
};
inline Tile tile_for(std::int64_t m, std::int64_t n, int mr, int nr, unsigned workers) {
  Tile tile{336 / mr * mr, side_max / nr * nr};
  const auto count = [&] { return ((m + tile.m - 1) / tile.m) * ((n + tile.n - 1) / tile.n); };
  while (count() < 3 * static_cast<std::int64_t>(workers) && (tile.m > mr || tile.n > nr)) {
    if (tile.n > 2 * tile.m || tile.m == mr) tile.n = std::max(tile.n / 2 / nr, 1) * nr;
    else tile.m = std::max(tile.m / 2 / mr, 1) * mr;
  }
  return tile;
}

// store(i, j, sums, count) receives finished sums C[i, j .. j + count) and may change them.
template <class E, class A, class B, class Store>
void multiply_elements(std::int64_t m, std::int64_t n, std::int64_t k, const A& a, const B& b,
                       const Store& store) {
  using C = sum_t<E>;
  const MicroKernel<E>& micro = micro_kernel<E>();
  const int mr = micro.mr, nr = micro.nr;
  const Tile tile = tile_for(m, n, mr, nr, simt::worker_count());
  const std::int64_t tiles_m = (m + tile.m - 1) / tile.m, tiles_n = (n + tile.n - 1) / tile.n;

  parallel_tasks(tiles_m * tiles_n, [&](std::int64_t task) {
    const std::int64_t i0 = task % tiles_m * tile.m, j0 = task / tiles_m * tile.n;
    const int rows = static_cast<int>(std::min<std::int64_t>(tile.m, m - i0)),
              columns = static_cast<int>(std::min<std::int64_t>(tile.n, n - j0));
    const std::int64_t tile_size = static_cast<std::int64_t>(tile.m) * tile.n,
                       panel_size = static_cast<std::int64_t>(tile.m + tile.n) * depth_max;
    const std::size_t tile_bytes = sizeof(C) * static_cast<std::size_t>(tile_size),
                      panel_bytes = sizeof(E) * static_cast<std::size_t>(panel_size);
    const Buffer scratch(Device::host, tile_bytes + panel_bytes);
    C* const sums = scratch.as<C>();  // [tile.m, tile.n]
    // [tile.m / mr][elements][mr]
    E* const panels_a = reinterpret_cast<E*>(scratch.as<unsigned char>() + tile_bytes);
    // [tile.n / nr][elements][nr]
    E* const panels_b = panels_a + static_cast<std::int64_t>(tile.m) * depth_max;
    if (k == 0 || rows % mr != 0 || columns % nr != 0)
      std::memset(scratch.data(), 0, tile_bytes + panel_bytes);
    constexpr int step = depth_max * values_per<E>;
    for (std::int64_t k0 = 0; k0 < k; k0 += step) {
      const int depth = static_cast<int>(std::min<std::int64_t>(step, k - k0)),
                elements = elements_of<E>(depth);
      a.pack(i0, rows, k0, depth, mr, panels_a);
      b.pack(j0, columns, k0, depth, nr, panels_b);
      for (int c = 0; c < columns; c += nr) {
        for (int r = 0; r < rows; r += mr)
          micro.run(elements, panels_a + r * elements, panels_b + c * elements,
                    sums + static_cast<std::int64_t>(r) * tile.n + c, tile.n, k0 > 0);
      }
    }
    for (int r = 0; r < rows; ++r)
      store(i0 + r, j0, sums + static_cast<std::int64_t>(r) * tile.n, columns);
  });
}

// The same in the fastest elements for values of T. Pairs need stretches of k that are
// even, except for the last.
template <class T, class A, class B, class Store>
void multiply(std::int64_t m, std::int64_t n, std::int64_t k, bool even_stretches, const A& a,
              const B& b, const Store& store) {
  if constexpr (std::is_same_v<T, bf16>) {
    if (even_stretches && prefers_pairs()) return multiply_elements<Pair>(m, n, k, a, b, store);
  }
  multiply_elements<compute_t<T>>(m, n, k, a, b, store);
}
}  // namespace kernels::blocked
