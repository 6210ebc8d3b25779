// Random numbers, uniform and normal.
// Computes: four words from Philox 4x32-10 on counter (k, stream_id) (random.h), then
//   uniform  low + (high - low) * word / 2^32, 24 bits kept
//   normal   Box-Muller on words (0,1) and (2,3): r cos(2 pi u1) and r sin(2 pi u1),
//            r = sqrt(-2 ln(1 - u0))
// Parallel: item k makes numbers 4k to 4k + 3, so the result does not depend on the
//   grid.
// Bytes: the output, once. Ten rounds of integer arithmetic per four numbers.
// Source: Salmon et al. 2011, https://doi.org/10.1145/2063384.2063405
#include "kernels/random.h"

#include <cmath>

#include "kernels/ranges.h"
#include "kernels/simt/instantiate.h"

namespace kernels {
namespace {

struct Source {
  std::uint64_t seed, stream_id;
};

SIMT_DEVICE Philox::Block words(const Source& source, std::int64_t k) {
  const std::uint64_t counter = static_cast<std::uint64_t>(k);
  return Philox::draw(source.seed, static_cast<std::uint32_t>(counter),
                      static_cast<std::uint32_t>(counter >> 32),
                      static_cast<std::uint32_t>(source.stream_id),
                      static_cast<std::uint32_t>(source.stream_id >> 32));
}

template <class T>
__global__ void uniform_kernel(T* y, std::int64_t n, float low, float high, Source source) {
  using C = compute_t<T>;
  for (const std::int64_t k : simt::grid_range((n + 3) / 4)) {
    const Philox::Block block = words(source, k);
    for (int j = 0; j < 4 && 4 * k + j < n; ++j)
      store(y, 4 * k + j,
            static_cast<C>(low) + (static_cast<C>(high) - static_cast<C>(low)) *
                                      static_cast<C>(Philox::unit(block.v[j])));
  }
}

template <class T>
__global__ void normal_kernel(T* y, std::int64_t n, float mean, float deviation, Source source) {
  using C = compute_t<T>;
  for (const std::int64_t k : simt::grid_range((n + 3) / 4)) {
    const Philox::Block block = words(source, k);
    for (int pair = 0; pair < 2; ++pair) {
      const C radius =
          std::sqrt(C(-2) * std::log(C(1) - static_cast<C>(Philox::unit(block.v[2 * pair]))));
      const C angle = C(6.283185307179586) * static_cast<C>(Philox::unit(block.v[2 * pair + 1]));
      const std::int64_t i = 4 * k + 2 * pair;
      if (i < n)
        store(y, i, static_cast<C>(mean) + static_cast<C>(deviation) * (radius * std::cos(angle)));
      if (i + 1 < n)
        store(y, i + 1,
              static_cast<C>(mean) + static_cast<C>(deviation) * (radius * std::sin(angle)));
    }
  }
}
}  // namespace

template <class D, class T>
void uniform(Stream& stream, T* y, std::int64_t n, float low, float high, std::uint64_t seed,
             std::uint64_t stream_id) {
  simt::launch_range<uniform_kernel<T>, 4096>(stream.moves(n * sizeof(T)), (n + 3) / 4, y, n, low,
                                              high, Source{seed, stream_id});
}

template <class D, class T>
void normal(Stream& stream, T* y, std::int64_t n, float mean, float deviation, std::uint64_t seed,
            std::uint64_t stream_id) {
  simt::launch_range<normal_kernel<T>, 1024>(stream.moves(n * sizeof(T)), (n + 3) / 4, y, n, mean,
                                             deviation, Source{seed, stream_id});
}

SIMT_INSTANTIATE(uniform)
SIMT_INSTANTIATE(normal)
}  // namespace kernels
