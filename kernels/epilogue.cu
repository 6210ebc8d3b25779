// Computes: dz = dy * f'(y), undoing a pixel shuffle, and dbias[c] = sum over rows of
//   dz[row, c], rows = N*H*W, in one sweep: of LeakyReLU always, of sigmoid unless
//   shuffled. Only the shape fixes which values meet in which order.
// Parallel: stage 1 reads the matrix in wide rows: k rows as one of k*columns <= 256
//   values, so the 256 threads of a block read neighbours whether columns is 3 or 1024.
//   Block (tile, g) adds the wide rows of piece g, then the k sums of each column.
//   Stage 2 adds the pieces: 32 columns a block, eight threads a column, up to
//   kMostTotals matrices in one launch.
// Bytes: y, dy and dz once; the partial sums, at most 1024 a column, stay in cache.
// Source: two-stage column sums as in llm.c's bias gradient,
//   https://github.com/karpathy/llm.c/tree/master/dev/cuda
#include "kernels/epilogue.h"

#include "kernels/elementwise.h"
#include "kernels/layout.h"
#include "kernels/partial_sums.h"
#include "kernels/simt/instantiate.h"

namespace kernels {
namespace {

constexpr int kThreads = kSumThreads;

struct ColumnPlan {
  std::int64_t rows, columns;
  int fold;            // rows in a wide row
  int width;           // values of a wide row read by one block: fold*columns, at most 256
  std::int64_t piece;  // wide rows added by one block
  int tiles, pieces;

  ColumnPlan(std::int64_t rows_, std::int64_t columns_) : rows(rows_), columns(columns_) {
    fold = columns < kThreads ? static_cast<int>(kThreads / columns) : 1;
    width = columns < kThreads ? static_cast<int>(fold * columns) : kThreads;
    tiles = columns < kThreads ? 1 : static_cast<int>(ceil_div(columns, kThreads));
    const std::int64_t wide_rows = ceil_div(rows, fold);
    // About 1024 blocks in all, of at least 16 wide rows each.
    const std::int64_t wanted = ceil_div(1024, tiles);
    piece = ceil_div(wide_rows, wanted) > 16 ? ceil_div(wide_rows, wanted) : 16;
    pieces = static_cast<int>(ceil_div(wide_rows, piece));
  }
};

// Places in the shuffled picture of the elements of the packed matrix [N*H*W, r*r*C].
// Packed pixel (n,h,w) is r runs of r*C values; run i lies in picture row h*r+i. A
// thread keeps its channel from row to row, so its place moves by one run a pixel, and
// by r picture rows a line.
struct ShuffledPlaces {
  int w, r;
  std::int64_t run, line;  // values of a run; of a packed line, which is r picture rows
  int columns_ahead;       // fold = lines * w + columns_ahead
  std::int64_t ahead;      // lines * line + columns_ahead * run

