// Still pictures of the kinds that libpng and stb_image do not read.
#pragma once
#include <cstddef>
#include <filesystem>
#include <span>
#include <string>

#include "faceswap/media/stored_picture.h"

namespace faceswap::libav {

bool is_picture(std::span<const std::byte> file);  // WebP, TIFF or BMP, by its first bytes
// Returns the problem found, or an empty string. Of an animation or of several pages the
// first picture is read, where libav does.
std::string decode_picture(std::span<const std::byte> file, StoredPicture& picture);
// AVIF and HEIC: pictures in a video's container, which libav reads by name. Upright
// already. HEIC in tiles, as phones write it, needs FFmpeg 7.
bool is_boxed_picture(std::span<const std::byte> file);
std::string decode_boxed_picture(const std::filesystem::path&, StoredPicture& picture);
}  // namespace faceswap::libav
