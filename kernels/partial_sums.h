// Sums in two stages, shared by every kernel that ends in one number. Stage one: block g adds piece g of the data and stores one
// partial sum. Stage two (here): one block adds the partial sums and hands the total to `finish`. How the data is cut depends on
// its size alone, so the bits do not depend on the number of threads.
#pragma once
#include "kernels/core/memory.h"
#include "kernels/ranges.h"

namespace kernels {
inline namespace SIMT_BACKEND {  // host and GPU each have their own copy: the launches inside differ

constexpr int kSumThreads = 256;

inline std::int64_t ceil_div(std::int64_t a, std::int64_t b) { return (a + b - 1) / b; }

// Cuts n items into at most 1024 pieces; a piece is a whole number of rounds of `rounds` items per thread.
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
    typename B::template Reg<C> total;
    b.each([&](int t, int) SIMT_LAMBDA { total[t] = C(0); });
    b.strided(count, [&](int t, int i) SIMT_LAMBDA { total[t] += partials[i]; });
    const C sum = b.sum(total);
    b.each([&](int t, int) SIMT_LAMBDA {
      if (t == 0) finish(sum);
    });
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
