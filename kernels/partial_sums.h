// Sums in two stages, for kernels that end in one number. Stage one: block g stores the
// sum of piece g. Stage two (here): one block adds the partial sums and hands the total
// to `finish`. The pieces depend on the size alone, so the bits do not depend on the
// number of threads.
#pragma once
#include "kernels/core/memory.h"
#include "kernels/ranges.h"

namespace kernels {
inline namespace SIMT_BACKEND {  // one copy for the host, one for the GPU

constexpr int kSumThreads = 256;

inline std::int64_t ceil_div(std::int64_t a, std::int64_t b) { return (a + b - 1) / b; }

// Cuts n items into at most 1024 pieces, each a multiple of `rounds` items per thread.
struct Pieces {
  std::int64_t n, length;
  int count;
  explicit Pieces(std::int64_t n_, int rounds = 64)
      : n(n_),
        length(ceil_div(ceil_div(n_ > 0 ? n_ : 1, 1024), kSumThreads * rounds) * kSumThreads *
               rounds),
        count(static_cast<int>(ceil_div(n_, length))) {}
  SIMT_DEVICE int size(std::int64_t first) const {
    return static_cast<int>(n - first < length ? n - first : length);
  }
};

template <class C, class Finish> struct SumPartials {
  static constexpr int kx = kSumThreads, ky = 1;
  const C* partials;  // [count]
  int count;
  Finish finish;
  template <class B> SIMT_DEVICE void operator()(B& b) const {
    simt::Reg<B, C> total{};
    b.strided(count, [&](int t, int i) SIMT_LAMBDA { total[t] += partials[i]; });
    const C sum = b.sum(total);
    b.once([&]() SIMT_LAMBDA { finish(sum); });
  }
};

template <class C, class Finish>
void sum_partials(Stream& stream, const C* partials, int count, const Finish& finish) {
  simt::launch_block(stream, dim3(1), SumPartials<C, Finish>{partials, count, finish});
}

template <class C> struct StoreTotal {
  C* out;  // [1]
  C factor;
  SIMT_DEVICE void operator()(C sum) const { *out = sum * factor; }
};
}  // namespace SIMT_BACKEND
}  // namespace kernels
