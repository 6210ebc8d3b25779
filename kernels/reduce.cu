// Sums over arrays and the norm of all gradients.
// Computes: sum_i x_i, or sqrt(sum_i x_i^2) and from it the clip factor
// Parallel: block g adds piece g, 256 running sums and a tree; one last block adds the
//   pieces. A GPU thread loads four vectors of 16 bytes at once. The order depends on the
//   length and, on the GPU, on the address's alignment alone: no floating-point atomics,
//   and the same bits for any number of threads.
// Bytes: the array, once.
// Source: Harris, "Optimizing parallel reduction in CUDA", NVIDIA, 2007 (the tree).
#include "kernels/reduce.h"

#include <cmath>

#include "kernels/partial_sums.h"
#include "kernels/simt/instantiate.h"
#include "kernels/vectors.h"

namespace kernels {
namespace {

constexpr int kThreads = kSumThreads;
static_assert(kThreads == kVectorThreads);

template <class T, bool kSquares> struct SumPieces {
  static constexpr int kx = kThreads, ky = 1;
  const T* x;              // [n]
  compute_t<T>* partials;  // [pieces]
  Pieces pieces;
  bool vectors;  // x is aligned to 16 bytes
  template <class B> SIMT_DEVICE void operator()(B& b) const {
    using C = compute_t<T>;
    simt::Reg<B, C> total{};
    if (B::kOneThread && vectors)
      b.each([&](int t, int) SIMT_LAMBDA { add_vectors(b.block_x(), total[t]); });
    else add_rounds(b, total);
    const C sum = b.sum(total);
    b.once([&]() SIMT_LAMBDA { partials[b.block_x()] = sum; });
  }

 private:
  SIMT_DEVICE static compute_t<T> term(compute_t<T> v) { return kSquares ? v * v : v; }

  // A GPU thread with four vectors in flight.
  SIMT_DEVICE void add_vectors(int piece, compute_t<T>& total) const {
    const std::int64_t first = piece * pieces.length;
    const int length = pieces.size(first);
    const VectorRange<lanes<T>> range{length, static_cast<std::uint32_t>(length / lanes<T>)};
    for_vectors_of_thread<4>(range, 0, 1, [&](const auto& at) SIMT_LAMBDA {
      const auto v = at.load(x + first);
      SIMT_UNROLL
      for (int k = 0; k < at.count; ++k) total += term(v[k]);
    });
  }

  template <class B> SIMT_DEVICE void add_rounds(B& b, simt::Reg<B, compute_t<T>>& total) const {
    const std::int64_t first = b.block_x() * pieces.length;
    const int length = pieces.size(first);
    const T* const from = x + first;
    // One round of the block at a time: in a single strided loop gcc interleaves two
    // rounds, and the two short streams defeat the memory prefetcher.
    for (int round = 0; round < length; round += kThreads) {
      b.strided(length - round < kThreads ? length - round : kThreads,
                [&](int t, int i) SIMT_LAMBDA { total[t] += term(load(from, round + i)); });
    }
  }
};

// A sum of squares is finite exactly if every term is, since nothing cancels. A norm
// too large for a float also counts as not finite.
template <class C> struct FinishNorm {
  StepState* state;
  float max_norm;
  SIMT_DEVICE void operator()(C sum) const {
    const float scaled = static_cast<float>(std::sqrt(sum)), norm = scaled / state->loss_scale;
    const bool finite = norm <= 3.402823466e38f;
    state->gradient_norm = norm;
    state->clip_factor =
        finite && max_norm > 0.f && norm > max_norm ? max_norm / scaled : 1.f / state->loss_scale;
    if (!finite) state->finite = 0;
  }
};

template <class T, bool kSquares, class Finish>
void sum_array(Stream& stream, const T* x, std::int64_t n, const Finish& finish) {
  using C = compute_t<T>;
  const Pieces pieces(n);
  const Buffer partials(stream.device(), static_cast<std::size_t>(pieces.count) * sizeof(C));
  if (pieces.count > 0)
    simt::launch_block(
        stream.moves(n * sizeof(T)), dim3(static_cast<unsigned>(pieces.count)),
        SumPieces<T, kSquares>{x, partials.as<C>(), pieces, aligned_for<lanes<T>>(x)});
  sum_partials(stream, partials.as<C>(), pieces.count, finish);
}
}  // namespace

template <class D, class T>
void sum(Stream& stream, const T* x, compute_t<T>* out, std::int64_t n) {
  sum_array<T, false>(stream, x, n, StoreTotal<compute_t<T>>{out, 1});
}

template <class D, class T>
void gradient_norm(Stream& stream, const T* gradients, std::int64_t n, float max_norm,
                   StepState* state) {
  sum_array<T, true>(stream, gradients, n, FinishNorm<compute_t<T>>{state, max_norm});
}

SIMT_INSTANTIATE(sum)
SIMT_INSTANTIATE(gradient_norm)
}  // namespace kernels
