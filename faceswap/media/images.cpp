// JPEG through stb_image, fed from memory. A stranger's file is checked before stb sees
// it: sizes, Huffman tables, and a limit on every allocation. Every picture then becomes
// an upright one in sRGB without alpha.
#include "faceswap/media/images.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <optional>

#include "faceswap/media/files.h"
#include "faceswap/media/orientation.h"
#include "faceswap/media/png.h"
#include "faceswap/media/stored_picture.h"
#if DOPPEL_MEDIA
#include "faceswap/media/libav/picture.h"
#endif

namespace {

// The most bytes that one allocation inside stb may take, set for each picture.
thread_local std::size_t g_stb_limit = 0;

void* stb_allocate(std::size_t bytes) {
  return bytes <= g_stb_limit ? std::malloc(bytes) : nullptr;
}
}  // namespace

#define STBI_MALLOC(bytes) stb_allocate(bytes)
#define STBI_REALLOC(old, bytes) nullptr  // the JPEG decoder never reallocates
#define STBI_FREE(old) std::free(old)
#define STBI_ONLY_JPEG
#define STBI_NO_HDR
#define STBI_NO_LINEAR
#define STBI_NO_STDIO
#define STBI_MAX_DIMENSIONS faceswap::kMaxImageSide
#define STB_IMAGE_STATIC
#define STB_IMAGE_IMPLEMENTATION
#define STB_IMAGE_WRITE_STATIC
#define STB_IMAGE_WRITE_IMPLEMENTATION
#define STBI_WRITE_NO_STDIO
#include <stb_image.h>
#include <stb_image_write.h>

