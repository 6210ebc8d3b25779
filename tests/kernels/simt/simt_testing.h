// For the tests of the host executor: settings restored after each test, and values to
// work on.
#pragma once
#include <gtest/gtest.h>

#include <cstdint>
#include <cstring>
#include <vector>

#include "kernels/simt/simt.h"

#if defined(__SANITIZE_ADDRESS__)
inline constexpr bool with_asan = true;
#else
inline constexpr bool with_asan = false;
#endif
#if defined(__SANITIZE_THREAD__)
inline constexpr bool with_tsan = true;
#else
inline constexpr bool with_tsan = false;
#endif

// Restores the executor's settings at the end of a scope.
struct SettingsGuard {
  simt::Config saved = simt::config();
  bool saved_on_fibers = simt::block_on_fibers;
  ~SettingsGuard() {
    simt::config() = saved;
    simt::block_on_fibers = saved_on_fibers;
  }
};

inline kernels::Stream& host_stream() { return kernels::Stream::of(kernels::Device::host); }

// Values of mixed sign and size, no two alike: a wrong index or a lost addition shows.
inline std::vector<float> sample_values(std::size_t n) {
  std::vector<float> v(n);
  std::uint32_t state = 12345;
  for (float& x : v) {
    state = state * 1664525u + 1013904223u;
    x = (static_cast<float>(state >> 8) * 0x1p-24f - 0.5f) * (state & 64 ? 8.f : 0.25f);
  }
  return v;
}

inline bool same_bits(const std::vector<float>& a, const std::vector<float>& b) {
  return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size() * sizeof(float)) == 0;
}
