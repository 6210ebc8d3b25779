// PNG files through libpng: pixels, texts and checksums.
#pragma once
#include <cstddef>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "faceswap/image.h"

namespace faceswap {

// A text in a chunk of its own (iTXt, UTF-8).
struct PngText {
  std::string keyword, text;
};

// Grey, RGB or RGBA, 8 bits a channel. The texts stand before the pixels, for readers that
// stop there. Error(failure): not such a picture, or a keyword outside 1 to 79 bytes.
std::vector<std::byte> encode_png(const Image&, const std::vector<PngText>& texts = {});
// Appears whole or not at all. Error(usage): exists and not `force`; Error(disk).
void write_png(const std::filesystem::path&, const Image&, const std::vector<PngText>& texts = {},
               bool force = true);

bool has_png_signature(std::span<const std::byte> file);
// The whole file is read and every checksum verified. Both return the problem found; an
// empty string means none.
std::string decode_png(std::span<const std::byte> file, Image& rgb);  // alpha is dropped
std::string decode_png_texts(std::span<const std::byte> file, std::vector<PngText>& texts);

// The first text under `keyword`. Error(input): unreadable; Error(damaged): not a whole PNG.
std::optional<std::string> read_png_text(const std::filesystem::path&, const std::string& keyword);

}  // namespace faceswap
