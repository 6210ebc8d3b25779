// The GPU's form of the epilogue kernels, and what epilogue.cu shares with it: the places
// of a shuffle's elements. A thread takes 16 bytes of a wide row and keeps its columns from
// row to row, so nothing is divided in the loop and the bias stays in registers.
#pragma once
#include <bit>
#include <cmath>
#include <numeric>

#include "kernels/epilogue.h"
#include "kernels/partial_sums.h"
#include "kernels/vectors.h"

namespace kernels {
inline namespace SIMT_BACKEND {  // one copy for the host, one for the GPU

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
  // In 32 bits: a GPU calls a function to divide more. check_size sees to it.
  SIMT_DEVICE std::int64_t at(std::uint32_t row, std::uint32_t channel) const {
    const std::uint32_t i = channel / static_cast<std::uint32_t>(run),
                        l = row / static_cast<std::uint32_t>(w);
    return l * line + i * picture_row + column(row) * run + (channel - i * run);
  }
  SIMT_DEVICE int column(std::uint32_t row) const {
    return static_cast<int>(row % static_cast<std::uint32_t>(w));
  }
  // Moves a place and its column from one wide row to the next.
  SIMT_DEVICE void advance(std::int64_t& place, int& column) const {
    const bool next_line = column + columns_ahead >= w;
    column += columns_ahead - (next_line ? w : 0);
    place += ahead + (next_line ? line - picture_row : 0);
  }
};

// An element of a wide row, in the matrix.
struct Element {
  std::uint32_t row, channel;
  template <class P>
  SIMT_DEVICE Element(const P& plan, std::int64_t wide_row, std::int64_t in_wide_row) {
    const std::uint32_t inside = static_cast<std::uint32_t>(in_wide_row),
                        columns = static_cast<std::uint32_t>(plan.columns),
                        below = inside / columns;
    row = static_cast<std::uint32_t>(wide_row * plan.fold) + below;
    channel = inside - below * columns;
  }
};

// Partial sums of a branch each, [pieces,columns].
template <class C> struct BranchSums {
  C* of[kMostBranches] = {};
  SIMT_DEVICE C* branch(int k) const { return k == 0 ? of[0] : of[1]; }
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
    const std::int64_t most = std::int64_t{kSumThreads} * lanes,
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
        tile(std::int64_t{b.block_x()} * kSumThreads * V),
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
  static constexpr int kx = kSumThreads, ky = 1;
  WidePlan plan;
  ShuffledPlaces places;
  Activation activation;
  compute_t<T> slope;
  const T* z;  // [B*rows,columns]
  const T* biases[kMostBranches];
  const T* skip;  // [B*rows,columns] or null; none with a shuffle
  T* y;           // [B*N,H*r,W*r,C]

  SIMT_DEVICE bool skips() const { return !kShuffled && skip != nullptr; }
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
      const Element at(plan, mine.first, mine.tile + t * V);
      if constexpr (kShuffled) {
        place[t] = mine.shift + places.at(at.row, at.channel);
        column[t] = places.column(at.row);
      }
      const T* const of_branch = mine.branch == 0 ? biases[0] : biases[1];
      if (of_branch == nullptr) return;
      std::int64_t c = at.channel;
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
          other[u] = skips() ? load_part<kWhole, V>(skip + from, count[u]) : Vector<T, V>{};
        }
        SIMT_UNROLL
        for (int u = 0; u < kRows; ++u) {
          if (count[u] == 0) continue;
          Vector<T, V> out;
          SIMT_UNROLL
          for (int k = 0; k < V; ++k) {
            C v = static_cast<C>(in[u].at[k]) + bias[t][k];
            if (skips()) v = static_cast<C>(other[u].at[k]) + v;
            out.at[k] = static_cast<T>(f(v));
          }
          store_part<kWhole, V>(y + to[u], out, count[u]);
        }
      });
    });
  }
};

template <class T, bool kShuffled, int V> struct WideBackward {
  static constexpr int kx = kSumThreads, ky = 1;
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
    SIMT_BLOCK_SHARED(B, C, folded, [kSumThreads * V]);
    SIMT_BLOCK_SHARED(B, C, shares, [kSumThreads]);
    const WideShare<B, V> mine(plan, b);
    simt::Reg<B, Values<C, V>> total{};
    simt::Reg<B, std::int64_t> place{};
    simt::Reg<B, int> column{};
    if constexpr (kShuffled) {
      b.each([&](int t, int) SIMT_LAMBDA {
        const Element at(plan, mine.first, mine.tile + t * V);
        place[t] = mine.shift + places.at(at.row, at.channel);
        column[t] = places.column(at.row);
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
    const int most = sums < kSumThreads ? kSumThreads / sums : 1,
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
}  // namespace SIMT_BACKEND
}  // namespace kernels
