// The two-byte floats against the definitions of their formats.
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "kernels/core/types.h"

namespace {

using kernels::f16;

f16 from_bits(unsigned bits) {
  f16 h{};
  h.bits = static_cast<std::uint16_t>(bits);
  return h;
}

// By the definition (IEEE 754-2008, binary16), with powers of two instead of bits.
double value_of(unsigned bits) {
  const double sign = bits & 0x8000u ? -1 : 1, mantissa = bits & 0x3ffu;
  const int exponent = static_cast<int>(bits >> 10 & 31u);
  if (exponent == 31)
    return mantissa == 0 ? sign * std::numeric_limits<double>::infinity()
                         : std::numeric_limits<double>::quiet_NaN();
  return exponent == 0 ? sign * mantissa * std::ldexp(1.0, -24)
                       : sign * (1024 + mantissa) * std::ldexp(1.0, exponent - 25);
}

TEST(F16, EveryValueIsReadAndWrittenBack) {
  for (unsigned bits = 0; bits < 0x10000u; ++bits) {
    const float value = static_cast<float>(from_bits(bits));
    if (std::isnan(value_of(bits))) {
      EXPECT_TRUE(std::isnan(value)) << bits;
      EXPECT_TRUE(std::isnan(static_cast<float>(f16(value)))) << bits;
      continue;
    }
    ASSERT_EQ(static_cast<double>(value), value_of(bits)) << bits;
    ASSERT_EQ(f16(value).bits, bits);
  }
}

// To the nearer neighbour, from the middle to the even one; beyond the largest,
// infinity.
TEST(F16, RoundsToNearestEven) {
  for (unsigned bits = 0; bits < 0x7c00u; ++bits) {
    const double low = value_of(bits), high = bits == 0x7bffu ? 65536 : value_of(bits + 1);
    const float middle = static_cast<float>((low + high) / 2);
    ASSERT_EQ(f16(middle).bits, bits % 2 == 0 ? bits : bits + 1) << middle;
    ASSERT_EQ(f16(std::nextafterf(middle, 0.f)).bits, bits) << middle;
    ASSERT_EQ(f16(std::nextafterf(middle, 1e9f)).bits, bits + 1) << middle;
    ASSERT_EQ(f16(-middle).bits, f16(middle).bits | 0x8000u);
  }
  EXPECT_EQ(f16(1e30f).bits, 0x7c00u);
  EXPECT_EQ(f16(std::numeric_limits<float>::denorm_min()).bits, 0u);
}
}  // namespace
