// The host's own matrix product, one core for GEMM and for all three directions of a convolution.
//
//   C[i,j] = sum_k A(i,k) * B(j,k)
//
// Who computes what: C is cut into tiles of about 112 x 256, one task each. A task walks k in blocks of 256: it packs its
// rows of A and its columns of B into panels that lie exactly as the inner kernel reads them, then the inner kernel keeps an
// mr x nr patch of C in registers while it streams through a panel pair (Goto & van de Geijn 2008; BLIS).
// An operand is anything that can pack itself, so a convolution never writes its patch matrix to memory: it is packed
// straight from the image, one block at a time, in cache.
// Bytes moved: each operand is read once per tile of the other: n/256 times A, m/112 times B.
// Every element of C is summed in the order of k by one task, so the bits depend neither on threads nor on tile sizes.
#pragma once
#include <algorithm>
#include <cstring>

#include "kernels/host_tasks.h"
#include "kernels/memory.h"

namespace kernels::blocked {

// The inner kernel of one instruction set: c[mr][nr] += sum_k a[k][mr] * b[k][nr].
template <class C> struct MicroKernel {
  int mr, nr;
  void (*run)(int depth, const C* a /*[depth,mr]*/, const C* b /*[depth,nr]*/, C* c, std::int64_t pitch);
};
template <class C> const MicroKernel<C>& micro_kernel();  // the best this machine has

// An operand stored as a matrix: element (row, k) lies at data[row * row_stride + k * k_stride].
template <class T> struct Matrix {
  const T* data;
  std::int64_t row_stride, k_stride;

  // dst[k * width + r] = element (first + r, k0 + k); zero where r >= count.
  template <class C> void pack(std::int64_t first, int count, std::int64_t k0, int depth, int width, C* dst) const {
    const T* source = data + first * row_stride + k0 * k_stride;
    if (count < width) std::fill_n(dst, static_cast<std::int64_t>(depth) * width, C(0));
    if (k_stride == 1) {  // rows are contiguous: walk each row
      for (int r = 0; r < count; ++r) {
        for (int k = 0; k < depth; ++k) dst[k * width + r] = C(source[r * row_stride + k]);
      }
    } else {
      for (int k = 0; k < depth; ++k) {
        for (int r = 0; r < count; ++r) dst[k * width + r] = C(source[k * k_stride + r * row_stride]);
      }
    }
  }
};

// store(i, j, values, count) receives finished sums C[i, j .. j + count).
template <class C, class A, class B, class Store>
void multiply(std::int64_t m, std::int64_t n, std::int64_t k, const A& a, const B& b, const Store& store) {
  const MicroKernel<C>& micro = micro_kernel<C>();
  const int mr = micro.mr, nr = micro.nr;
  constexpr int depth_max = 256;
  const auto tile_side = [](int panel, int target, std::int64_t size) {
    return static_cast<int>(std::min<std::int64_t>(target / panel, (size + panel - 1) / panel)) * panel;
  };
  const int tile_m = std::max(mr, tile_side(mr, 112, m)), tile_n = std::max(nr, tile_side(nr, 256, n));
  const std::int64_t tiles_m = (m + tile_m - 1) / tile_m, tiles_n = (n + tile_n - 1) / tile_n;

  parallel_tasks(tiles_m * tiles_n, [&](std::int64_t task) {
    const std::int64_t i0 = task % tiles_m * tile_m, j0 = task / tiles_m * tile_n;
    const int rows = static_cast<int>(std::min<std::int64_t>(tile_m, m - i0)), columns = static_cast<int>(std::min<std::int64_t>(tile_n, n - j0));
    const Buffer scratch(Device::host, sizeof(C) * (static_cast<std::size_t>(tile_m) * tile_n + static_cast<std::size_t>(tile_m + tile_n) * depth_max));
    C* const tile = scratch.as<C>();                                     // [tile_m, tile_n]
    C* const panels_a = tile + static_cast<std::int64_t>(tile_m) * tile_n;  // [tile_m / mr][depth][mr]
    C* const panels_b = panels_a + tile_m * depth_max;                   // [tile_n / nr][depth][nr]
    std::fill_n(tile, static_cast<std::int64_t>(tile_m) * tile_n, C(0));
    for (std::int64_t k0 = 0; k0 < k; k0 += depth_max) {
      const int depth = static_cast<int>(std::min<std::int64_t>(depth_max, k - k0));
      for (int r = 0; r < rows; r += mr) a.pack(i0 + r, std::min(mr, rows - r), k0, depth, mr, panels_a + r * depth);
      for (int c = 0; c < columns; c += nr) b.pack(j0 + c, std::min(nr, columns - c), k0, depth, nr, panels_b + c * depth);
      for (int c = 0; c < columns; c += nr) {
        for (int r = 0; r < rows; r += mr) micro.run(depth, panels_a + r * depth, panels_b + c * depth, tile + r * tile_n + c, tile_n);
      }
    }
    for (int r = 0; r < rows; ++r) store(i0 + r, j0, tile + r * tile_n, columns);
  });
}

template <class T>
void gemm(bool transpose_a, bool transpose_b, std::int64_t m, std::int64_t n, std::int64_t k, float alpha, const T* a, const T* b, float beta, T* c);

}  // namespace kernels::blocked
