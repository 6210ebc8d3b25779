// libpng reports an error by longjmp, which skips destructors. Functions with a setjmp
// here hold plain data only, and what needs freeing belongs to their callers.
#include "faceswap/media/png.h"

#include <fmt/format.h>
#include <png.h>
#include <zlib.h>

#include <array>
#include <csetjmp>
#include <cstdio>
#include <cstring>
#include <new>

#include "faceswap/media/files.h"
#include "faceswap/media/images.h"

namespace faceswap {
namespace {

// Limits on texts: memory for one of them, unpacked, and their number.
constexpr png_alloc_size_t kMaxTextBytes = 8u << 20;
constexpr png_uint_32 kMaxTexts = 64;
constexpr std::size_t kHeadBytes = 32u << 10;  // hold the texts of our own files

using Message = std::array<char, 160>;

[[noreturn]] void on_error(png_structp png, png_const_charp text) {
  auto& message = *static_cast<Message*>(png_get_error_ptr(png));
  const std::size_t used = std::strlen(message.data());  // an explaining warning came before
  std::snprintf(&message[used], message.size() - used, used ? " (%s)" : "%s", text);
  png_longjmp(png, 1);
}

void on_warning(png_structp png, png_const_charp text) {
  auto& message = *static_cast<Message*>(png_get_error_ptr(png));
  std::snprintf(message.data(), message.size(), "%s", text);
}

[[noreturn]] void fail_to_start(const Message& message) {
  throw Error(ErrorKind::failure,
              fmt::format("libpng does not start: {}. Check the memory and libpng's installation",
                          message.data()));
}

// --- reading

struct Input {
  std::span<const std::byte> rest;
  std::size_t allowed = SIZE_MAX;  // bytes until the next row
};

void take(png_structp png, png_bytep out, png_size_t bytes) {
  auto& in = *static_cast<Input*>(png_get_io_ptr(png));
  if (bytes > in.rest.size()) png_error(png, "it ends in the middle of a chunk");
  if (bytes > in.allowed) png_error(png, "it holds more data than its size allows");
  std::memcpy(out, in.rest.data(), bytes);
  in.rest = in.rest.subspan(bytes);
  in.allowed -= bytes;
}

class Reader {
 public:
  explicit Reader(std::span<const std::byte> file) : in_{file} {
    png_ = png_create_read_struct(PNG_LIBPNG_VER_STRING, &message_, on_error, on_warning);
    if (png_) info_ = png_create_info_struct(png_);
    if (info_) return;
    png_destroy_read_struct(&png_, nullptr, nullptr);
    fail_to_start(message_);
  }
  ~Reader() { png_destroy_read_struct(&png_, &info_, nullptr); }
  Reader(const Reader&) = delete;
  Reader& operator=(const Reader&) = delete;

  // Reads up to the pixels, which become 8-bit RGB, or RGBA if `keep_alpha` and the file
  // has alpha. False: see problem().
  bool read_header(bool want_texts, bool keep_alpha) {
    if (setjmp(png_jmpbuf(png_))) return false;
    png_set_read_fn(png_, &in_, take);
    png_set_crc_action(png_, PNG_CRC_ERROR_QUIT, PNG_CRC_ERROR_QUIT);
    png_set_benign_errors(png_, 0);  // every violation of the standard is an error
    png_set_user_limits(png_, kMaxImageSide, kMaxImageSide);
    png_set_chunk_cache_max(png_, kMaxTexts);
    png_set_chunk_malloc_max(png_, want_texts ? kMaxTextBytes : kMaxImageBytes);
    // Of the chunks that a picture can do without, only the checksums are verified.
    png_set_keep_unknown_chunks(png_, PNG_HANDLE_CHUNK_NEVER, nullptr, -1);
    png_set_keep_unknown_chunks(
        png_, keep_alpha ? PNG_HANDLE_CHUNK_AS_DEFAULT : PNG_HANDLE_CHUNK_NEVER, kTransparency, 1);
    if (want_texts) png_set_keep_unknown_chunks(png_, PNG_HANDLE_CHUNK_AS_DEFAULT, kText, 1);
    png_read_info(png_, info_);
    png_set_palette_to_rgb(png_);
    png_set_expand_gray_1_2_4_to_8(png_);
    png_set_scale_16(png_);
    png_set_gray_to_rgb(png_);
    if (!keep_alpha) png_set_strip_alpha(png_);
    else if (png_get_valid(png_, info_, PNG_INFO_tRNS)) png_set_tRNS_to_alpha(png_);
    depth_ = png_get_bit_depth(png_, info_);
    passes_ = png_set_interlace_handling(png_);
    png_read_update_info(png_, info_);
    return true;
  }

