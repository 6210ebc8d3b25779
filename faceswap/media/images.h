// Image files: PNG through libpng, JPEG through stb_image.
#pragma once
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <vector>

#include "faceswap/image.h"

namespace faceswap {

// Limits on what is read: a small file must not unpack into all of memory.
inline constexpr std::uintmax_t kMaxImageBytes = 256u << 20;
inline constexpr int kMaxImageSide = 16384;
inline constexpr std::int64_t kMaxImagePixels = 64'000'000;

bool is_image_file(const std::filesystem::path&);  // by suffix: .png, .jpg, .jpeg
Image read_image(const std::filesystem::path&);    // RGB, EXIF orientation applied; Error(input)
std::vector<std::byte> encode_jpeg(const Image&, int quality);  // Error(failure)
}  // namespace faceswap
