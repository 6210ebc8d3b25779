// Image files: PNG through libpng, JPEG through stb_image, other kinds through libav.
#pragma once
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "faceswap/image.h"

namespace faceswap {

// Limits on what is read: a small file must not unpack into all of memory.
inline constexpr std::uintmax_t kMaxImageBytes = 256u << 20;
inline constexpr int kMaxImageSide = 16384;
inline constexpr std::int64_t kMaxImagePixels = 64'000'000;

inline constexpr const char* kImageKinds =
    DOPPEL_MEDIA ? "PNG, JPEG, WebP, TIFF, BMP or AVIF" : "PNG or JPEG";

bool is_image_file(const std::filesystem::path&);    // by suffix: of these kinds
bool is_image_output(const std::filesystem::path&);  // by suffix: PNG or JPEG
// Upright (EXIF) 8-bit sRGB; alpha is laid over grey. notes: takes what that changed, in
// words for the user: "its channels were rounded to 8 bits". Error(input).
Image read_image(const std::filesystem::path&, std::vector<std::string>* notes = nullptr);
std::vector<std::byte> encode_jpeg(const Image&, int quality);  // Error(failure)
}  // namespace faceswap
