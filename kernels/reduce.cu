// Sums over arrays and over the rows of a matrix. Deterministic: which elements meet in which order is fixed by the shape alone,
// never by the number of threads, and there are no floating-point atomics.
//   sum, gradient_norm   block g adds piece g of the array: 256 running sums, then a tree; one last block adds the pieces' sums.
//   sum_columns          The matrix is read as if k rows were one ("wide row" of k*columns <= 256 values), so that a block's
//                        256 threads always read 256 neighbouring values, whether columns is 3 or 1024. Block (tile, g) adds the
//                        wide rows of piece g; then the k partial sums of a column; a second kernel adds the pieces.
//   bias_leaky_relu_backward   is sum_columns that also writes dx on its way: y, dy read once, dx written once.
// Bytes: each array once; the partial sums (at most 1024 per column) stay in cache.
// Two-stage column sums: as in llm.c's bias gradient, https://github.com/karpathy/llm.c/tree/master/dev/cuda
#include "kernels/reduce.h"

#include <cmath>

#include "kernels/partial_sums.h"

namespace kernels {
namespace {

constexpr int kThreads = kSumThreads;

// ---- sums over an array

template <class T, bool kSquares> struct SumPieces {
  static constexpr int kx = kThreads, ky = 1;
  const T* x;              // [n]
  compute_t<T>* partials;  // [pieces]
  Pieces pieces;
  template <class B> SIMT_DEVICE void operator()(B& b) const {
    using C = compute_t<T>;
    const std::int64_t first = b.block_x() * pieces.length;
    const int length = pieces.size(first);
    const T* const from = x + first;
    typename B::template Reg<C> total;
    b.threads_last([&](int t, int) SIMT_LAMBDA { total[t] = C(0); });
    // One round of the block at a time: in a single strided loop gcc interleaves two rounds, and the two short streams defeat
    // the memory prefetcher (8 GB/s where this gives 16).
    for (int round = 0; round < length; round += kThreads) {
      b.strided(length - round < kThreads ? length - round : kThreads, [&](int t, int i) SIMT_LAMBDA {
        const C v = load(from, round + i);
        total[t] += kSquares ? v * v : v;
      });
    }
    const C sum = b.sum(total);
    b.threads_last([&](int t, int) SIMT_LAMBDA { if (t == 0) partials[b.block_x()] = sum; });
  }
};

// A sum of squares is finite exactly where every term is (terms are not negative, so nothing cancels); a norm too large
// for a float counts as not finite as well.
template <class C> struct FinishNorm {
  StepState* state;
  float max_norm;
  SIMT_DEVICE void operator()(C sum) const {
    const float scaled = static_cast<float>(std::sqrt(sum)), norm = scaled / state->loss_scale;
    const bool finite = norm <= 3.402823466e38f;
    state->gradient_norm = norm;
    state->clip_factor = finite && max_norm > 0.f && norm > max_norm ? max_norm / scaled : 1.f / state->loss_scale;
    if (!finite) state->finite = 0;
  }
};

template <class T, bool kSquares, class Finish> void sum_array(Stream& stream, const T* x, std::int64_t n, const Finish& finish) {
  using C = compute_t<T>;
  const Pieces pieces(n);
  const Buffer partials(stream.device(), static_cast<std::size_t>(pieces.count) * sizeof(C));
  if (pieces.count > 0) simt::launch_block(stream, dim3(static_cast<unsigned>(pieces.count)), SumPieces<T, kSquares>{x, partials.as<C>(), pieces});
  sum_partials(stream, partials.as<C>(), pieces.count, finish);
}

// ---- sums over the rows of a matrix

struct ColumnPlan {
  std::int64_t rows, columns;
  int fold;            // rows in a wide row
  int width;           // values of a wide row that one block reads: fold*columns, or 256 where columns is larger
  std::int64_t piece;  // wide rows a block adds
  int tiles, pieces;

