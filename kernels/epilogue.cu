// Sums over the rows of a matrix, in two stages. Which elements meet in which order is fixed by the shape alone.
//   stage 1  The matrix is read as if k rows were one ("wide row" of k*columns <= 256 values), so that a block's 256 threads always
//            read 256 neighbouring values, whether columns is 3 or 1024. Block (tile, g) adds the wide rows of piece g; then the k
//            partial sums of a column. On its way it can undo an activation: dx = dy * f'(y) is what it adds up, and stores.
//   stage 2  adds the pieces: 32 columns a block, eight threads a column; up to kMostTotals matrices in one launch.
// After an upscale y and dy lie as pixel_shuffle left them: the packed pixel (n,h,w) is r runs of r*C values, and run i belongs to row
// h*r+i. A thread keeps its channel from row to row, so its place moves by one run per pixel, and by r rows at the end of a line.
// Bytes: each array once; the partial sums (at most 1024 per column) stay in cache.
// Two-stage column sums: as in llm.c's bias gradient, https://github.com/karpathy/llm.c/tree/master/dev/cuda
#include "kernels/epilogue.h"

#include "kernels/conv/conv.h"
#include "kernels/partial_sums.h"

namespace kernels {
namespace {

constexpr int kThreads = kSumThreads;

struct ColumnPlan {
  std::int64_t rows, columns;
  int fold;  // rows in a wide row
  int width;  // values of a wide row that one block reads: fold*columns, or 256 where columns is larger
  std::int64_t piece;  // wide rows a block adds
  int tiles, pieces;

  ColumnPlan(std::int64_t rows_, std::int64_t columns_) : rows(rows_), columns(columns_) {
    fold = columns < kThreads ? static_cast<int>(kThreads / columns) : 1;
    width = columns < kThreads ? static_cast<int>(fold * columns) : kThreads;
    tiles = columns < kThreads ? 1 : static_cast<int>(ceil_div(columns, kThreads));
    const std::int64_t wide_rows = ceil_div(rows, fold);
    const std::int64_t wanted =
        ceil_div(1024, tiles);  // about 1024 blocks in all, of at least 16 wide rows
    piece = ceil_div(wide_rows, wanted) > 16 ? ceil_div(wide_rows, wanted) : 16;
    pieces = static_cast<int>(ceil_div(wide_rows, piece));
  }
};

// Where element (row, channel) of the packed matrix [N*H*W, r*r*C] lies in the shuffled picture, and how the place moves when the row
// grows by `fold`.
struct ShuffledPlaces {
  int w = 1;
  std::int64_t run = 1, line = 1;  // r*C values; one packed line, which is r rows of the picture
  int r = 1, columns_ahead = 0;    // fold = lines * w + columns_ahead
  std::int64_t ahead = 0;          // lines * line + columns_ahead * run

