// Storage types and tags of kernels and their callers. Needs no CUDA header.
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

// The device a launcher runs on: launchers are templates on one of these tags, and each
// build of a .cu instantiates its own.
struct Host {};
struct Cuda {};

// bfloat16: the upper half of a float. For storage; kernels compute in float.
struct bf16 {
  std::uint16_t bits;

  bf16() = default;
  KERNELS_BOTH explicit constexpr bf16(float value) : bits(0) {
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 800
    if (!std::is_constant_evaluated()) {  // one instruction; every NaN becomes 0x7fff
      asm("cvt.rn.bf16.f32 %0, %1;" : "=h"(bits) : "f"(value));
      return;
    }
#endif
    const std::uint32_t u = std::bit_cast<std::uint32_t>(value);
    const std::uint32_t rounded = u + 0x7fffu + ((u >> 16) & 1u);  // to nearest, ties to even
    bits = static_cast<std::uint16_t>(
        (u & 0x7fffffffu) > 0x7f800000u ? (u >> 16) | 0x40u : rounded >> 16);  // NaN stays NaN
  }
  KERNELS_BOTH explicit constexpr operator float() const {
    return std::bit_cast<float>(static_cast<std::uint32_t>(bits) << 16);
  }
};

// IEEE half: ten bits of mantissa, but only up to 65504 and down to 6e-8. For cards
// without bf16; training needs a scaled loss.
struct f16 {
  std::uint16_t bits;

  f16() = default;
  KERNELS_BOTH explicit constexpr f16(float value) : bits(0) {
#if defined(__CUDA_ARCH__)
    if (!std::is_constant_evaluated()) {
      asm("cvt.rn.f16.f32 %0, %1;" : "=h"(bits) : "f"(value));
      return;
    }
#endif
    const std::uint32_t u = std::bit_cast<std::uint32_t>(value), sign = u >> 16 & 0x8000u,
                        magnitude = u & 0x7fffffffu;
    std::uint32_t rounded = 0;
    if (magnitude > 0x7f800000u) rounded = 0x7e00u;        // NaN
    else if (magnitude >= 0x47800000u) rounded = 0x7c00u;  // 65536 and more: infinity
    else if (magnitude < 0x38800000u)  // below 2^-14: adding 0.5 rounds to multiples of 2^-24
      rounded = std::bit_cast<std::uint32_t>(std::bit_cast<float>(magnitude) + 0.5f) - 0x3f000000u;
    else  // to nearest, ties to even
      rounded = (magnitude - 0x38000000u + 0xfffu + (magnitude >> 13 & 1u)) >> 13;
    bits = static_cast<std::uint16_t>(sign | rounded);
  }
  KERNELS_BOTH explicit constexpr operator float() const {
#if defined(__CUDA_ARCH__)
    if (!std::is_constant_evaluated()) {
      float value;
      asm("cvt.f32.f16 %0, %1;" : "=f"(value) : "h"(bits));
      return value;
    }
#endif
    const std::uint32_t sign = static_cast<std::uint32_t>(bits & 0x8000u) << 16,
                        magnitude = static_cast<std::uint32_t>(bits & 0x7fffu) << 13;
    if (magnitude >= 0x0f800000u)  // infinity, NaN
      return std::bit_cast<float>(sign | 0x70000000u | magnitude);
    const float scaled = std::bit_cast<float>(magnitude) * 0x1p112f;  // the exponents' difference
    return std::bit_cast<float>(sign | std::bit_cast<std::uint32_t>(scaled));
  }
};

// The type of a kernel's sums: double for double (gradient checks), else float.
template <class T> struct Compute { using type = float; };
template <> struct Compute<double> { using type = double; };
template <class T> using compute_t = typename Compute<T>::type;
}  // namespace kernels
