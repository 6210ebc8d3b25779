// A picture as its file stores it, before read_image() makes an upright sRGB one of it.
#pragma once
#include <cstddef>
#include <span>
#include <string>
#include <vector>

#include "faceswap/image.h"

namespace faceswap {

struct StoredPicture {
  Image pixels;                    // RGB or RGBA, 8 bits a channel
  int orientation = 1;             // by EXIF, 1 to 8
  bool deep = false;               // the file has more than 8 bits a channel
  std::vector<std::byte> profile;  // ICC, or empty
};

// The orientation tag (0x0112) of a TIFF block, or 1.
int tiff_orientation(std::span<const std::byte> tiff);
// A chunk of a WebP file, by its four letters; empty: there is none.
std::span<const std::byte> webp_chunk(std::span<const std::byte> file, const char* name);
// The ICC profile of a whole file of that kind. Empty: there is none, or it is damaged.
std::vector<std::byte> png_profile(std::span<const std::byte> file);
std::vector<std::byte> jpeg_profile(std::span<const std::byte> file);

// Converts RGB from the profile's colours to sRGB, in place. Returns what was done, for the
// user: "colours converted from Display P3 to sRGB"; empty: the profile is sRGB.
std::string profile_to_srgb(std::span<const std::byte> profile, Image& rgb);
}  // namespace faceswap
