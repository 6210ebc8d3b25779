// The host's stream and reproducible random vectors, for tests that call kernels on the host.
#pragma once
#include <vector>

#include "kernels/core/memory.h"
#include "kernels/core/stream.h"

namespace tests {

inline kernels::Stream& host() { return kernels::Stream::of(kernels::Device::host); }

inline std::vector<double> uniform_vector(std::size_t n, double low, double high, unsigned seed) {
  std::vector<double> v(n);
  std::uint64_t state = seed * 0x9E3779B97F4A7C15ull + 1;
  for (double& x : v) {
    state = state * 6364136223846793005ull + 1442695040888963407ull;
    x = low + (high - low) * static_cast<double>(state >> 11) * 0x1p-53;
  }
  return v;
}
}  // namespace tests
