// Counter-based random numbers: Philox 4x32-10 (Salmon et al., SC'11). The key is the
// seed, the counter names the number (step, sample, op, index). There is no state, so a
// resumed run draws the numbers of an uninterrupted one.
#pragma once
#include "kernels/core/stream.h"

namespace kernels {

struct Philox {
  struct Block {
    std::uint32_t v[4];
  };
  // Ten rounds on counter (c0..c3) with a 64-bit key.
  KERNELS_BOTH static constexpr Block draw(std::uint64_t key, std::uint32_t c0, std::uint32_t c1,
                                           std::uint32_t c2, std::uint32_t c3) {
    std::uint32_t k0 = static_cast<std::uint32_t>(key), k1 = static_cast<std::uint32_t>(key >> 32);
    for (int round = 0; round < 10; ++round) {
      const std::uint64_t a = 0xD2511F53ull * c0, b = 0xCD9E8D57ull * c2;
      const std::uint32_t n0 = static_cast<std::uint32_t>(b >> 32) ^ c1 ^ k0,
                          n2 = static_cast<std::uint32_t>(a >> 32) ^ c3 ^ k1;
      c1 = static_cast<std::uint32_t>(b);
      c3 = static_cast<std::uint32_t>(a);
      c0 = n0;
      c2 = n2;
      k0 += 0x9E3779B9u;
      k1 += 0xBB67AE85u;
    }
    return {{c0, c1, c2, c3}};
  }
  // 24 bits, in [0, 1).
  KERNELS_BOTH static constexpr float unit(std::uint32_t bits) {
    return static_cast<float>(bits >> 8) * 0x1p-24f;
  }
};

template <class D, class T>
void uniform(Stream&, T* y, std::int64_t n, float low, float high, std::uint64_t seed,
             std::uint64_t stream_id);
template <class D, class T>
void normal(Stream&, T* y, std::int64_t n, float mean, float deviation, std::uint64_t seed,
            std::uint64_t stream_id);
}  // namespace kernels