  int width() const { return static_cast<int>(png_get_image_width(png_, info_)); }
  int height() const { return static_cast<int>(png_get_image_height(png_, info_)); }
  int channels() const { return png_get_channels(png_, info_); }
  int stored_depth() const { return depth_; }  // bits a channel, in the file
  std::size_t row_bytes() const { return png_get_rowbytes(png_, info_); }

  // Reads the rows and the rest of the file. Stride 0: all rows to the same memory.
  bool read_rows(std::uint8_t* rows, std::size_t stride) {
    if (setjmp(png_jmpbuf(png_))) return false;
    for (int pass = 0; pass < passes_; ++pass)
      for (int y = 0; y < height(); ++y) {
        // A row in many small chunks. Behind the last row libpng unpacks all that is left, so
        // without this limit a small file could keep it busy for minutes.
        in_.allowed = 16 * row_bytes() + (64u << 10);
        png_read_row(png_, rows + static_cast<std::size_t>(y) * stride, nullptr);
      }
    in_.allowed = SIZE_MAX;
    png_read_end(png_, info_);
    return true;
  }

  std::vector<PngText> texts() const {
    png_textp text = nullptr;
    int count = 0;
    png_get_text(png_, info_, &text, &count);
    std::vector<PngText> all;
    for (const png_text& t : std::span(text, static_cast<std::size_t>(count)))
      all.push_back({t.key, {t.text, t.itxt_length}});
    return all;
  }

  std::string problem() const { return message_.data(); }

 private:
  static constexpr png_byte kTransparency[] = "tRNS", kText[] = "iTXt";

