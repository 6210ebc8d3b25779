// Number types and tags that kernels and their callers share. No CUDA header is needed to include this.
#pragma once
#include <bit>
#include <cstdint>
#include <type_traits>

#if defined(__CUDACC__)
#define KERNELS_BOTH __host__ __device__
#else
#define KERNELS_BOTH
#endif

namespace kernels {

// Where a launcher runs: launchers are templates on one of these, and each build of a .cu instantiates its own.
struct Host {};
struct Cuda {};

// bfloat16: the upper half of a float. Storage only: kernels convert to float, compute, and convert back.
struct bf16 {
  std::uint16_t bits;

  bf16() = default;
  KERNELS_BOTH explicit constexpr bf16(float value) : bits(0) {
    const std::uint32_t u = std::bit_cast<std::uint32_t>(value);
    const std::uint32_t rounded = u + 0x7fffu + ((u >> 16) & 1u);  // to nearest, ties to even
    bits = static_cast<std::uint16_t>((u & 0x7fffffffu) > 0x7f800000u ? (u >> 16) | 0x40u : rounded >> 16);  // NaN stays NaN
  }
  KERNELS_BOTH explicit constexpr operator float() const { return std::bit_cast<float>(static_cast<std::uint32_t>(bits) << 16); }
};

// The type a kernel computes and accumulates in: float for float and bf16, double for the gradient checks' double.
template <class T> struct Compute { using type = float; };
template <> struct Compute<double> { using type = double; };
template <class T> using compute_t = typename Compute<T>::type;

}  // namespace kernels
