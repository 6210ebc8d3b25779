// Computes: forward  y = f(z + bias + skip), then a pixel shuffle
//           backward dz = (dy + more) * f'(y), undoing the shuffle, and dbias[c] = sum
//   over rows of dz[row, c], rows = N*H*W. Only the shape fixes which values meet in
//   which order. Two branches, each with a bias of its own, are halves of the pictures.
// Parallel: stage 1 reads the matrix in wide rows: k rows as one, so the 256 threads of a
//   block read neighbours whether columns is 3 or 1024. Block (tile, g) takes the wide
//   rows of piece g, then adds the k sums of each column. On the GPU (wide_epilogue.h) a thread
//   takes 16 bytes of a wide row and has two of them in flight; the host's ColumnPieces
//   takes one value a thread. Stage 2 adds the pieces (column_sums.cu).
// Bytes: z, y, dy, dz, skip and more once; the partial sums, at most 1024 a column, stay
//   in cache.
// Source: two-stage column sums as in llm.c's bias gradient,
//   https://github.com/karpathy/llm.c/tree/master/dev/cuda
#include "kernels/epilogue.h"

#include "kernels/elementwise.h"
#include "kernels/layout.h"
#include "kernels/simt/instantiate.h"
#include "kernels/wide_epilogue.h"

namespace kernels {
namespace {

struct ColumnPlan {
  std::int64_t rows, columns;
  int fold;            // rows in a wide row
  int width;           // values of a wide row read by one block: fold*columns, at most 256
  std::int64_t piece;  // wide rows added by one block
  int tiles, pieces;

  ColumnPlan(std::int64_t rows_, std::int64_t columns_) : rows(rows_), columns(columns_) {
    fold = columns < kSumThreads ? static_cast<int>(kSumThreads / columns) : 1;
    width = columns < kSumThreads ? static_cast<int>(fold * columns) : kSumThreads;
    tiles = columns < kSumThreads ? 1 : static_cast<int>(ceil_div(columns, kSumThreads));
    const std::int64_t wide_rows = ceil_div(rows, fold);
    // About 1024 blocks in all, of at least 16 wide rows each.
    const std::int64_t wanted = ceil_div(1024, tiles);
    piece = ceil_div(wide_rows, wanted) > 16 ? ceil_div(wide_rows, wanted) : 16;
    pieces = static_cast<int>(ceil_div(wide_rows, piece));
  }
};

template <class T, Activation kActivation, bool kShuffled, bool kMore> struct ColumnPieces {
  static constexpr int kx = kSumThreads, ky = 1;
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
    SIMT_BLOCK_SHARED(B, C, folded, [kSumThreads]);
    const std::int64_t tile = std::int64_t{b.block_x()} * kSumThreads,
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
        const Element at(plan, first, tile + t);
        place[t] = shift + places.at(at.row, at.channel);
        column[t] = places.column(at.row);
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

void check_size(const char* what, const EpilogueShape& shape, std::size_t count) {
  constexpr std::int64_t most = std::int64_t{1} << 31;
  if (shape.rows() >= most || shape.columns() >= most)
    throw Error(ErrorKind::usage, std::string(what) + ": fewer than 2^31 rows and columns, got " +
                                      std::to_string(shape.rows()) + " and " +
                                      std::to_string(shape.columns()));
  if (count > kMostBranches)
    throw Error(ErrorKind::usage, std::string(what) + ": at most " + std::to_string(kMostBranches) +
                                      " branches, got " + std::to_string(count));
}
}  // namespace

template <class D, class T>
void epilogue_forward(Stream& stream, const ConvEpilogue& epilogue, const EpilogueShape& shape,
                      const T* z, std::span<const T* const> biases, const T* skip, T* y) {
  check_size("epilogue_forward", shape, biases.size());
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
  check_size("epilogue_backward", shape, dbiases.size());
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
