// The host's blocked matrix product, for GEMM and the three passes of a convolution.
//
// Computes: C[i,j] = sum_k A(i,k) * B(j,k). An operand packs itself, so a convolution
//   packs patches straight from the image and never stores its patch matrix.
// Parallel: one task per tile of C of about 336 x 384. A task walks k in blocks of 192:
//   it packs its rows of A and B into panels in the inner kernel's order, then the
//   inner kernel keeps mr x nr sums in registers along a pair of panels. Each sum is
//   added in the order of k by one task, so the bits depend neither on threads nor on
//   tile sizes.
// Bytes: A is read n/384 times, B m/336 times; a packed value serves 179 multiply-adds
//   on average. A tile and its two panels fill a 1 MB L2 cache.
// Source: Goto & van de Geijn 2008, Anatomy of High-Performance Matrix Multiplication.
#pragma once
#include <algorithm>

#include "kernels/conv/gemm.h"
#include "kernels/conv/host/parallel_tasks.h"
#include "kernels/core/memory.h"

namespace kernels::blocked {

// As kernels::gemm(), for every type.
template <class T>
void gemm(Transpose transpose_a, Transpose transpose_b,    //
          std::int64_t m, std::int64_t n, std::int64_t k,  //
          float alpha, const T* a, const T* b, float beta, T* c);

// The inner kernel of one instruction set: c[i][j] (+)= sum_k a[k][i] * b[k][j].
template <class C> struct MicroKernel {
  int mr, nr;
  void (*run)(int depth,
              const C* a,  // [depth,mr]
              const C* b,  // [depth,nr]
              C* c,        // [mr,nr], rows `pitch` apart
              std::int64_t pitch, bool add);
};
template <class C> const MicroKernel<C>& micro_kernel();  // the best for this CPU

inline constexpr int depth_max = 192;  // values of k packed at a time
inline constexpr int side_max = 384;   // rows or columns of a tile

// An operand packs `count` of its rows, `depth` values each, into panels of `width`
// rows that lie `pitch` = width * depth apart:
//   dst[r / width * pitch + k * width + r % width] = element (first + r, k0 + k)
// The last panel's missing rows keep their values, which must be finite; no result uses
// them. pack_rows takes rows contiguous in k (a transpose). pack_columns takes values
// contiguous in r, one pointer per k; the first value lands at row `offset`.
template <class T, class C>
void pack_rows(const T* const* rows,  // [count], each of [depth]
               int count, int depth, int width, std::int64_t pitch, C* dst);
template <class T, class C>
void pack_columns(const T* const* columns,  // [depth], each of [count]
                  int offset, int count, int depth, int width, std::int64_t pitch, C* dst);

// A stored matrix as operand: element (row, k) is data[row * row_stride + k *
// k_stride]. One of the strides must be 1.
template <class T> struct Matrix {
  const T* data;
  std::int64_t row_stride, k_stride;

  template <class C>
  void pack(std::int64_t first, int count, std::int64_t k0, int depth, int width, C* dst) const {
    const T* const source = data + first * row_stride + k0 * k_stride;
    const T* lines[std::max(depth_max, side_max)];
    if (k_stride == 1) {
      for (int r = 0; r < count; ++r) lines[r] = source + r * row_stride;
      pack_rows(lines, count, depth, width, static_cast<std::int64_t>(width) * depth, dst);
    } else {
      for (int k = 0; k < depth; ++k) lines[k] = source + k * k_stride;
      pack_columns(lines, 0, count, depth, width, static_cast<std::int64_t>(width) * depth, dst);
    }
  }
};

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

// store(i, j, values, count) receives finished sums C[i, j .. j + count).
template <class C, class A, class B, class Store>
void multiply(std::int64_t m, std::int64_t n, std::int64_t k, const A& a, const B& b,
              const Store& store) {
  const MicroKernel<C>& micro = micro_kernel<C>();
  const int mr = micro.mr, nr = micro.nr;
  const Tile tile = tile_for(m, n, mr, nr, simt::worker_count());
  const std::int64_t tiles_m = (m + tile.m - 1) / tile.m, tiles_n = (n + tile.n - 1) / tile.n;

  parallel_tasks(tiles_m * tiles_n, [&](std::int64_t task) {
    const std::int64_t i0 = task % tiles_m * tile.m, j0 = task / tiles_m * tile.n;
    const int rows = static_cast<int>(std::min<std::int64_t>(tile.m, m - i0)),
              columns = static_cast<int>(std::min<std::int64_t>(tile.n, n - j0));
    const std::int64_t tile_size = static_cast<std::int64_t>(tile.m) * tile.n,
                       panel_size = static_cast<std::int64_t>(tile.m + tile.n) * depth_max;
    const Buffer scratch(Device::host,
                         sizeof(C) * static_cast<std::size_t>(tile_size + panel_size));
    C* const sums = scratch.as<C>();       // [tile.m, tile.n]
    C* const panels_a = sums + tile_size;  // [tile.m / mr][depth][mr]
    // [tile.n / nr][depth][nr]
    C* const panels_b = panels_a + static_cast<std::int64_t>(tile.m) * depth_max;
    if (k == 0 || rows % mr != 0 || columns % nr != 0)
      std::fill_n(sums, tile_size + panel_size, C(0));
    for (std::int64_t k0 = 0; k0 < k; k0 += depth_max) {
      const int depth = static_cast<int>(std::min<std::int64_t>(depth_max, k - k0));
      a.pack(i0, rows, k0, depth, mr, panels_a);
      b.pack(j0, columns, k0, depth, nr, panels_b);
      for (int c = 0; c < columns; c += nr) {
        for (int r = 0; r < rows; r += mr)
          micro.run(depth, panels_a + r * depth, panels_b + c * depth,
                    sums + static_cast<std::int64_t>(r) * tile.n + c, tile.n, k0 > 0);
      }
    }
    for (int r = 0; r < rows; ++r)
      store(i0 + r, j0, sums + static_cast<std::int64_t>(r) * tile.n, columns);
  });
}
}  // namespace kernels::blocked