namespace faceswap {
namespace {

using Bytes = std::span<const std::byte>;

unsigned byte_at(Bytes b, std::size_t i) { return static_cast<unsigned>(b[i]); }
unsigned big16(Bytes b, std::size_t i) { return byte_at(b, i) << 8 | byte_at(b, i + 1); }

// Checks the sixteen counts of each Huffman table. stb_image 2.27 trusts them and would
// write past its 256 entries.
bool huffman_tables_fit(Bytes tables) {
  while (!tables.empty()) {
    if (tables.size() < 17) return false;
    unsigned sum = 0, code = 0;
    for (std::size_t bits = 1; bits <= 16; ++bits) {
      sum += byte_at(tables, bits);
      code = (code << 1) + byte_at(tables, bits);
      if (code > 1u << bits) return false;  // more codes than that many bits can tell apart
    }
    if (sum > 256 || sum + 17 > tables.size()) return false;
    tables = tables.subspan(17 + sum);
  }
  return true;
}

// Walks the markers of a JPEG as stb does. Returns the EXIF orientation, or nothing if
// stb must not see the file.
std::optional<int> check_jpeg(Bytes file) {
  int orientation = 1;
  std::size_t at = 2;  // after FF D8
  bool in_scan = false;
  while (at + 2 <= file.size()) {
    const unsigned marker = byte_at(file, at + 1);
    if (byte_at(file, at) != 0xff || marker == 0xff) {  // a scan's data, padding, fill bytes
      ++at;
      continue;
    }
    at += 2;
    if (in_scan && (marker == 0 || (marker >= 0xd0 && marker <= 0xd7)))
      continue;  // a stuffed byte, a restart
    if (marker == 0xd9) return orientation;
    if (at + 2 > file.size()) return orientation;
    const std::size_t length = big16(file, at);
    if (length < 2) return std::nullopt;
    if (length > file.size() - at)
      return marker == 0xc4 ? std::nullopt : std::optional(orientation);  // stb reports the cut
    const Bytes data = file.subspan(at + 2, length - 2);
    if (marker == 0xc4 && !huffman_tables_fit(data)) return std::nullopt;
    if (marker == 0xe1 && data.size() > 6 && std::memcmp(data.data(), "Exif\0\0", 6) == 0)
      orientation = tiff_orientation(data.subspan(6));
    in_scan = in_scan || marker == 0xda;
    at += length;
  }
  return orientation;
}

// Returns the problem found, or an empty string.
std::string decode_jpeg(Bytes file, StoredPicture& picture) {
  const std::optional<int> orientation = check_jpeg(file);
  if (!orientation) return "its JPEG structure is damaged";
  const auto* data = reinterpret_cast<const stbi_uc*>(file.data());
  const int size = static_cast<int>(file.size());
  int width = 0, height = 0, channels = 0;
  g_stb_limit = 1u << 20;
  if (!stbi_info_from_memory(data, size, &width, &height, &channels) || width < 1 || height < 1)
    return stbi_failure_reason();
  const std::int64_t pixels = static_cast<std::int64_t>(width) * height;
  if (pixels > kMaxImagePixels)
    return fmt::format("it has {}x{} pixels, at most {} megapixels are read", width, height,
                       kMaxImagePixels / 1'000'000);
  g_stb_limit = static_cast<std::size_t>(pixels) * 16 + (16u << 20);
  const std::unique_ptr<stbi_uc, void (*)(void*)> decoded(
      stbi_load_from_memory(data, size, &width, &height, &channels, 3), std::free);
  if (!decoded) return stbi_failure_reason();
  if (width < 1 || height < 1) return "it has no pixels";
  picture.pixels = Image(width, height);
  std::copy_n(decoded.get(), picture.pixels.pixels.size(), picture.pixels.pixels.begin());
  picture.orientation = *orientation;
  picture.profile = jpeg_profile(file);
  return "";
}

// path: of the same file.
std::string decode(Bytes file, const std::filesystem::path& path, StoredPicture& picture) {
  if (file.empty()) return "the file is empty";
  if (has_png_signature(file)) return decode_png(file, picture);
  if (file.size() > 3 && file[0] == std::byte{0xff} && file[1] == std::byte{0xd8})
    return decode_jpeg(file, picture);
#if DOPPEL_MEDIA
  if (libav::is_picture(file)) return libav::decode_picture(file, picture);
  if (libav::is_boxed_picture(file)) return libav::decode_boxed_picture(path, picture);
#else
  (void)path;
#endif
  return fmt::format("it is not {}", kImageKinds);
}

// RGB of RGBA over a middle grey. True if anything showed through.
bool lay_over_grey(Image& picture) {
  if (picture.channels != 4) return false;
  constexpr int kGrey = 128;
  bool seen = false;
  Image rgb(picture.width, picture.height);
  for (std::size_t i = 0; i < picture.pixels.size() / 4; ++i) {
    const std::uint8_t* from = &picture.pixels[4 * i];
    const int alpha = from[3];
    seen = seen || alpha != 255;
    for (std::size_t c = 0; c < 3; ++c)
      rgb.pixels[3 * i + c] =
          static_cast<std::uint8_t>((from[c] * alpha + kGrey * (255 - alpha) + 127) / 255);
  }
  picture = std::move(rgb);
  return seen;
}
}  // namespace

bool is_image_file(const std::filesystem::path& path) {
  const std::string suffix = lower_suffix(path);
  if (suffix == ".png" || suffix == ".jpg" || suffix == ".jpeg") return true;
  for (const char* by_libav : {".webp", ".tif", ".tiff", ".bmp", ".avif", ".heic", ".heif"})
    if (DOPPEL_MEDIA && suffix == by_libav) return true;
  return false;
}

bool is_image_output(const std::filesystem::path& path) {
  const std::string suffix = lower_suffix(path);
  return suffix == ".png" || suffix == ".jpg" || suffix == ".jpeg";
}

Image read_image(const std::filesystem::path& path, std::vector<std::string>* notes) {
  StoredPicture picture;
  if (const std::string problem = decode(read_whole_file(path, kMaxImageBytes), path, picture);
      !problem.empty())
    throw Error(ErrorKind::input, fmt::format("{}: cannot be read as a picture: {}. Give a {} file",
                                              path.string(), problem, kImageKinds));
  const auto note = [notes](std::string text) {
    if (notes && !text.empty()) notes->push_back(std::move(text));
  };
  if (picture.deep) note("its channels were rounded to 8 bits");
  if (lay_over_grey(picture.pixels)) note("its transparent parts were laid over grey");
  if (!picture.profile.empty()) note(profile_to_srgb(picture.profile, picture.pixels));
  Image upright;
  const Image& stored = picture.pixels;
  to_upright(stored.pixels.data(), static_cast<std::ptrdiff_t>(stored.width) * 3, stored.width,
             stored.height, orientation_of_exif(picture.orientation), upright);
  return upright;
}

std::vector<std::byte> encode_jpeg(const Image& image, int quality) {
  std::vector<std::byte> out;
  const auto append = [](void* context, void* data, int bytes) {
    auto& to = *static_cast<std::vector<std::byte>*>(context);
    const auto* from = static_cast<const std::byte*>(data);
    to.insert(to.end(), from, from + bytes);
  };
  if (image.empty() || !stbi_write_jpg_to_func(append, &out, image.width, image.height,
                                               image.channels, image.pixels.data(), quality))
    throw Error(ErrorKind::failure, fmt::format("encode_jpeg: a picture of {}x{}x{} cannot be a "
                                                "JPEG: 1 to 4 channels and pixels were expected",
                                                image.width, image.height, image.channels));
  return out;
}
}  // namespace faceswap
