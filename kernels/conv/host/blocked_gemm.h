// The host's own matrix product: one core for GEMM and for the three directions of a convolution.
//
//   C[i,j] = sum_k A(i,k) * B(j,k)
//
// Who computes what: C is cut into tiles of about 336 x 384, one task each. A task walks k in blocks of 192: it packs its
// rows of A and of B into panels that lie exactly as the inner kernel reads them, then the inner kernel keeps a patch of C
// of mr x nr in registers while it streams through a pair of panels (Goto & van de Geijn 2008).
// An operand is anything that can pack itself, so a convolution never writes its patch matrix to memory: it is packed
// straight from the image, block by block, in cache.
// Bytes moved: A is read n/384 times, B m/336 times; a packed value serves 179 multiply-adds on average. A tile, its sums
// and its two panels together fill a 1 MB L2 cache.
// Every element of C is summed in the order of k by one task, so the bits depend neither on threads nor on tile sizes.
#pragma once
#include <algorithm>

#include "kernels/conv/host/parallel_tasks.h"
#include "kernels/core/memory.h"

namespace kernels::blocked {

// The inner kernel of one instruction set: c[mr][nr] = sum_k a[k][mr] * b[k][nr], added to what c holds if asked to.
template <class C> struct MicroKernel {
  int mr, nr;
  void (*run)(int depth, const C* a /*[depth,mr]*/, const C* b /*[depth,nr]*/, C* c,
              std::int64_t pitch, bool add);
};
template <class C> const MicroKernel<C>& micro_kernel();  // the best that this machine has

inline constexpr int depth_max = 192,
                     side_max = 384;  // of a tile: values of k packed at a time, rows or columns

// An operand packs `count` of its rows, `depth` values each, into panels of `width` rows that lie `pitch` = width * depth apart:
//   dst[r / width * pitch + k * width + r % width] = element (first + r, k0 + k)
// The last panel's missing rows are left as they are; they must be finite, and no result depends on them.
// There are two ways to fill panels: from rows that are contiguous in k, which is a transpose; and from values contiguous in
// r, one pointer for each k, whose first lands at row `offset`.
template <class T, class C>
void pack_rows(const T* const* rows /*[count]*/, int count, int depth, int width,
               std::int64_t pitch, C* dst);
template <class T, class C>
void pack_columns(const T* const* columns /*[depth]*/, int offset, int count, int depth, int width,
                  std::int64_t pitch, C* dst);

// An operand stored as a matrix: element (row, k) lies at data[row * row_stride + k * k_stride]; one stride is 1.
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

// The largest sides up to 336 x 384 that still give every worker a few tiles.
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
    C* const panels_b =
        panels_a + static_cast<std::int64_t>(tile.m) * depth_max;  // [tile.n / nr][depth][nr]
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
