// Computes: forward  y = f(z + bias + skip), then a pixel shuffle
//           backward dz = (dy + more) * f'(y), undoing the shuffle, and dbias[c] = sum
//   over rows of dz[row, c], rows = N*H*W. Only the shape fixes which values meet in
//   which order. Two branches, each with a bias of its own, are halves of the pictures.
// Parallel: stage 1 reads the matrix in wide rows: k rows as one, so the 256 threads of a
//   block read neighbours whether columns is 3 or 1024. Block (tile, g) takes the wide
//   rows of piece g, then adds the k sums of each column. On the GPU (Wide...) a thread
//   takes 16 bytes of a wide row and has two of them in flight; the host's ColumnPieces
//   takes one value a thread. Stage 2 adds the pieces (column_sums.cu).
// Bytes: z, y, dy, dz, skip and more once; the partial sums, at most 1024 a column, stay
//   in cache.
// Source: two-stage column sums as in llm.c's bias gradient,
//   https://github.com/karpathy/llm.c/tree/master/dev/cuda
#include "kernels/epilogue.h"

#include <cmath>
#include <numeric>

#include "kernels/elementwise.h"
#include "kernels/layout.h"
#include "kernels/partial_sums.h"
#include "kernels/simt/instantiate.h"
#include "kernels/vectors.h"

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
  std::int64_t run, line;    // values of a run; of a packed line, which is r picture rows
  std::int64_t picture_row;  // line / r
  int columns_ahead;         // fold = lines * w + columns_ahead
  std::int64_t ahead;        // lines * line + columns_ahead * run

  ShuffledPlaces(const EpilogueShape& s, int fold)
      : w(s.w),
        r(s.r),
        run(std::int64_t{s.r} * s.c),
        line(s.w * s.r * run),
        picture_row(s.w * run),
        columns_ahead(fold % s.w),
        ahead(fold / s.w * line + columns_ahead * run) {}
  SIMT_DEVICE std::int64_t at(std::int64_t row, std::int64_t channel) const {
    const std::int64_t i = channel / run;
    return row / w * line + i * picture_row + row % w * run + (channel - i * run);
  }
  // Moves a place and its column from one wide row to the next.
  SIMT_DEVICE void advance(std::int64_t& place, int& column) const {
    const bool next_line = column + columns_ahead >= w;
    column += columns_ahead - (next_line ? w : 0);
    place += ahead + (next_line ? line - picture_row : 0);
  }
};

// Partial sums of a branch each, [pieces,columns].
template <class C> struct BranchSums {
  C* of[kMostBranches] = {};
  SIMT_DEVICE C* branch(int k) const { return k == 0 ? of[0] : of[1]; }
};

