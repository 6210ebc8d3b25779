#include "faceswap/media/stored_picture.h"

#include <fmt/format.h>
#include <lcms2.h>
#include <zlib.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <cstring>
#include <map>
#include <memory>

namespace faceswap {
namespace {

using Bytes = std::span<const std::byte>;

constexpr std::size_t kMaxProfile = 4u << 20;  // real ones have up to 2 MB

unsigned byte_at(Bytes b, std::size_t i) { return static_cast<unsigned>(b[i]); }
unsigned big16(Bytes b, std::size_t i) { return byte_at(b, i) << 8 | byte_at(b, i + 1); }
std::size_t big32(Bytes b, std::size_t i) {
  return static_cast<std::size_t>(big16(b, i)) << 16 | big16(b, i + 2);
}
bool says(Bytes b, std::size_t i, const char* text, std::size_t bytes) {
  return i + bytes <= b.size() && std::memcmp(&b[i], text, bytes) == 0;
}

std::vector<std::byte> unpack(Bytes packed) {
  std::vector<std::byte> out(kMaxProfile);
  uLongf size = out.size();
  const int result = ::uncompress(reinterpret_cast<Bytef*>(out.data()), &size,
                                  reinterpret_cast<const Bytef*>(packed.data()), packed.size());
  out.resize(result == Z_OK ? size : 0);
  return out;
}

struct Close {
  void operator()(void* profile) const { cmsCloseProfile(profile); }
};
struct Delete {
  void operator()(void* context) const { cmsDeleteContext(static_cast<cmsContext>(context)); }
};
struct DeleteTransform {
  void operator()(void* transform) const { cmsDeleteTransform(transform); }
};
using Profile = std::unique_ptr<void, Close>;
using Transform = std::unique_ptr<void, DeleteTransform>;

std::string description(cmsHPROFILE profile) {
  std::array<char, 80> text{};
  cmsGetProfileInfoASCII(profile, cmsInfoDescription, "en", "US", text.data(), text.size());
  std::string name(text.data());
  std::erase_if(name, [](char c) { return c < ' ' || c > '~'; });
  return name.empty() ? "its profile" : name;
}

// True if no colour of a coarse grid moves by more than rounding.
bool changes_nothing(cmsHTRANSFORM transform, int channels) {
  constexpr int kSteps = 6;
  for (int i = 0; i < (channels == 1 ? kSteps : kSteps * kSteps * kSteps); ++i) {
    const auto level = [](int step) { return static_cast<std::uint8_t>(step % kSteps * 51); };
    const std::array<std::uint8_t, 3> from{level(i), level(channels == 1 ? i : i / kSteps),
                                           level(channels == 1 ? i : i / kSteps / kSteps)};
    std::array<std::uint8_t, 3> to{};
    cmsDoTransform(transform, from.data(), to.data(), 1);
    for (std::size_t c = 0; c < 3; ++c)
      if (std::abs(int{from[c]} - int{to[c]}) > 1) return false;
  }
  return true;
}
}  // namespace

int tiff_orientation(Bytes tiff) {
  if (tiff.size() < 8) return 1;
  const bool little = byte_at(tiff, 0) == 'I';
  if (byte_at(tiff, 0) != byte_at(tiff, 1) || (!little && byte_at(tiff, 0) != 'M')) return 1;
  const auto u16 = [&](std::size_t i) {
    return little ? byte_at(tiff, i + 1) << 8 | byte_at(tiff, i) : big16(tiff, i);
  };
  const auto u32 = [&](std::size_t i) {
    return little ? u16(i + 2) << 16 | u16(i) : u16(i) << 16 | u16(i + 2);
  };
  if (u16(2) != 42) return 1;
  const std::size_t directory = u32(4);
  if (directory > tiff.size() - 2) return 1;
  const unsigned entries = u16(directory);
  for (unsigned e = 0; e < entries; ++e) {
    const std::size_t at = directory + 2 + 12u * e;
    if (at + 12 > tiff.size()) return 1;
    if (u16(at) == 0x0112)
      return u16(at + 2) == 3 && u32(at + 4) == 1 ? static_cast<int>(u16(at + 8)) : 1;
  }
  return 1;
}

Bytes webp_chunk(Bytes file, const char* name) {
  for (std::size_t at = 12; at + 8 <= file.size();) {
    const std::size_t length = byte_at(file, at + 4) | byte_at(file, at + 5) << 8 |
                               byte_at(file, at + 6) << 16 |
                               static_cast<std::size_t>(byte_at(file, at + 7)) << 24;
    if (length > file.size() - at - 8) return {};
    if (says(file, at, name, 4)) return file.subspan(at + 8, length);
    at += 8 + length + length % 2;
  }
  return {};
}

std::vector<std::byte> png_profile(Bytes file) {
  for (std::size_t at = 8; at + 12 <= file.size();) {
    const std::size_t length = big32(file, at);
    if (length > file.size() - at - 12 || says(file, at + 4, "IDAT", 4)) return {};
    if (says(file, at + 4, "iCCP", 4)) {
      // A name, a zero, the method (0), and the packed profile.
      const Bytes data = file.subspan(at + 8, length);
      const auto end = std::find(data.begin(), data.end(), std::byte{0});
      const auto name = static_cast<std::size_t>(end - data.begin());
      return name + 2 < data.size() ? unpack(data.subspan(name + 2)) : std::vector<std::byte>();
    }
    at += length + 12;
  }
  return {};
}

std::vector<std::byte> jpeg_profile(Bytes file) {
  constexpr std::size_t kHead = 14;  // "ICC_PROFILE", a zero, the piece's number, their count
  std::map<unsigned, Bytes> pieces;
  for (std::size_t at = 2; at + 4 <= file.size() && byte_at(file, at) == 0xff;) {
    const unsigned marker = byte_at(file, at + 1);
    const std::size_t length = big16(file, at + 2);
    if (marker == 0xda || length < 2 || length + 2 > file.size() - at) break;  // a scan begins
    const Bytes data = file.subspan(at + 4, length - 2);
    if (marker == 0xe2 && data.size() > kHead && says(data, 0, "ICC_PROFILE", 12))
      pieces[byte_at(data, 12)] = data.subspan(kHead);
    at += length + 2;
  }
  std::vector<std::byte> profile;
  unsigned expected = 1;
  for (const auto& [number, piece] : pieces) {
    if (number != expected++ || profile.size() + piece.size() > kMaxProfile) return {};
    profile.insert(profile.end(), piece.begin(), piece.end());
  }
  return profile;
}

std::string profile_to_srgb(Bytes bytes, Image& rgb) {
  const std::string useless = "its colour profile cannot be used, colours were taken for sRGB";
  if (bytes.size() > kMaxProfile) return useless;
  const std::unique_ptr<_cmsContext_struct, Delete> context(cmsCreateContext(nullptr, nullptr));
  const Profile from(cmsOpenProfileFromMemTHR(context.get(), bytes.data(),
                                              static_cast<cmsUInt32Number>(bytes.size())));
  const Profile to(cmsCreate_sRGBProfileTHR(context.get()));
  if (!from || !to) return useless;
  const bool gray = cmsGetColorSpace(from.get()) == cmsSigGrayData;
  if (!gray && cmsGetColorSpace(from.get()) != cmsSigRgbData) return useless;
  const Transform transform(cmsCreateTransformTHR(
      context.get(), from.get(), gray ? TYPE_GRAY_8 : TYPE_RGB_8, to.get(), TYPE_RGB_8,
      INTENT_RELATIVE_COLORIMETRIC, cmsFLAGS_BLACKPOINTCOMPENSATION));
  if (!transform) return useless;
  if (changes_nothing(transform.get(), gray ? 1 : 3)) return "";
  const std::size_t pixels = static_cast<std::size_t>(rgb.width) * rgb.height;
  if (gray) {
    std::vector<std::uint8_t> level(pixels);
    for (std::size_t i = 0; i < pixels; ++i) level[i] = rgb.pixels[3 * i];
    cmsDoTransform(transform.get(), level.data(), rgb.pixels.data(),
                   static_cast<cmsUInt32Number>(pixels));
  } else {
    cmsDoTransform(transform.get(), rgb.pixels.data(), rgb.pixels.data(),
                   static_cast<cmsUInt32Number>(pixels));
  }
  return fmt::format("its colours were converted from {} to sRGB", description(from.get()));
}
}  // namespace faceswap
