// The parts of PNG that stb_image leaves out: chunks with checked CRCs, text, and a writer fast enough for face sets.
#pragma once
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

namespace faceswap {

struct PngChunk {
  std::string_view type;  // four characters
  std::span<const std::byte> data;
};

// The chunks of a PNG from IHDR to IEND. Every CRC is checked; `problem` says what is wrong (empty: nothing), and the chunks
// before it are given.
struct PngChunks {
  std::vector<PngChunk> chunks;
  std::string_view problem;
};
PngChunks parse_png(std::span<const std::byte> file);
bool has_png_signature(std::span<const std::byte> file);

std::uint32_t crc32(std::span<const std::byte> data);

// zlib stream of `raw` by run lengths and Huffman codes only: see deflate.cpp.
std::vector<std::byte> zlib_compress_fast(std::span<const std::uint8_t> raw);

}  // namespace faceswap
