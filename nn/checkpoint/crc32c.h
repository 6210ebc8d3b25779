// CRC-32C, the checksum of checkpoints and face sets.
#pragma once
#include <cstddef>
#include <cstdint>
#include <span>

namespace nn {

// Castagnoli's polynomial (RFC 3720, appendix B.4). Chain by passing the last result.
std::uint32_t crc32c(std::span<const std::byte> data, std::uint32_t crc = 0);
// The same bits without special instructions.
std::uint32_t crc32c_portable(std::span<const std::byte> data, std::uint32_t crc = 0);
}  // namespace nn