  ShuffledPlaces() = default;
  ShuffledPlaces(int w_, int c, int r_, int fold)
      : w(w_),
        run(static_cast<std::int64_t>(r_) * c),
        line(w_ * r_ * run),
        r(r_),
        columns_ahead(fold % w_) {
    ahead = fold / w * line + columns_ahead * run;
  }
  SIMT_DEVICE std::int64_t at(std::int64_t row, std::int64_t channel) const {
    const std::int64_t i = channel / run;
    return row / w * line + i * (line / r) + row % w * run + (channel - i * run);
  }
};

template <class T, Activation kActivation, bool kShuffled> struct ColumnPieces {
  static constexpr int kx = kThreads, ky = 1;
  ColumnPlan plan;
  ShuffledPlaces places;
  const T* x;  // [rows,columns]: what to add up, or dy
  const T* y;  // [rows,columns], what the activation gave
  T* dx;       // [rows,columns]
  compute_t<T> slope;
  compute_t<T>* partials;  // [pieces,columns]

  // What value `from` adds to its column, stored on the way.
  SIMT_DEVICE compute_t<T> one(std::int64_t from, std::int64_t to) const {
    using C = compute_t<T>;
    C v = load(x, from);
    if constexpr (kActivation == Activation::leaky_relu) v *= load(y, from) > C(0) ? C(1) : slope;
    if constexpr (kActivation == Activation::sigmoid)
      v = v * load(y, from) * (C(1) - load(y, from));
    if constexpr (kActivation != Activation::none) store(dx, to, v);
    return v;
  }

  template <class B> SIMT_DEVICE void operator()(B& b) const {
    using C = compute_t<T>;
    SIMT_BLOCK_SHARED(B, C, folded, [kThreads]);
    const std::int64_t tile = std::int64_t{b.block_x()} * kThreads,
                       pitch = plan.fold * plan.columns;
    const int tile_width = static_cast<int>(
        plan.columns - tile < plan.width && plan.fold == 1 ? plan.columns - tile : plan.width);
    const std::int64_t end = plan.rows * plan.columns, first = b.block_y() * plan.piece;
    const std::int64_t last = first + plan.piece;
    typename B::template Reg<C> total;
    typename B::template Reg<std::int64_t>
        place;  // where the thread reads, and its column there; of shuffled pictures only
    typename B::template Reg<int> column;
    b.each([&](int t, int) SIMT_LAMBDA { total[t] = C(0); });
    if constexpr (kShuffled) {
      b.each([&](int t, int) SIMT_LAMBDA {
        const std::int64_t element = first * pitch + tile + t, row = element / plan.columns;
        place[t] = places.at(row, element - row * plan.columns);
        column[t] = static_cast<int>(row % places.w);
      });
    }
    for (std::int64_t wide = first; wide < last; ++wide) {
      const std::int64_t base = wide * pitch + tile;
      if (base >= end) break;
      const int length = static_cast<int>(
          end - base < tile_width ? end - base : tile_width);  // the last wide row may be short
      if constexpr (kShuffled) {
        const int run = static_cast<int>(places.run);
        b.stretches(
            length, run - static_cast<int>(tile % run), run, [&](int t, int count) SIMT_LAMBDA {
              const std::int64_t from = place[t], to = base + t;
              SIMT_SIMD
              for (int k = 0; k < count; ++k) total[t + k] += one(from + k, to + k);
              const bool next_line = column[t] + places.columns_ahead >= places.w;
              column[t] += places.columns_ahead - (next_line ? places.w : 0);
              place[t] += places.ahead + (next_line ? places.line - places.line / places.r : 0);
            });
      } else {
        b.strided(length, [&](int t, int i) SIMT_LAMBDA { total[t] += one(base + i, base + i); });
      }
    }
    b.phase([&](int t, int) SIMT_LAMBDA { folded[t] = total[t]; });
    const int sums = plan.fold == 1 ? tile_width : static_cast<int>(plan.columns);
    b.for_each(sums, [&](int c) SIMT_LAMBDA {
      C sum = folded[c];
      for (int k = 1; k < plan.fold; ++k) sum += folded[k * sums + c];
      partials[b.block_y() * plan.columns + tile + c] = sum;
    });
  }
};

constexpr int kMostTotals = 32;

template <class T> struct Totals {  // of one matrix
  const compute_t<T>* partials;     // [pieces,columns]
  T* out;                           // [columns]
  std::int64_t columns;
  int pieces, first_block;
};

template <class T> struct ColumnTotals {
  static constexpr int kx = 32, ky = 8;
  Totals<T> all[kMostTotals];
  int count;
  template <class B> SIMT_DEVICE void operator()(B& b) const {
    using C = compute_t<T>;
    SIMT_BLOCK_SHARED(B, C, shares, [8][32]);
    int mine = 0;
    while (mine + 1 < count && all[mine + 1].first_block <= b.block_x()) ++mine;
    const Totals<T>& matrix = all[mine];
    const std::int64_t first = std::int64_t{b.block_x() - matrix.first_block} * 32;
    b.phase([&](int tx, int ty) SIMT_LAMBDA {
      const std::int64_t c = first + tx;
      C sum = 0;
      if (c < matrix.columns)
        for (int p = ty; p < matrix.pieces; p += 8) sum += matrix.partials[p * matrix.columns + c];
      shares[ty][tx] = sum;
    });
    b.each([&](int tx, int ty) SIMT_LAMBDA {
      const std::int64_t c = first + tx;
      if (ty != 0 || c >= matrix.columns) return;
      C sum = 0;
      for (int k = 0; k < 8; ++k) sum += shares[k][tx];
      store(matrix.out, c, sum);
    });
  }
};

template <class T> void finish_of_type(Stream& stream, const PendingSums& pending) {
  ColumnTotals<T> kernel{};
  int blocks = 0;
  const auto launch = [&] {
    if (blocks > 0) simt::launch_block(stream, dim3(static_cast<unsigned>(blocks)), kernel);
    kernel.count = blocks = 0;
  };
  for (const PendingSum& sum : pending) {
    if (sum.type != typeid(T)) continue;
    if (kernel.count == kMostTotals) launch();
    kernel.all[kernel.count++] = {sum.partials.as<compute_t<T>>(), static_cast<T*>(sum.out),
                                  sum.columns, sum.pieces, blocks};
    blocks += static_cast<int>(ceil_div(sum.columns, 32));
  }
  launch();
}

template <class T, Activation kActivation, bool kShuffled>
void column_sums(Stream& stream, const T* x, const T* y, T* dx, T* out, std::int64_t rows,
                 std::int64_t columns, float slope, const ShuffledPlaces& places,
                 PendingSums* later) {
  using C = compute_t<T>;
  if (columns <= 0) return;
  const ColumnPlan plan(rows, columns);
  PendingSums now;
  PendingSums& pending = later ? *later : now;
  pending.push_back(
      {typeid(T),
       Buffer(stream.device(), static_cast<std::size_t>(plan.pieces * columns) * sizeof(C)), out,
       columns, plan.pieces});
  if (plan.pieces > 0)
    simt::launch_block(
        stream, dim3(static_cast<unsigned>(plan.tiles), static_cast<unsigned>(plan.pieces)),
        ColumnPieces<T, kActivation, kShuffled>{plan, places, x, y, dx, static_cast<C>(slope),
                                                pending.back().partials.template as<C>()});
  if (!later) finish_of_type<T>(stream, now);
}

}  // namespace

template <class D, class T>
void sum_columns(Stream& stream, const T* x, T* out, std::int64_t rows, std::int64_t columns,
                 PendingSums* later) {
  column_sums<T, Activation::none, false>(stream, x, nullptr, nullptr, out, rows, columns, 0.f, {},
                                          later);
}

template <class D, class T>
void bias_leaky_relu_backward(Stream& stream, const T* y, const T* dy, T* dx, T* dbias,
                              std::int64_t rows, std::int64_t columns, float slope,
                              PendingSums* later) {
  column_sums<T, Activation::leaky_relu, false>(stream, dy, y, dx, dbias, rows, columns, slope, {},
                                                later);
}

template <class D, class T>
void bias_sigmoid_backward(Stream& stream, const T* y, const T* dy, T* dx, T* dbias,
                           std::int64_t rows, std::int64_t columns, PendingSums* later) {
  column_sums<T, Activation::sigmoid, false>(stream, dy, y, dx, dbias, rows, columns, 0.f, {},
                                             later);
}

template <class D, class T>
void bias_leaky_relu_shuffle_backward(Stream& stream, const T* y, const T* dy, T* dx, T* dbias,
                                      std::int64_t n, int h, int w, int c, int r, float slope,
                                      PendingSums* later) {
  const std::int64_t rows = n * h * w, columns = static_cast<std::int64_t>(r) * r * c;
  const ShuffledPlaces places = rows * columns > 0
                                    ? ShuffledPlaces(w, c, r, ColumnPlan(rows, columns).fold)
                                    : ShuffledPlaces();
  column_sums<T, Activation::leaky_relu, true>(stream, dy, y, dx, dbias, rows, columns, slope,
                                               places, later);
}

template <class D> void finish_column_sums(Stream& stream, PendingSums& pending) {
  finish_of_type<float>(stream, pending);
  finish_of_type<bf16>(stream, pending);
  finish_of_type<f16>(stream, pending);
#if !SIMT_CUDA
  finish_of_type<double>(stream, pending);
#endif
  pending.clear();
}

using simt::ThisDevice;
#define KERNELS_INSTANTIATE(T)                                                                  \
  template void sum_columns<ThisDevice, T>(Stream&, const T*, T*, std::int64_t, std::int64_t,   \
                                           PendingSums*);                                       \
  template void bias_leaky_relu_backward<ThisDevice, T>(                                        \
      Stream&, const T*, const T*, T*, T*, std::int64_t, std::int64_t, float, PendingSums*);    \
  template void bias_sigmoid_backward<ThisDevice, T>(Stream&, const T*, const T*, T*, T*,       \
                                                     std::int64_t, std::int64_t, PendingSums*); \
  template void bias_leaky_relu_shuffle_backward<ThisDevice, T>(                                \
      Stream&, const T*, const T*, T*, T*, std::int64_t, int, int, int, int, float, PendingSums*);
KERNELS_INSTANTIATE(float)
KERNELS_INSTANTIATE(bf16)
KERNELS_INSTANTIATE(f16)
#if !SIMT_CUDA
KERNELS_INSTANTIATE(double)
#endif
template void finish_column_sums<ThisDevice>(Stream&, PendingSums&);

}  // namespace kernels