  ColumnPlan(std::int64_t rows_, std::int64_t columns_) : rows(rows_), columns(columns_) {
    fold = columns < kThreads ? static_cast<int>(kThreads / columns) : 1;
    width = columns < kThreads ? static_cast<int>(fold * columns) : kThreads;
    tiles = columns < kThreads ? 1 : static_cast<int>(ceil_div(columns, kThreads));
    const std::int64_t wide_rows = ceil_div(rows, fold);
    const std::int64_t wanted = ceil_div(1024, tiles);         // about 1024 blocks in all, of at least 16 wide rows
    piece = ceil_div(wide_rows, wanted) > 16 ? ceil_div(wide_rows, wanted) : 16;
    pieces = static_cast<int>(ceil_div(wide_rows, piece));
  }
};

template <class T, bool kLeakyRelu> struct ColumnPieces {
  static constexpr int kx = kThreads, ky = 1;
  ColumnPlan plan;
  const T* x;              // [rows,columns]: what to add up, or dy
  const T* y;              // [rows,columns], of the LeakyReLU
  T* dx;                   // [rows,columns]
  compute_t<T> slope;
  compute_t<T>* partials;  // [pieces,columns]

  template <class B> SIMT_DEVICE void operator()(B& b) const {
    using C = compute_t<T>;
    SIMT_BLOCK_SHARED(B, C, folded, [kThreads]);
    const std::int64_t tile = std::int64_t{b.block_x()} * kThreads, pitch = plan.fold * plan.columns;
    const int tile_width = static_cast<int>(plan.columns - tile < plan.width && plan.fold == 1 ? plan.columns - tile : plan.width);
    const std::int64_t end = plan.rows * plan.columns, first = b.block_y() * plan.piece;
    const std::int64_t last = first + plan.piece;
    typename B::template Reg<C> total;
    b.threads_last([&](int t, int) SIMT_LAMBDA { total[t] = C(0); });
    for (std::int64_t wide = first; wide < last; ++wide) {
      const std::int64_t base = wide * pitch + tile;
      if (base >= end) break;
      const int length = static_cast<int>(end - base < tile_width ? end - base : tile_width);  // the last wide row may be short
      b.strided(length, [&](int t, int i) SIMT_LAMBDA {
        C v = load(x, base + i);
        if constexpr (kLeakyRelu) {
          v *= load(y, base + i) > C(0) ? C(1) : slope;
          store(dx, base + i, v);
        }
        total[t] += v;
      });
    }
    b.threads([&](int t, int) SIMT_LAMBDA { folded[t] = total[t]; });
    const int sums = plan.fold == 1 ? tile_width : static_cast<int>(plan.columns);
    b.for_each(sums, [&](int c) SIMT_LAMBDA {
      C sum = folded[c];
      for (int k = 1; k < plan.fold; ++k) sum += folded[k * sums + c];
      partials[b.block_y() * plan.columns + tile + c] = sum;
    });
  }
};

// 32 columns a block; 8 threads share a column's pieces.
template <class T> struct ColumnTotals {
  static constexpr int kx = 32, ky = 8;
  const compute_t<T>* partials;  // [pieces,columns]
  T* out;                        // [columns]
  std::int64_t columns;
  int pieces;
  template <class B> SIMT_DEVICE void operator()(B& b) const {
    using C = compute_t<T>;
    SIMT_BLOCK_SHARED(B, C, shares, [8][32]);
    b.threads([&](int tx, int ty) SIMT_LAMBDA {
      const std::int64_t c = std::int64_t{b.block_x()} * 32 + tx;
      C sum = 0;
      if (c < columns)
        for (int p = ty; p < pieces; p += 8) sum += partials[p * columns + c];
      shares[ty][tx] = sum;
    });
    b.threads_last([&](int tx, int ty) SIMT_LAMBDA {
      const std::int64_t c = std::int64_t{b.block_x()} * 32 + tx;
      if (ty != 0 || c >= columns) return;
      C sum = 0;
      for (int k = 0; k < 8; ++k) sum += shares[k][tx];
      store(out, c, sum);
    });
  }
};

template <class T, bool kLeakyRelu>
void column_sums(Stream& stream, const T* x, const T* y, T* dx, T* out, std::int64_t rows, std::int64_t columns, float slope) {
  using C = compute_t<T>;
  if (columns <= 0) return;
  const ColumnPlan plan(rows, columns);
  const Buffer partials(stream.device(), static_cast<std::size_t>(plan.pieces * columns) * sizeof(C));
  if (plan.pieces > 0)
    simt::launch_block(stream, dim3(static_cast<unsigned>(plan.tiles), static_cast<unsigned>(plan.pieces)),
                       ColumnPieces<T, kLeakyRelu>{plan, x, y, dx, static_cast<C>(slope), partials.as<C>()});
  simt::launch_block(stream, dim3(static_cast<unsigned>(ceil_div(columns, 32))), ColumnTotals<T>{partials.as<C>(), out, columns, plan.pieces});
}

}  // namespace

template <class D, class T> void sum(Stream& stream, const T* x, compute_t<T>* out, std::int64_t n) {
  sum_array<T, false>(stream, x, n, StoreTotal<compute_t<T>>{out, 1});
}

template <class D, class T> void sum_columns(Stream& stream, const T* x, T* out, std::int64_t rows, std::int64_t columns) {
  column_sums<T, false>(stream, x, nullptr, nullptr, out, rows, columns, 0.f);
}

template <class D, class T>
void bias_leaky_relu_backward(Stream& stream, const T* y, const T* dy, T* dx, T* dbias, std::int64_t rows, std::int64_t columns, float slope) {
  column_sums<T, true>(stream, dy, y, dx, dbias, rows, columns, slope);
}

template <class D, class T> void gradient_norm(Stream& stream, const T* gradients, std::int64_t n, float max_norm, StepState* state) {
  sum_array<T, true>(stream, gradients, n, FinishNorm<compute_t<T>>{state, max_norm});
}

using simt::ThisDevice;
#define KERNELS_INSTANTIATE(T)                                                                                                  \
  template void sum<ThisDevice, T>(Stream&, const T*, compute_t<T>*, std::int64_t);                                            \
  template void sum_columns<ThisDevice, T>(Stream&, const T*, T*, std::int64_t, std::int64_t);                                 \
  template void bias_leaky_relu_backward<ThisDevice, T>(Stream&, const T*, const T*, T*, T*, std::int64_t, std::int64_t, float); \
  template void gradient_norm<ThisDevice, T>(Stream&, const T*, std::int64_t, float, StepState*);
KERNELS_INSTANTIATE(float)
KERNELS_INSTANTIATE(bf16)
KERNELS_INSTANTIATE(f16)
#if !SIMT_CUDA
KERNELS_INSTANTIATE(double)
#endif

}  // namespace kernels
