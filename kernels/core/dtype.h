// Element types as run-time values: what a tensor or an operand stores.
#pragma once
#include <cstddef>
#include <cstdint>

#include "kernels/core/types.h"

namespace kernels {

// f64 exists on the host only, for gradient checks.
enum class DType : std::uint8_t { f32, bf16, f16, f64, i32, u8 };

std::size_t size_of(DType);  // bytes of one element
const char* name(DType);     // "f32"

template <class T> constexpr DType dtype_of() {
  if constexpr (std::is_same_v<T, float>) return DType::f32;
  else if constexpr (std::is_same_v<T, bf16>) return DType::bf16;
  else if constexpr (std::is_same_v<T, f16>) return DType::f16;
  else if constexpr (std::is_same_v<T, double>) return DType::f64;
  else if constexpr (std::is_same_v<T, std::int32_t>) return DType::i32;
  else {
    static_assert(std::is_same_v<T, std::uint8_t>, "no DType stands for this type");
    return DType::u8;
  }
}
}  // namespace kernels