template <class T, Activation kActivation, bool kShuffled, bool kMore> struct ColumnPieces {
  static constexpr int kx = kThreads, ky = 1;
  ColumnPlan plan;
  ShuffledPlaces places;
  const T* y;     // [B*N,H*r,W*r,C], null without an activation
  const T* dy;    // [B*N,H*r,W*r,C]
  const T* more;  // [B*N,H*r,W*r,C]
  T* dz;          // [B*rows,columns]
  compute_t<T> slope;
  BranchSums<compute_t<T>> partials;

  // Returns the share of dy[from] in its column's sum, and stores it as dz[to].
  SIMT_DEVICE compute_t<T> one(std::int64_t from, std::int64_t to) const {
    using C = compute_t<T>;
    C v = load(dy, from);
    if constexpr (kMore) v += load(more, from);
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
    const int branch = b.block_y() / plan.pieces, piece = b.block_y() - branch * plan.pieces;
    const std::int64_t end = plan.rows * plan.columns, shift = branch * end;
    const std::int64_t first = piece * plan.piece, last = first + plan.piece;
    simt::Reg<B, C> total{};
    // The thread's place in a shuffled picture and its column there.
    simt::Reg<B, std::int64_t> place;
    simt::Reg<B, int> column;
    if constexpr (kShuffled) {
      b.each([&](int t, int) SIMT_LAMBDA {
        const std::int64_t element = first * pitch + tile + t, row = element / plan.columns;
        place[t] = shift + places.at(row, element - row * plan.columns);
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
        b.stretches(length, run - static_cast<int>(tile % run), run,
                    [&](int t, int count) SIMT_LAMBDA {
                      const std::int64_t from = place[t], to = shift + base + t;
                      SIMT_SIMD
                      for (int k = 0; k < count; ++k) total[t + k] += one(from + k, to + k);
                      places.advance(place[t], column[t]);
                    });
      } else {
        const std::int64_t at = shift + base;
        b.strided(length, [&](int t, int i) SIMT_LAMBDA { total[t] += one(at + i, at + i); });
      }
    }
    b.phase([&](int t, int) SIMT_LAMBDA { folded[t] = total[t]; });
    const int sums = plan.fold == 1 ? tile_width : static_cast<int>(plan.columns);
    b.for_each(sums, [&](int c) SIMT_LAMBDA {
      C sum = folded[c];
      for (int k = 1; k < plan.fold; ++k) sum += folded[k * sums + c];
      partials.branch(branch)[piece * plan.columns + tile + c] = sum;
    });
  }
};

// The GPU's plan. A wide row is `fold` rows, in all at most 256 * lanes values.
struct WidePlan {
  std::int64_t rows, columns;  // of a branch
  int lanes;                   // neighbouring values that a thread takes
  int fold;
  int width;           // values of a wide row read by one block
  std::int64_t pitch;  // of wide rows
  std::int64_t piece;  // wide rows of a block
  int tiles, pieces;

  static constexpr int kInFlight = 2;  // wide rows that a thread reads before it computes

  WidePlan(const EpilogueShape& s, int lanes_, std::size_t branches)
      : rows(s.rows()), columns(s.columns()), lanes(lanes_) {
    const std::int64_t most = std::int64_t{kThreads} * lanes,
                       unit = lanes / std::gcd(std::int64_t{lanes}, columns);
    fold = columns < most ? static_cast<int>(most / columns / unit * unit) : 1;
    pitch = fold * columns;
    width = static_cast<int>(columns < most ? pitch : most);
    tiles = static_cast<int>(ceil_div(columns, most));
    // About 384 blocks in all: three for each multiprocessor of a large card.
    const std::int64_t wide_rows = ceil_div(rows, fold > 0 ? fold : 1),
                       wanted = ceil_div(384, tiles * static_cast<std::int64_t>(branches)),
                       share = ceil_div(wide_rows, wanted);
    piece = (share > 0 ? ceil_div(share, kInFlight) : 1) * kInFlight;
    pieces = static_cast<int>(ceil_div(wide_rows, piece));
  }
  // Every vector lies whole in a row of memory and begins at a multiple of its size.
  bool fits(const EpilogueShape& s, std::size_t branches) const {
    return fold > 0 && pitch % lanes == 0 && (branches == 1 || rows * columns % lanes == 0) &&
           (s.r == 1 || std::int64_t{s.r} * s.c % lanes == 0);
  }
};

// A block's share of a plan.
template <class B, int V> struct WideShare {
  int branch, piece, width;
  std::int64_t tile, shift, end, first, last;
  SIMT_DEVICE WideShare(const WidePlan& plan, const B& b)
      : branch(b.block_y() / plan.pieces),
        piece(b.block_y() - branch * plan.pieces),
        tile(std::int64_t{b.block_x()} * kThreads * V),
        end(plan.rows * plan.columns) {
    width = static_cast<int>(
        plan.columns - tile < plan.width && plan.fold == 1 ? plan.columns - tile : plan.width);
    shift = branch * end;
    first = piece * plan.piece;
    last = first + plan.piece;
  }
  // Calls f.operator()<kWhole>(wide) for kInFlight wide rows at a time, from `wide` on.
  // kWhole: each thread has a vector or nothing in each of them. Only the end of a matrix
  // whose columns are no multiple of V lacks that.
  template <bool kAlwaysWhole, class F>
  SIMT_DEVICE void for_rows(const WidePlan& plan, F&& f) const {
    constexpr int kRows = WidePlan::kInFlight;
    for (std::int64_t wide = first; wide < last && wide * plan.pitch < end; wide += kRows) {
      if (kAlwaysWhole || plan.columns % V == 0 || (wide + kRows) * plan.pitch <= end)
        f.template operator()<true>(wide);
      else f.template operator()<false>(wide);
    }
  }
  // Values of thread t in the wide row whose part of the tile begins at `base`.
  SIMT_DEVICE int count(std::int64_t base, int t) const {
    const std::int64_t left = end - base < width ? end - base : width, mine = left - t * V;
    return static_cast<int>(mine < 0 ? 0 : mine < V ? mine : V);
  }
};

// The first `count` values of a vector; the others are zero. kWhole: all of them, or none.
template <bool kWhole, int V, class T> SIMT_DEVICE Vector<T, V> load_part(const T* x, int count) {
  Vector<T, V> part{};
  if constexpr (kWhole) {
    if (count > 0) part = load_vector<V>(x);
  } else {
    SIMT_UNROLL
    for (int k = 0; k < V; ++k)
      if (k < count) part.at[k] = x[k];
  }
  return part;
}
template <bool kWhole, int V, class T>
SIMT_DEVICE void store_part(T* x, const Vector<T, V>& part, int count) {
  if constexpr (kWhole) {
#if SIMT_CUDA
    // By its intrinsic: the compiler cuts a plain store of 16 bytes where values come from
    // several branches.
    if constexpr (sizeof part == 16)
      __stwb(reinterpret_cast<uint4*>(x), std::bit_cast<uint4>(part));
    else store_vector<V>(x, part);
#else
    store_vector<V>(x, part);
#endif
  } else {
    SIMT_UNROLL
    for (int k = 0; k < V; ++k)
      if (k < count) x[k] = part.at[k];
  }
}

// 1 / v. The GPU's exact division is a call, for which a thread of many registers spills.
template <class C> SIMT_DEVICE C over(C v) {
#if SIMT_CUDA
  return __fdividef(C(1), v);
#else
  return C(1) / v;
#endif
}

template <class T, bool kShuffled, int V> struct WideForward {
  static constexpr int kx = kThreads, ky = 1;
  WidePlan plan;
  ShuffledPlaces places;
  Activation activation;
  compute_t<T> slope;
  const T* z;  // [B*rows,columns]
  const T* biases[kMostBranches];
  const T* skip;  // [B*rows,columns] or null
  T* y;           // [B*N,H*r,W*r,C]

  SIMT_DEVICE compute_t<T> f(compute_t<T> v) const {
    using C = compute_t<T>;
    if (activation == Activation::leaky_relu) return v > C(0) ? v : slope * v;
    if (activation == Activation::sigmoid) return over(C(1) + std::exp(-v));
    return v;
  }

  template <class B> SIMT_DEVICE void operator()(B& b) const {
    using C = compute_t<T>;
    constexpr int kRows = WidePlan::kInFlight;
    const WideShare<B, V> mine(plan, b);
    simt::Reg<B, Values<C, V>> bias{};  // of the thread's columns, which it keeps
    simt::Reg<B, std::int64_t> place{};
    simt::Reg<B, int> column{};
    b.each([&](int t, int) SIMT_LAMBDA {
      const std::int64_t element = mine.first * plan.pitch + mine.tile + t * V,
                         row = element / plan.columns;
      std::int64_t c = element - row * plan.columns;
      if constexpr (kShuffled) {
        place[t] = mine.shift + places.at(row, c);
        column[t] = static_cast<int>(row % places.w);
      }
      const T* const of_branch = mine.branch == 0 ? biases[0] : biases[1];
      if (of_branch == nullptr) return;
      SIMT_UNROLL
      for (int k = 0; k < V; ++k) {
        bias[t][k] = load(of_branch, c);
        c = c + 1 < plan.columns ? c + 1 : 0;
      }
    });
    mine.template for_rows<kShuffled>(plan, [&]<bool kWhole>(std::int64_t wide) SIMT_LAMBDA {
      b.each([&](int t, int) SIMT_LAMBDA {
        Vector<T, V> in[kRows], other[kRows];
        std::int64_t to[kRows];
        int count[kRows];
        SIMT_UNROLL
        for (int u = 0; u < kRows; ++u) {
          const std::int64_t base = (wide + u) * plan.pitch + mine.tile,
                             from = mine.shift + base + t * V;
          count[u] = mine.count(base, t);
          to[u] = kShuffled ? place[t] : from;
          if constexpr (kShuffled) places.advance(place[t], column[t]);
          in[u] = load_part<kWhole, V>(z + from, count[u]);
          other[u] = skip != nullptr ? load_part<kWhole, V>(skip + from, count[u]) : Vector<T, V>{};
        }
        SIMT_UNROLL
        for (int u = 0; u < kRows; ++u) {
          if (count[u] == 0) continue;
          Vector<T, V> out;
          SIMT_UNROLL
          for (int k = 0; k < V; ++k) {
            C v = static_cast<C>(in[u].at[k]) + bias[t][k];
            if (skip != nullptr) v = static_cast<C>(other[u].at[k]) + v;
            out.at[k] = static_cast<T>(f(v));
          }
          store_part<kWhole, V>(y + to[u], out, count[u]);
        }
      });
    });
  }
};

template <class T, bool kShuffled, int V> struct WideBackward {
  static constexpr int kx = kThreads, ky = 1;
  static constexpr int kMostShares = 16;  // of a column's sum within a block
  WidePlan plan;
  ShuffledPlaces places;
  Activation activation;
  compute_t<T> slope;
  const T* y;     // [B*N,H*r,W*r,C], null without an activation
  const T* dy;    // [B*N,H*r,W*r,C]
  const T* more;  // [B*N,H*r,W*r,C] or null
  T* dz;          // [B*rows,columns], null if it is dy, unchanged
  BranchSums<compute_t<T>> partials;

  // f' where f has the value v.
  SIMT_DEVICE compute_t<T> slope_at(compute_t<T> v) const {
    using C = compute_t<T>;
    if (activation == Activation::leaky_relu) return v > C(0) ? C(1) : slope;
    return v * (C(1) - v);
  }

  template <class B> SIMT_DEVICE void operator()(B& b) const {
    using C = compute_t<T>;
    constexpr int kRows = WidePlan::kInFlight;
    SIMT_BLOCK_SHARED(B, C, folded, [kThreads * V]);
    SIMT_BLOCK_SHARED(B, C, shares, [kThreads]);
    const WideShare<B, V> mine(plan, b);
    simt::Reg<B, Values<C, V>> total{};
    simt::Reg<B, std::int64_t> place{};
    simt::Reg<B, int> column{};
    if constexpr (kShuffled) {
      b.each([&](int t, int) SIMT_LAMBDA {
        const std::int64_t element = mine.first * plan.pitch + mine.tile + t * V,
                           row = element / plan.columns;
        place[t] = mine.shift + places.at(row, element - row * plan.columns);
        column[t] = static_cast<int>(row % places.w);
      });
    }
    mine.template for_rows<kShuffled>(plan, [&]<bool kWhole>(std::int64_t wide) SIMT_LAMBDA {
      b.each([&](int t, int) SIMT_LAMBDA {
        Vector<T, V> gradient[kRows], other[kRows], value[kRows];
        std::int64_t to[kRows];
        int count[kRows];
        SIMT_UNROLL
        for (int u = 0; u < kRows; ++u) {
          const std::int64_t base = (wide + u) * plan.pitch + mine.tile;
          count[u] = mine.count(base, t);
          to[u] = mine.shift + base + t * V;
          const std::int64_t from = kShuffled ? place[t] : to[u];
          if constexpr (kShuffled) places.advance(place[t], column[t]);
          gradient[u] = load_part<kWhole, V>(dy + from, count[u]);
          other[u] = more != nullptr ? load_part<kWhole, V>(more + from, count[u]) : Vector<T, V>{};
          value[u] = y != nullptr ? load_part<kWhole, V>(y + from, count[u]) : Vector<T, V>{};
        }
        SIMT_UNROLL
        for (int u = 0; u < kRows; ++u) {
          if (count[u] == 0) continue;
          Vector<T, V> out;
          SIMT_UNROLL
          for (int k = 0; k < V; ++k) {
            C v = static_cast<C>(gradient[u].at[k]);
            if (more != nullptr) v += static_cast<C>(other[u].at[k]);
            if (y != nullptr) v *= slope_at(static_cast<C>(value[u].at[k]));
            total[t][k] += k < count[u] ? v : C(0);
            out.at[k] = static_cast<T>(v);
          }
          if (dz != nullptr) store_part<kWhole, V>(dz + to[u], out, count[u]);
        }
      });
    });
    C* const sums_of_branch = partials.branch(mine.branch);
    if (sums_of_branch == nullptr) return;
    b.phase([&](int t, int) SIMT_LAMBDA {
      SIMT_UNROLL
      for (int k = 0; k < V; ++k) folded[t * V + k] = total[t][k];
    });
    // Share j of column c adds every parts-th of the wide row's rows.
    const int sums = plan.fold == 1 ? mine.width : static_cast<int>(plan.columns);
    const int most = sums < kThreads ? kThreads / sums : 1,
              parts = most < kMostShares ? most : kMostShares;
    C* const to = sums_of_branch + mine.piece * plan.columns + mine.tile;
    if (parts == 1) {
      b.for_each(sums, [&](int c) SIMT_LAMBDA {
        C sum = folded[c];
        for (int k = 1; k < plan.fold; ++k) sum += folded[k * sums + c];
        to[c] = sum;
      });
      return;
    }
    b.for_each(sums * parts, [&](int e) SIMT_LAMBDA {
      C sum = 0;
      for (int i = e; i < plan.fold * sums; i += parts * sums) sum += folded[i];
      shares[e] = sum;
    });
    b.for_each(sums, [&](int c) SIMT_LAMBDA {
      C sum = shares[c];
      for (int j = 1; j < parts; ++j) sum += shares[j * sums + c];
      to[c] = sum;
    });
  }
};

bool wide() { return SIMT_CUDA || wide_epilogues_on_host; }

// Adds the bias gradients to the pending sums, and returns the places of their first
// stage.
template <class T>
BranchSums<compute_t<T>> pend(Stream& stream, std::span<T* const> dbiases, std::int64_t columns,
                              int pieces, PendingSums& pending) {
  BranchSums<compute_t<T>> places;
  for (std::size_t k = 0; k < dbiases.size(); ++k) {
    const auto bytes = static_cast<std::size_t>(pieces * columns) * sizeof(compute_t<T>);
    pending.push_back({typeid(T), Buffer(stream.device(), bytes), dbiases[k], columns, pieces});
    places.of[k] = pending.back().partials.template as<compute_t<T>>();
  }
  return places;
}

dim3 grid_of(const auto& plan, std::size_t branches) {
  return {static_cast<unsigned>(plan.tiles),
          static_cast<unsigned>(plan.pieces) * static_cast<unsigned>(branches)};
}

// Calls f.operator()<V>(plan) for the widest vectors that the shape and the pointers allow.
template <class T, class F, class... P>
void with_lanes(const EpilogueShape& shape, std::size_t branches, const F& f,
                const P*... pointers) {
  constexpr int kWidest = lanes<T>;
  const WidePlan plan(shape, kWidest, branches);
  const bool aligned = (... && (reinterpret_cast<std::uintptr_t>(pointers) % 16 == 0));
  if (wide() && aligned && plan.fits(shape, branches)) f.template operator()<kWidest>(plan);
  else f.template operator()<1>(WidePlan(shape, 1, branches));
}

template <class T>
void wide_backward(Stream& stream, const ConvEpilogue& epilogue, const EpilogueShape& shape,
                   const T* y, const T* dy, const T* more, T* dz, std::span<T* const> dbiases,
                   PendingSums& pending) {
  const std::size_t branches = dbiases.empty() ? 1 : dbiases.size();
  const bool moves = y != nullptr || more != nullptr || shape.r > 1;
  const auto run = [&]<int V>(const WidePlan& plan) {
    const auto sums = pend(stream, dbiases, plan.columns, plan.pieces, pending);
    const std::int64_t arrays = 1 + (y ? 1 : 0) + (more ? 1 : 0) + (moves ? 1 : 0);
    const std::size_t bytes =
        (arrays * shape.rows() * sizeof(T) + plan.pieces * sizeof(compute_t<T>)) * plan.columns *
        branches;
    const auto launch = [&]<bool kShuffled>() {
      simt::launch_block(
          stream.moves(bytes), grid_of(plan, branches),
          WideBackward<T, kShuffled, V>{plan, ShuffledPlaces(shape, plan.fold), epilogue.activation,
                                        static_cast<compute_t<T>>(epilogue.slope), y, dy, more,
                                        moves ? dz : nullptr, sums});
    };
    if (plan.pieces == 0) return;
    if (shape.r > 1) launch.template operator()<true>();
    else launch.template operator()<false>();
  };
  with_lanes<T>(shape, branches, run, y, dy, more, dz);
}

// The host's sweep, which needs bias gradients.
template <class T, Activation kActivation, bool kShuffled, bool kMore>
void sweep(Stream& stream, float slope, const EpilogueShape& shape, const T* y, const T* dy,
           const T* more, T* dz, std::span<T* const> dbiases, PendingSums& pending) {
  const ColumnPlan plan(shape.rows(), shape.columns());
  const auto sums = pend(stream, dbiases, plan.columns, plan.pieces, pending);
  if (plan.pieces > 0)
    simt::launch_block(stream, grid_of(plan, dbiases.size()),
                       ColumnPieces<T, kActivation, kShuffled, kMore>{
                           plan, ShuffledPlaces(shape, plan.fold), y, dy, more, dz,
                           static_cast<compute_t<T>>(slope), sums});
}

template <class D, class T>
void host_backward(Stream& stream, const ConvEpilogue& epilogue, const EpilogueShape& shape,
                   const T* y, const T* dy, const T* more, T* dz, std::span<T* const> dbiases,
                   PendingSums& pending) {
  const bool leaky = epilogue.activation == Activation::leaky_relu,
             sigmoid = epilogue.activation == Activation::sigmoid, shuffled = shape.r > 1;
  const std::int64_t branches = dbiases.empty() ? 1 : static_cast<std::int64_t>(dbiases.size()),
                     n = branches * shape.rows() * shape.columns();
  if (!dbiases.empty() && (leaky || (sigmoid && !shuffled && more == nullptr))) {
    constexpr auto kLeaky = Activation::leaky_relu, kSigmoid = Activation::sigmoid;
    const auto fused = sigmoid            ? sweep<T, kSigmoid, false, false>
                       : shuffled && more ? sweep<T, kLeaky, true, true>
                       : shuffled         ? sweep<T, kLeaky, true, false>
                       : more             ? sweep<T, kLeaky, false, true>
                                          : sweep<T, kLeaky, false, false>;
    return fused(stream, epilogue.slope, shape, y, dy, more, dz, dbiases, pending);
  }

  // A pass for each step: faster than a sweep that adds nothing up.
  Buffer scratch;  // [B*N,H*r,W*r,C]
  if (shuffled && (leaky || sigmoid || more))
    scratch = Buffer(stream.device(), static_cast<std::size_t>(n) * sizeof(T));
  T* const out = shuffled ? scratch.as<T>() : dz;
  const T* from = dy;
  if (more) add<D, T>(stream, from, more, out, n), from = out;
  if (leaky) leaky_relu_backward<D, T>(stream, y, from, out, n, epilogue.slope), from = out;
  if (sigmoid) sigmoid_backward<D, T>(stream, y, from, out, n), from = out;
  if (shuffled)
    pixel_unshuffle<D, T>(stream, from, dz, branches * shape.n, shape.h, shape.w, shape.c, shape.r);
  if (!dbiases.empty())
    sweep<T, Activation::none, false, false>(stream, 0.f, shape, nullptr, dz, nullptr, nullptr,
                                             dbiases, pending);
}

void check_branches(const char* what, std::size_t count) {
  if (count > kMostBranches)
    throw Error(ErrorKind::usage, std::string(what) + ": at most " + std::to_string(kMostBranches) +
                                      " branches, got " + std::to_string(count));
}
}  // namespace