  Input in_;
  Message message_{};
  png_structp png_ = nullptr;
  png_infop info_ = nullptr;
  int passes_ = 1, depth_ = 8;
};

std::string too_large(int width, int height) {
  if (std::int64_t{width} * height <= kMaxImagePixels) return "";
  return fmt::format("it has {}x{} pixels, at most {} megapixels are read", width, height,
                     kMaxImagePixels / 1'000'000);
}

void read(const std::filesystem::path& path, Image* rgb, std::vector<PngText>* texts) {
  const std::string problem = decode_png(read_whole_file(path, kMaxImageBytes), rgb, texts);
  if (!problem.empty())
    throw Error(ErrorKind::damaged, fmt::format("{}: damaged PNG: {}. Restore or remove the file",
                                                path.string(), problem));
}

// --- writing

void append(png_structp png, png_bytep data, png_size_t bytes) {
  auto& out = *static_cast<std::vector<std::byte>*>(png_get_io_ptr(png));
  const auto* from = reinterpret_cast<const std::byte*>(data);
  bool full = false;
  try {
    out.insert(out.end(), from, from + bytes);
  } catch (const std::bad_alloc&) { full = true; }  // an exception must not pass through C
  if (full) png_error(png, "out of memory");
}

struct WriteStruct {
  png_structp png = nullptr;
  png_infop info = nullptr;
  ~WriteStruct() { png_destroy_write_struct(&png, &info); }
};

bool write_picture(const WriteStruct& to, const Image& image, std::span<const png_text> texts,
                   std::vector<std::byte>* out) {
  if (setjmp(png_jmpbuf(to.png))) return false;
  png_set_write_fn(to.png, out, append, nullptr);
  png_set_IHDR(to.png, to.info, static_cast<png_uint_32>(image.width),
               static_cast<png_uint_32>(image.height), 8,
               image.channels == 1   ? PNG_COLOR_TYPE_GRAY
               : image.channels == 3 ? PNG_COLOR_TYPE_RGB
                                     : PNG_COLOR_TYPE_RGB_ALPHA,
               PNG_INTERLACE_NONE, PNG_COMPRESSION_TYPE_DEFAULT, PNG_FILTER_TYPE_DEFAULT);
  // Run lengths and Huffman codes: after the Paeth filter a photograph has almost no
  // longer matches, and the search for them is what makes writers slow. The other
  // filters gain less than 1 % on face crops.
  png_set_filter(to.png, PNG_FILTER_TYPE_BASE, PNG_FILTER_PAETH);
  png_set_compression_strategy(to.png, Z_RLE);
  png_set_compression_level(to.png, 1);
  png_set_compression_buffer_size(to.png, 1u << 16);
  png_set_text(to.png, to.info, texts.data(), static_cast<int>(texts.size()));
  png_write_info(to.png, to.info);
  for (int y = 0; y < image.height; ++y) png_write_row(to.png, image.at(0, y));
  png_write_end(to.png, nullptr);
  return true;
}
}  // namespace

bool has_png_signature(std::span<const std::byte> file) {
  return file.size() >= 8 && png_sig_cmp(reinterpret_cast<png_const_bytep>(file.data()), 0, 8) == 0;
}

std::string decode_png(std::span<const std::byte> file, Image* rgb, std::vector<PngText>* texts) {
  Reader reader(file);
  if (!reader.read_header(texts != nullptr, false)) return reader.problem();
  const int width = reader.width(), height = reader.height();
  std::vector<std::uint8_t> row;
  if (rgb) {
    if (std::string problem = too_large(width, height); !problem.empty()) return problem;
    *rgb = Image(width, height);
  } else {
    row.resize(reader.row_bytes());
  }
  if (rgb ? !reader.read_rows(rgb->pixels.data(), reader.row_bytes())
          : !reader.read_rows(row.data(), 0))
    return reader.problem();
  if (texts) *texts = reader.texts();
  return "";
}

std::string decode_png(std::span<const std::byte> file, StoredPicture& picture) {
  Reader reader(file);
  if (!reader.read_header(false, true)) return reader.problem();
  const int width = reader.width(), height = reader.height();
  if (std::string problem = too_large(width, height); !problem.empty()) return problem;
  picture.pixels = Image(width, height, reader.channels());
  picture.deep = reader.stored_depth() > 8;
  if (!reader.read_rows(picture.pixels.pixels.data(), reader.row_bytes())) return reader.problem();
  picture.profile = png_profile(file);
  return "";
}

std::optional<std::string> find_text(const std::vector<PngText>& texts,
                                     const std::string& keyword) {
  for (const PngText& text : texts)
    if (text.keyword == keyword) return text.text;
  return std::nullopt;
}

std::vector<std::byte> encode_png(const Image& image, const std::vector<PngText>& texts) {
  if (image.width < 1 || image.height < 1 ||
      image.pixels.size() !=
          static_cast<std::size_t>(image.width) * image.height * image.channels ||
      (image.channels != 1 && image.channels != 3 && image.channels != 4))
    throw Error(ErrorKind::failure,
                fmt::format("encode_png: a picture of {}x{}x{} with {} bytes cannot be a PNG: 1, 3 "
                            "or 4 channels of 8 bits were expected",
                            image.width, image.height, image.channels, image.pixels.size()));
  std::vector<png_text> chunks;
  for (const PngText& text : texts) {
    if (text.keyword.empty() || text.keyword.size() > 79 ||
        text.keyword.find('\0') != std::string::npos || text.text.find('\0') != std::string::npos)
      throw Error(ErrorKind::failure, fmt::format("encode_png: '{}' cannot be a text: a keyword of "
                                                  "1 to 79 bytes and no zero byte were expected",
                                                  text.keyword));
    png_text& chunk = chunks.emplace_back();
    chunk.compression = PNG_ITXT_COMPRESSION_NONE;
    chunk.key = const_cast<char*>(text.keyword.c_str());  // libpng copies both
    chunk.text = const_cast<char*>(text.text.c_str());
  }
  Message message{};
  WriteStruct to;
  // A warning means that libpng would write something else, such as a mended keyword.
  to.png = png_create_write_struct(PNG_LIBPNG_VER_STRING, &message, on_error, on_error);
  if (to.png) to.info = png_create_info_struct(to.png);
  if (!to.info) fail_to_start(message);
  std::vector<std::byte> out;
  out.reserve(image.pixels.size() / 2 + 1024);
  if (!write_picture(to, image, chunks, &out))
    throw Error(ErrorKind::failure,
                fmt::format("encode_png: a picture of {}x{}x{} cannot be a PNG: {}", image.width,
                            image.height, image.channels, message.data()));
  return out;
}

void write_png(const std::filesystem::path& path, const Image& image,
               const std::vector<PngText>& texts, bool force) {
  write_whole_file(path, encode_png(image, texts), force);
}

PngFile read_png(const std::filesystem::path& path) {
  PngFile png;
  read(path, &png.rgb, &png.texts);
  return png;
}

std::optional<std::string> read_png_text(const std::filesystem::path& path,
                                         const std::string& keyword) {
  std::vector<PngText> texts;
  {
    const std::vector<std::byte> head = read_file_head(path, kHeadBytes);
    Reader reader(head);
    if (reader.read_header(true, false)) texts = reader.texts();
  }
  if (std::optional<std::string> found = find_text(texts, keyword)) return found;
  texts.clear();
  read(path, nullptr, &texts);  // it stands behind the pixels, or is long, or the file is damaged
  return find_text(texts, keyword);
}

void replace_png_text(const std::filesystem::path& path, const PngText& text) {
  const std::vector<std::byte> file = read_whole_file(path, kMaxImageBytes);
  const auto refuse = [&](const std::string& why) {
    throw Error(ErrorKind::damaged, fmt::format("{}: its text \"{}\" cannot be replaced: {}",
                                                path.string(), text.keyword, why));
  };
  if (!has_png_signature(file)) refuse("it is no PNG");
  const auto big_endian = [](std::uint32_t v) {
    return std::array{std::byte(v >> 24), std::byte(v >> 16), std::byte(v >> 8), std::byte(v)};
  };
  constexpr std::size_t kSignature = 8, kAround = 12;  // length, kind and checksum of a chunk
  const std::string head = "iTXt" + text.keyword + '\0';
  for (std::size_t at = kSignature; at + kAround <= file.size();) {
    std::size_t length = 0;
    for (std::size_t i = 0; i < 4; ++i)
      length = length << 8 | static_cast<std::size_t>(file[at + i]);
    if (length > file.size() - at - kAround) refuse("it ends in the middle of a chunk");
    if (length + 4 >= head.size() && std::memcmp(&file[at + 4], head.data(), head.size()) == 0) {
      // Behind the keyword: not packed, no language, no translated keyword.
      const std::string chunk = head + std::string(4, '\0') + text.text;
      const auto* const bytes = reinterpret_cast<const std::byte*>(chunk.data());
      std::vector<std::byte> out(file.begin(), file.begin() + static_cast<std::ptrdiff_t>(at));
      const auto add = [&out](std::span<const std::byte> more) {
        out.insert(out.end(), more.begin(), more.end());
      };
      add(big_endian(static_cast<std::uint32_t>(chunk.size() - 4)));
      add({bytes, chunk.size()});
      const auto checksum =
          crc32(0, reinterpret_cast<const Bytef*>(bytes), static_cast<uInt>(chunk.size()));
      add(big_endian(static_cast<std::uint32_t>(checksum)));
      add(std::span(file).subspan(at + length + kAround));
      return write_whole_file(path, out, true);
    }
    at += length + kAround;
  }
  refuse("it has none; expected a picture that doppel wrote");
}
}  // namespace faceswap
