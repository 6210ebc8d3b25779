// CRC-32C (Castagnoli, reflected polynomial 0x82F63B78): by the SSE4.2 instruction if
// the processor has it, else eight bytes at a time from tables ("slicing by 8",
// Kounavis and Berry 2005).
#include "nn/checkpoint/crc32c.h"

#include <array>
#include <cstring>

#if defined(__x86_64__)
#include <nmmintrin.h>
#endif

namespace nn {
namespace {

// table[k][b]: the remainder of byte b followed by k zero bytes.
constexpr auto table = [] {
  std::array<std::array<std::uint32_t, 256>, 8> t{};
  for (std::uint32_t b = 0; b < 256; ++b) {
    std::uint32_t r = b;
    for (int bit = 0; bit < 8; ++bit) r = (r >> 1) ^ (r & 1 ? 0x82F63B78u : 0u);
    t[0][b] = r;
  }
  for (std::size_t k = 1; k < 8; ++k)
    for (std::size_t b = 0; b < 256; ++b) t[k][b] = (t[k - 1][b] >> 8) ^ t[0][t[k - 1][b] & 255];
  return t;
}();

std::uint32_t by_tables(const std::byte* p, std::size_t n, std::uint32_t r) {
  const auto at = [&](int i) { return std::to_integer<std::uint32_t>(p[i]); };
  for (; n >= 8; p += 8, n -= 8) {
    const std::uint32_t low = r ^ (at(0) | at(1) << 8 | at(2) << 16 | at(3) << 24);
    r = table[7][low & 255] ^ table[6][low >> 8 & 255] ^ table[5][low >> 16 & 255] ^
        table[4][low >> 24] ^ table[3][at(4)] ^ table[2][at(5)] ^ table[1][at(6)] ^ table[0][at(7)];
  }
  for (; n > 0; ++p, --n) r = (r >> 8) ^ table[0][(r ^ at(0)) & 255];
  return r;
}

#if defined(__x86_64__)
__attribute__((target("sse4.2"))) std::uint32_t by_instruction(const std::byte* p, std::size_t n,
                                                               std::uint32_t r) {
  std::uint64_t wide = r;
  for (; n >= 8; p += 8, n -= 8) {
    std::uint64_t word;
    std::memcpy(&word, p, 8);
    wide = _mm_crc32_u64(wide, word);
  }
  r = static_cast<std::uint32_t>(wide);
  for (; n > 0; ++p, --n) r = _mm_crc32_u8(r, std::to_integer<unsigned char>(*p));
  return r;
}
#endif
}  // namespace

std::uint32_t crc32c_portable(std::span<const std::byte> data, std::uint32_t crc) {
  return ~by_tables(data.data(), data.size(), ~crc);
}

std::uint32_t crc32c(std::span<const std::byte> data, std::uint32_t crc) {
#if defined(__x86_64__)
  static const bool has_instruction = __builtin_cpu_supports("sse4.2");
  if (has_instruction) return ~by_instruction(data.data(), data.size(), ~crc);
#endif
  return crc32c_portable(data, crc);
}
}  // namespace nn
