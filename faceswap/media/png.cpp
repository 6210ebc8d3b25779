#include "faceswap/media/png.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <cstring>

#include "faceswap/media/files.h"
#include "faceswap/media/media.h"

namespace faceswap {
namespace {

constexpr std::uint8_t kSignature[8] = {0x89, 'P', 'N', 'G', '\r', '\n', 0x1a, '\n'};
constexpr std::uintmax_t kMaxFileBytes = 256u << 20;

std::uint32_t big_endian(const std::byte* p) {
  return static_cast<std::uint32_t>(p[0]) << 24 | static_cast<std::uint32_t>(p[1]) << 16 |
         static_cast<std::uint32_t>(p[2]) << 8 | static_cast<std::uint32_t>(p[3]);
}

void put_big_endian(std::vector<std::byte>& out, std::uint32_t value) {
  for (int shift = 24; shift >= 0; shift -= 8)
    out.push_back(static_cast<std::byte>(value >> shift & 0xff));
}

void put_chunk(std::vector<std::byte>& out, const char* type, std::span<const std::byte> data) {
  put_big_endian(out, static_cast<std::uint32_t>(data.size()));
  const std::size_t begin = out.size();
  for (int i = 0; i < 4; ++i) out.push_back(static_cast<std::byte>(type[i]));
  out.insert(out.end(), data.begin(), data.end());
  put_big_endian(out, crc32(std::span(out).subspan(begin)));
}

void put_string(std::vector<std::byte>& out, const std::string& text) {
  for (const char c : text) out.push_back(static_cast<std::byte>(c));
}

// PNG's five row filters (specification 9.2): what is stored is the pixel less a guess from its neighbours: left a, above b,
// above left c. Each takes the row, the row above (zeros for the first), the row's bytes, and bytes per pixel.
void filter_row(int type, const std::uint8_t* row, const std::uint8_t* above, std::size_t bytes,
                std::size_t bpp, std::uint8_t* out) {
  switch (type) {
    case 0: std::memcpy(out, row, bytes); break;
    case 1:
      for (std::size_t i = 0; i < bpp; ++i) out[i] = row[i];
      for (std::size_t i = bpp; i < bytes; ++i)
        out[i] = static_cast<std::uint8_t>(row[i] - row[i - bpp]);
      break;
    case 2:
      for (std::size_t i = 0; i < bytes; ++i) out[i] = static_cast<std::uint8_t>(row[i] - above[i]);
      break;
    case 3:
      for (std::size_t i = 0; i < bpp; ++i)
        out[i] = static_cast<std::uint8_t>(row[i] - above[i] / 2);
      for (std::size_t i = bpp; i < bytes; ++i)
        out[i] = static_cast<std::uint8_t>(row[i] - (row[i - bpp] + above[i]) / 2);
      break;
    default:
      for (std::size_t i = 0; i < bpp; ++i) out[i] = static_cast<std::uint8_t>(row[i] - above[i]);
      for (std::size_t i = bpp; i < bytes; ++i) {
        const std::int16_t a = row[i - bpp], b = above[i], c = above[i - bpp];
        const std::int16_t pa = static_cast<std::int16_t>(std::abs(b - c)),
                           pb = static_cast<std::int16_t>(std::abs(a - c)),
                           pc = static_cast<std::int16_t>(std::abs(a + b - 2 * c));
        const std::int16_t nearer = pb <= pc ? b : c;
        out[i] = static_cast<std::uint8_t>(row[i] - (pa <= pb && pa <= pc ? a : nearer));
      }
  }
}

// The usual guess at which filter compresses best: the smallest sum of the filtered bytes taken as signed.
std::uint32_t filter_cost(const std::uint8_t* row, std::size_t bytes) {
  std::uint32_t sum = 0;
  for (std::size_t i = 0; i < bytes; ++i)
    sum += static_cast<std::uint32_t>(std::min<int>(row[i], 256 - row[i]));
  return sum;
}

std::vector<std::uint8_t> filtered_rows(const Image& image) {
  const std::size_t bpp = static_cast<std::size_t>(image.channels),
                    bytes = static_cast<std::size_t>(image.width) * bpp;
  std::vector<std::uint8_t> out;
  out.reserve((bytes + 1) * static_cast<std::size_t>(image.height));
  const std::vector<std::uint8_t> zeros(bytes);
  std::vector<std::uint8_t> candidate(bytes), best(bytes);
  for (int y = 0; y < image.height; ++y) {
    const std::uint8_t* row = image.at(0, y);
    const std::uint8_t* above = y > 0 ? image.at(0, y - 1) : zeros.data();
    std::uint32_t best_cost = UINT32_MAX;
    int best_type = 0;
    for (int type = 0; type < 5; ++type) {
      filter_row(type, row, above, bytes, bpp, candidate.data());
      const std::uint32_t cost = filter_cost(candidate.data(), bytes);
      if (cost >= best_cost) continue;
      best_cost = cost, best_type = type;
      std::swap(best, candidate);
    }
    out.push_back(static_cast<std::uint8_t>(best_type));
    out.insert(out.end(), best.begin(), best.end());
  }
  return out;
}

}  // namespace

std::uint32_t crc32(std::span<const std::byte> data) {
  // Four tables: four bytes per step, 4 times as fast as byte by byte.
  static const auto tables = [] {
    std::array<std::array<std::uint32_t, 256>, 4> t{};
    for (std::uint32_t i = 0; i < 256; ++i) {
      std::uint32_t c = i;
      for (int k = 0; k < 8; ++k) c = (c & 1) ? 0xedb88320u ^ (c >> 1) : c >> 1;
      t[0][i] = c;
    }
    for (std::size_t i = 0; i < 256; ++i)
      for (std::size_t k = 1; k < 4; ++k) t[k][i] = (t[k - 1][i] >> 8) ^ t[0][t[k - 1][i] & 0xff];
    return t;
  }();
  std::uint32_t crc = 0xffffffffu;
  std::size_t i = 0;
  for (; i + 4 <= data.size(); i += 4) {
    crc ^= static_cast<std::uint32_t>(data[i]) | static_cast<std::uint32_t>(data[i + 1]) << 8 |
           static_cast<std::uint32_t>(data[i + 2]) << 16 |
           static_cast<std::uint32_t>(data[i + 3]) << 24;
    crc = tables[3][crc & 0xff] ^ tables[2][crc >> 8 & 0xff] ^ tables[1][crc >> 16 & 0xff] ^
          tables[0][crc >> 24];
  }
  for (; i < data.size(); ++i)
    crc = tables[0][(crc ^ static_cast<std::uint32_t>(data[i])) & 0xff] ^ (crc >> 8);
  return ~crc;
}

bool has_png_signature(std::span<const std::byte> file) {
  return file.size() >= 8 && std::memcmp(file.data(), kSignature, 8) == 0;
}

PngChunks parse_png(std::span<const std::byte> file) {
  PngChunks out;
  if (!has_png_signature(file)) {
    out.problem = "it does not begin as a PNG";
    return out;
  }
  for (std::size_t at = 8;;) {
    if (file.size() - at < 12) {
      out.problem = "it ends in the middle of a chunk";
      return out;
    }
    const std::uint32_t length = big_endian(&file[at]);
    if (length > 0x7fffffffu || length > file.size() - at - 12) {
      out.problem = "a chunk is longer than the file";
      return out;
    }
    if (crc32(file.subspan(at + 4, length + 4u)) != big_endian(&file[at + 8 + length])) {
      out.problem = "the checksum of a chunk is wrong";
      return out;
    }
    const PngChunk chunk{{reinterpret_cast<const char*>(&file[at + 4]), 4},
                         file.subspan(at + 8, length)};
    if (out.chunks.empty() && (chunk.type != "IHDR" || length != 13)) {
      out.problem = "its first chunk is not a header";
      return out;
    }
    out.chunks.push_back(chunk);
    at += length + 12u;
    if (chunk.type == "IEND") return out;
  }
}

std::vector<std::byte> encode_png(const Image& image, const std::vector<PngText>& texts) {
  if (image.width < 1 || image.height < 1 ||
      image.pixels.size() !=
          static_cast<std::size_t>(image.width) * image.height * image.channels ||
      (image.channels != 1 && image.channels != 3 && image.channels != 4))
    throw Error(ErrorKind::failure,
                fmt::format("encode_png: a picture of {}x{}x{} with {} bytes cannot be a PNG",
                            image.width, image.height, image.channels, image.pixels.size()));
  std::vector<std::byte> out;
  for (const std::uint8_t b : kSignature) out.push_back(static_cast<std::byte>(b));
  std::vector<std::byte> header;
  put_big_endian(header, static_cast<std::uint32_t>(image.width));
  put_big_endian(header, static_cast<std::uint32_t>(image.height));
  const int colour_type = image.channels == 1 ? 0 : image.channels == 3 ? 2 : 6;
  for (const int b : {8, colour_type, 0, 0, 0}) header.push_back(static_cast<std::byte>(b));
  put_chunk(out, "IHDR", header);
  for (const PngText& text : texts) {
    if (text.keyword.empty() || text.keyword.size() > 79 ||
        text.keyword.find('\0') != std::string::npos || text.text.find('\0') != std::string::npos)
      throw Error(
          ErrorKind::failure,
          fmt::format("encode_png: '{}' cannot be a text keyword (1 to 79 bytes, no zero byte)",
                      text.keyword));
    std::vector<std::byte> data;
    put_string(data, text.keyword);
    data.insert(
        data.end(), 5,
        std::byte{
            0});  // end of keyword; not compressed; method; no language; no translated keyword
    put_string(data, text.text);
    put_chunk(out, "iTXt", data);
  }
  put_chunk(out, "IDAT", zlib_compress_fast(filtered_rows(image)));
  put_chunk(out, "IEND", {});
  return out;
}

void write_png(const std::filesystem::path& path, const Image& image,
               const std::vector<PngText>& texts, bool force) {
  write_whole_file(path, encode_png(image, texts), force, false);
}

std::optional<std::string> read_png_text(const std::filesystem::path& path,
                                         const std::string& keyword) {
  const std::vector<std::byte> file = read_whole_file(path, kMaxFileBytes);
  const PngChunks png = parse_png(file);
  if (!png.problem.empty())
    throw Error(ErrorKind::damaged, fmt::format("{}: damaged PNG: {}. Restore or remove the file",
                                                path.string(), png.problem));
  for (const PngChunk& chunk : png.chunks) {
    if (chunk.type != "iTXt") continue;
    // keyword 0, compression flag, method, language 0, translated keyword 0, text
    const std::string_view data(reinterpret_cast<const char*>(chunk.data.data()),
                                chunk.data.size());
    const std::size_t end = data.find('\0');
    if (end == std::string_view::npos || data.substr(0, end) != keyword || end + 3 > data.size() ||
        data[end + 1] != 0)
      continue;
    const std::size_t language = data.find('\0', end + 3);
    if (language == std::string_view::npos) continue;
    const std::size_t translated = data.find('\0', language + 1);
    if (translated == std::string_view::npos) continue;
    return std::string(data.substr(translated + 1));
  }
  return std::nullopt;
}

}  // namespace faceswap
