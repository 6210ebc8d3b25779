// Sums over arrays. Deterministic: which elements meet in which order is fixed by the length alone, never by the number of threads,
// and there are no floating-point atomics. Block g adds piece g of the array: 256 running sums, then a tree; one last block adds the
// pieces' sums. Bytes: the array once.
#include "kernels/reduce.h"

#include <cmath>

#include "kernels/partial_sums.h"

namespace kernels {
namespace {

constexpr int kThreads = kSumThreads;

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
    b.each([&](int t, int) SIMT_LAMBDA { total[t] = C(0); });
    // One round of the block at a time: in a single strided loop gcc interleaves two rounds, and the two short streams defeat
    // the memory prefetcher (8 GB/s where this gives 16).
    for (int round = 0; round < length; round += kThreads) {
      b.strided(length - round < kThreads ? length - round : kThreads,
                [&](int t, int i) SIMT_LAMBDA {
                  const C v = load(from, round + i);
                  total[t] += kSquares ? v * v : v;
                });
    }
    const C sum = b.sum(total);
    b.each([&](int t, int) SIMT_LAMBDA {
      if (t == 0) partials[b.block_x()] = sum;
    });
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
    simt::launch_block(stream, dim3(static_cast<unsigned>(pieces.count)),
                       SumPieces<T, kSquares>{x, partials.as<C>(), pieces});
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

using simt::ThisDevice;
#define KERNELS_INSTANTIATE(T)                                                      \
  template void sum<ThisDevice, T>(Stream&, const T*, compute_t<T>*, std::int64_t); \
  template void gradient_norm<ThisDevice, T>(Stream&, const T*, std::int64_t, float, StepState*);
KERNELS_INSTANTIATE(float)
KERNELS_INSTANTIATE(bf16)
KERNELS_INSTANTIATE(f16)
#if !SIMT_CUDA
KERNELS_INSTANTIATE(double)
#endif

}  // namespace kernels