  ShuffledPlaces(const EpilogueShape& s, int fold)
      : w(s.w),
        r(s.r),
        run(std::int64_t{s.r} * s.c),
        line(s.w * s.r * run),
        columns_ahead(fold % s.w),
        ahead(fold / s.w * line + columns_ahead * run) {}
  SIMT_DEVICE std::int64_t at(std::int64_t row, std::int64_t channel) const {
    const std::int64_t i = channel / run;
    return row / w * line + i * (line / r) + row % w * run + (channel - i * run);
  }
};

template <class T, Activation kActivation, bool kShuffled> struct ColumnPieces {
  static constexpr int kx = kThreads, ky = 1;
  ColumnPlan plan;
  ShuffledPlaces places;
  const T* y;   // [N,H*r,W*r,C], null without an activation
  const T* dy;  // [N,H*r,W*r,C]
  T* dz;        // [rows,columns]
  compute_t<T> slope;
  compute_t<T>* partials;  // [pieces,columns]

  // Returns the share of dy[from] in its column's sum, and stores it as dz[to].
  SIMT_DEVICE compute_t<T> one(std::int64_t from, std::int64_t to) const {
    using C = compute_t<T>;
    C v = load(dy, from);
    if constexpr (kActivation == Activation::leaky_relu) v *= load(y, from) > C(0) ? C(1) : slope;
    if constexpr (kActivation == Activation::sigmoid)
      v = v * load(y, from) * (C(1) - load(y, from));
    if constexpr (kActivation != Activation::none) store(dz, to, v);
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
    simt::Reg<B, C> total{};
    // The thread's place in a shuffled picture and its column there.
    simt::Reg<B, std::int64_t> place;
    simt::Reg<B, int> column;
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
      // The last wide row may be short.
      const int length = static_cast<int>(end - base < tile_width ? end - base : tile_width);
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
void sweep(Stream& stream, float slope, const EpilogueShape& shape, const T* y, const T* dy, T* dz,
           T* dbias, PendingSums* later) {
  using C = compute_t<T>;
  const std::int64_t columns = shape.columns();
  if (columns <= 0) return;
  const ColumnPlan plan(shape.rows(), columns);
  PendingSums now;
  PendingSums& pending = later != nullptr ? *later : now;
  const auto bytes = static_cast<std::size_t>(plan.pieces * columns) * sizeof(C);
  pending.push_back({typeid(T), Buffer(stream.device(), bytes), dbias, columns, plan.pieces});
  if (plan.pieces > 0)
    simt::launch_block(stream,
                       dim3(static_cast<unsigned>(plan.tiles), static_cast<unsigned>(plan.pieces)),
                       ColumnPieces<T, kActivation, kShuffled>{
                           plan, ShuffledPlaces(shape, plan.fold), y, dy, dz, static_cast<C>(slope),
                           pending.back().partials.template as<C>()});
  if (later == nullptr) finish_of_type<T>(stream, now);
}
}  // namespace

template <class D, class T>
void epilogue_backward(Stream& stream, const ConvEpilogue& epilogue, const EpilogueShape& shape,
                       const T* y, const T* dy, T* dz, T* dbias, PendingSums* later) {
  const bool leaky = epilogue.activation == Activation::leaky_relu,
             sigmoid = epilogue.activation == Activation::sigmoid, shuffled = shape.r > 1;
  const std::int64_t n = shape.rows() * shape.columns();
  if (dbias != nullptr && (leaky || (sigmoid && !shuffled))) {
    constexpr auto kLeaky = Activation::leaky_relu, kSigmoid = Activation::sigmoid;
    const auto fused = sigmoid    ? sweep<T, kSigmoid, false>
                       : shuffled ? sweep<T, kLeaky, true>
                                  : sweep<T, kLeaky, false>;
    return fused(stream, epilogue.slope, shape, y, dy, dz, dbias, later);
  }

  // A pass for each step: on the host faster than a sweep that adds nothing up.
  Buffer scratch;  // [N,H*r,W*r,C]
  const T* unshuffle_from = dy;
  if (leaky || sigmoid) {
    if (shuffled) scratch = Buffer(stream.device(), static_cast<std::size_t>(n) * sizeof(T));
    T* out = shuffled ? scratch.as<T>() : dz;
    if (leaky) leaky_relu_backward<D, T>(stream, y, dy, out, n, epilogue.slope);
    else sigmoid_backward<D, T>(stream, y, dy, out, n);
    unshuffle_from = out;
  }
  if (shuffled)
    pixel_unshuffle<D, T>(stream, unshuffle_from, dz, shape.n, shape.h, shape.w, shape.c, shape.r);
  if (dbias != nullptr)
    sweep<T, Activation::none, false>(stream, 0.f, shape, nullptr, dz, nullptr, dbias, later);
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

SIMT_INSTANTIATE(epilogue_backward)
template void finish_column_sums<simt::ThisDevice>(Stream&, PendingSums&);
}  // namespace kernels