template <class D, class T>
void epilogue_forward(Stream& stream, const ConvEpilogue& epilogue, const EpilogueShape& shape,
                      const T* z, std::span<const T* const> biases, const T* skip, T* y) {
  check_branches("epilogue_forward", biases.size());
  const std::size_t branches = biases.empty() ? 1 : biases.size();
  if (shape.rows() * shape.columns() == 0) return;
  const auto run = [&]<int V>(const WidePlan& plan) {
    const auto launch = [&]<bool kShuffled>() {
      WideForward<T, kShuffled, V> kernel{plan,
                                          ShuffledPlaces(shape, plan.fold),
                                          epilogue.activation,
                                          static_cast<compute_t<T>>(epilogue.slope),
                                          z,
                                          {},
                                          skip,
                                          y};
      std::copy(biases.begin(), biases.end(), kernel.biases);
      const std::size_t values = branches * shape.rows() * shape.columns();
      simt::launch_block(stream.moves((skip ? 3 : 2) * values * sizeof(T)), grid_of(plan, branches),
                         kernel);
    };
    if (shape.r > 1) launch.template operator()<true>();
    else launch.template operator()<false>();
  };
  with_lanes<T>(shape, branches, run, z, skip, y);
}

template <class D, class T>
void epilogue_backward(Stream& stream, const ConvEpilogue& epilogue, const EpilogueShape& shape,
                       const T* y, const T* dy, const T* more, T* dz, std::span<T* const> dbiases,
                       PendingSums* later) {
  check_branches("epilogue_backward", dbiases.size());
  if (shape.columns() <= 0) return;
  PendingSums now;
  PendingSums& pending = later != nullptr ? *later : now;
  // The meta device counts the GPU's launches.
  if constexpr (SIMT_CUDA)
    wide_backward<T>(stream, epilogue, shape, y, dy, more, dz, dbiases, pending);
  else if (wide() || stream.device() == Device::meta)
    wide_backward<T>(stream, epilogue, shape, y, dy, more, dz, dbiases, pending);
  else host_backward<D, T>(stream, epilogue, shape, y, dy, more, dz, dbiases, pending);
  if (later == nullptr) finish_column_sums<simt::ThisDevice>(stream, now);
}

SIMT_INSTANTIATE(epilogue_forward)
SIMT_INSTANTIATE(epilogue_backward)
}  // namespace kernels
