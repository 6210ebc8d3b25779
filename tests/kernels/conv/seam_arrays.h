// Operands for the tests of conv and GEMM: random values between guard bands.
#pragma once
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <random>
#include <string>
#include <vector>

#include "bench/cases/reference_conv.h"
#include "kernels/core/memory.h"
#include "kernels/core/stream.h"

namespace seam {

namespace reference = bench::cases::reference;

template <class D> inline constexpr kernels::Device device_of = kernels::Device::host;
template <> inline constexpr kernels::Device device_of<kernels::Cuda> = kernels::Device::cuda;

// Values T can hold, as doubles, so the reference starts from the same numbers.
template <class T> std::vector<double> random_values(std::size_t n, unsigned seed) {
  std::mt19937 random(seed);
  std::uniform_real_distribution<float> uniform(-1.f, 1.f);
  std::vector<double> values(n);
  for (double& v : values)
    v = static_cast<double>(static_cast<kernels::compute_t<T>>(T(uniform(random))));
  return values;
}

// n values of T on D between 256-byte guards of a fixed pattern. Values start as NaN,
// which exposes an output that a kernel does not write, or reads first.
template <class D, class T> class Array {
 public:
  explicit Array(std::size_t n) : n_(n), block_(device_of<D>, n * sizeof(T) + 2 * guard) {
    std::vector<unsigned char> bytes(block_.bytes(), pattern);
    // 0xff in every byte is NaN in every type.
    std::fill(bytes.begin() + guard, bytes.end() - guard, static_cast<unsigned char>(0xff));
    kernels::copy(block_.data(), device_of<D>, bytes.data(), kernels::Device::host, bytes.size());
  }
  explicit Array(const std::vector<double>& values) : Array(values.size()) {
    std::vector<T> typed(n_);
    for (std::size_t i = 0; i < n_; ++i)
      typed[i] = T(static_cast<kernels::compute_t<T>>(values[i]));
    kernels::copy(data(), device_of<D>, typed.data(), kernels::Device::host, n_ * sizeof(T));
  }
  T* data() const { return reinterpret_cast<T*>(block_.template as<unsigned char>() + guard); }

  std::vector<T> values() const { return read().second; }
  bool guards_intact() const { return read().first; }

 private:
  static constexpr std::size_t guard = 256;
  static constexpr unsigned char pattern = 0xa5;
  std::pair<bool, std::vector<T>> read() const {
    std::vector<unsigned char> bytes(block_.bytes());
    kernels::copy(bytes.data(), kernels::Device::host, block_.data(), device_of<D>, bytes.size());
    const auto is_pattern = [](unsigned char b) { return b == pattern; };
    const bool intact = std::all_of(bytes.begin(), bytes.begin() + guard, is_pattern) &&
                        std::all_of(bytes.end() - guard, bytes.end(), is_pattern);
    std::vector<T> values(n_);
    std::memcpy(values.data(), bytes.data() + guard, n_ * sizeof(T));
    return {intact, values};
  }
  std::size_t n_;
  kernels::Buffer block_;
};

// The error allowed to one output: rounding of the sum, in proportion to the added
// magnitudes, and rounding of the result.
template <class T> struct Tolerance { static constexpr double sum = 1e-6, result = 1e-6; };
template <> struct Tolerance<double> { static constexpr double sum = 1e-15, result = 1e-12; };
template <> struct Tolerance<kernels::f16> {
  static constexpr double sum = 1e-6, result = 1.0 / 2048;
};
template <> struct Tolerance<kernels::bf16> {
  static constexpr double sum = 1e-6, result = 1.0 / 256;
};

template <class D, class T>
void expect_close(const Array<D, T>& got, const reference::Sums& expected,
                  const std::string& what) {
  EXPECT_TRUE(got.guards_intact()) << what << ": wrote outside its output";
  const std::vector<T> values = got.values();
  ASSERT_EQ(values.size(), expected.value.size()) << what;
  double worst = 0;
  std::size_t where = 0;
  for (std::size_t i = 0; i < values.size(); ++i) {
    const double error = std::abs(
        static_cast<double>(static_cast<kernels::compute_t<T>>(values[i])) - expected.value[i]);
    const double allowed = Tolerance<T>::sum * expected.magnitude[i] +
                           Tolerance<T>::result * std::abs(expected.value[i]);
    const double ratio = error == 0 ? 0 : error / allowed;
    if (!(ratio <= worst)) worst = ratio, where = i;
    if (std::isnan(ratio)) break;
  }
  EXPECT_LE(worst, 1.0) << what << ": element " << where << " is "
                        << static_cast<double>(static_cast<kernels::compute_t<T>>(values[where]))
                        << ", expected " << expected.value[where];
}
}  // namespace seam
