// PNG files through libpng: pixels, texts and checksums.
#pragma once
#include <cstddef>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "faceswap/image.h"
#include "faceswap/media/stored_picture.h"

namespace faceswap {

// A text in a chunk of its own (iTXt, UTF-8).
struct PngText {
  std::string keyword, text;
};

// Grey, RGB or RGBA, 8 bits a channel. The texts stand before the pixels, for readers
// that stop there. Error(failure): not such a picture, or a keyword outside 1 to 79
// bytes.
std::vector<std::byte> encode_png(const Image&, const std::vector<PngText>& texts = {});
// Appears whole or not at all. Error(usage): exists and not `force`; Error(disk).
void write_png(const std::filesystem::path&, const Image&, const std::vector<PngText>& texts = {},
               bool force = true);

bool has_png_signature(std::span<const std::byte> file);
// Reads the whole file, verifies every checksum, and fills what is not null. Returns
// the problem found, or an empty string. Alpha is dropped.
std::string decode_png(std::span<const std::byte> file, Image* rgb, std::vector<PngText>* texts);
// With alpha and the colour profile, for pictures that are not faces of ours.
std::string decode_png(std::span<const std::byte> file, StoredPicture& picture);

std::optional<std::string> find_text(const std::vector<PngText>&, const std::string& keyword);

struct PngFile {
  Image rgb;
  std::vector<PngText> texts;
};
// Error(input): unreadable; Error(damaged): not a whole PNG.
PngFile read_png(const std::filesystem::path&);
// Stops before the pixels where the text is found there: only a text's own checksum is
// verified then.
std::optional<std::string> read_png_text(const std::filesystem::path&, const std::string& keyword);
// Replaces one text chunk and leaves every other byte, so the pixels are not packed again.
// Error(input); Error(damaged): no PNG, or it has no such text; Error(disk).
void replace_png_text(const std::filesystem::path&, const PngText&);
}  // namespace faceswap
