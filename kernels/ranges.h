// Loops for range kernels. On the GPU a thread takes items a whole grid apart, so
// neighbours touch neighbouring addresses; a host worker takes one contiguous piece.
// The difference is kept here: the host's inner loop is a counted loop that the
// compiler turns into SIMD. The GPU's loop is not unrolled: its step is the grid, so the
// number of rounds would cost each thread a division.
#pragma once
#include "kernels/core/types.h"
#include "kernels/simt/simt.h"

namespace kernels {
inline namespace SIMT_BACKEND {  // one copy for the host, one for the GPU

// f(i) for this thread's share of [0, n).
template <class F> SIMT_DEVICE void for_elements(std::int64_t n, F&& f) {
#if SIMT_CUDA
  SIMT_NO_UNROLL
  for (const std::int64_t i : simt::grid_range(n)) f(i);
#else
  const auto range = simt::grid_range(n);
  const std::int64_t last = *range.end();
  SIMT_SIMD
  for (std::int64_t i = *range.begin(); i < last; ++i) f(i);
#endif
}

// f(row, column) for this thread's share of a row-major [rows, columns] matrix; launch
// it over rows * columns items. The host divides once per row, the GPU once per
// element: in 32 bits if they suffice, since a 64-bit division costs 70 instructions.
template <class F> SIMT_DEVICE void for_rows(std::int64_t rows, std::int64_t columns, F&& f) {
#if SIMT_CUDA
  const std::int64_t n = rows * columns;
  if (n <= 0xffffffffll) {
    const std::uint32_t divisor = static_cast<std::uint32_t>(columns);
    SIMT_NO_UNROLL
    for (const std::int64_t i : simt::grid_range(n)) {
      const std::uint32_t row = static_cast<std::uint32_t>(i) / divisor;
      f(static_cast<std::int64_t>(row),
        static_cast<std::int64_t>(static_cast<std::uint32_t>(i) - row * divisor));
    }
  } else {
    SIMT_NO_UNROLL
    for (const std::int64_t i : simt::grid_range(n)) f(i / columns, i % columns);
  }
#else
  const auto range = simt::grid_range(rows * columns);
  const std::int64_t last = *range.end();
  for (std::int64_t i = *range.begin(); i < last;) {
    const std::int64_t row = i / columns, first_column = i - row * columns;
    const std::int64_t end_column =
        first_column + (last - i) < columns ? first_column + (last - i) : columns;
    SIMT_SIMD
    for (std::int64_t column = first_column; column < end_column; ++column) f(row, column);
    i += end_column - first_column;
  }
#endif
}

// f(row, first, count): the same in runs of up to kRun columns of a row, for kernels
// that gather first and compute afterwards. A run fills a SIMD loop on the host and is
// one element in registers on the GPU.
constexpr int kRun = SIMT_CUDA ? 1 : 64;
template <class F> SIMT_DEVICE void for_runs(std::int64_t rows, std::int64_t columns, F&& f) {
#if SIMT_CUDA
  for_rows(rows, columns,
           [&](std::int64_t row, std::int64_t column) SIMT_LAMBDA { f(row, column, 1); });
#else
  const auto range = simt::grid_range(rows * columns);
  std::int64_t i = *range.begin(), last = *range.end();
  if (i >= last) return;
  for (std::int64_t row = i / columns, first = i - row * columns; i < last;) {
    const std::int64_t left = columns - first < last - i ? columns - first : last - i;
    const int count = static_cast<int>(left < kRun ? left : kRun);
    f(row, first, count);
    i += count, first += count;
    if (first == columns) ++row, first = 0;
  }
#endif
}

// Storage type to arithmetic type and back.
template <class T> SIMT_DEVICE compute_t<T> load(const T* x, std::int64_t i) {
  return static_cast<compute_t<T>>(x[i]);
}
template <class T> SIMT_DEVICE void store(T* x, std::int64_t i, compute_t<T> value) {
  x[i] = static_cast<T>(value);
}

// a / b: on the GPU by its reciprocal, which is off by two units in the last place and
// spares the branch for numbers near the smallest. For |b| above 2^126 it is 0.
template <class C> SIMT_DEVICE C quotient(C a, C b) {
#if SIMT_CUDA
  return __fdividef(a, b);
#else
  return a / b;
#endif
}
}  // namespace SIMT_BACKEND
}  // namespace kernels
