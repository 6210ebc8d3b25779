// PNG and JPEG written and read back, texts, checksums, EXIF orientation, damage; and
// folders of pictures as sources and sinks.
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <cstring>
#include <fstream>
#include <functional>
#include <numeric>
#include <optional>
#include <random>

#include "faceswap/media/files.h"
#include "faceswap/media/media.h"
#include "faceswap/media/png.h"
#include "faceswap/provenance.h"
#include "tests/faceswap/scratch.h"

using namespace faceswap;

namespace {

std::vector<std::byte> read_bytes(const std::filesystem::path& path) {
  return read_whole_file(path, 1u << 30);
}
void write_bytes(const std::filesystem::path& path, std::span<const std::byte> bytes) {
  write_whole_file(path, bytes, true);
}

std::optional<ErrorKind> refused(const std::function<void()>& action) {
  try {
    action();
  } catch (const Error& error) { return error.kind(); }
  return std::nullopt;
}

Image noise(int width, int height, int channels, unsigned seed, unsigned step = 1) {
  Image image(width, height, channels);
  std::mt19937 random(seed);
  for (std::uint8_t& p : image.pixels) p = static_cast<std::uint8_t>(random() % 256 / step * step);
  return image;
}

// A picture like a face crop: smooth, with a little grain.
Image smooth(int width, int height) {
  Image image(width, height);
  std::mt19937 random(3);
  for (int y = 0; y < height; ++y)
    for (int x = 0; x < width; ++x)
      for (int c = 0; c < 3; ++c)
        image.at(x, y)[c] = static_cast<std::uint8_t>(
            60 + c * 30 + 80 * y / height + (x * y / 50) % 20 + static_cast<int>(random() % 3));
  return image;
}

// The picture that reading gives back: RGB, alpha dropped, grey spread.
Image as_rgb(const Image& image) {
  Image rgb(image.width, image.height);
  for (int y = 0; y < image.height; ++y)
    for (int x = 0; x < image.width; ++x)
      for (int c = 0; c < 3; ++c) rgb.at(x, y)[c] = image.at(x, y)[image.channels == 1 ? 0 : c];
  return rgb;
}

std::uint32_t big32(const std::byte* p) {
  return static_cast<std::uint32_t>(p[0]) << 24 | static_cast<std::uint32_t>(p[1]) << 16 |
         static_cast<std::uint32_t>(p[2]) << 8 | static_cast<std::uint32_t>(p[3]);
}
void put32(std::byte* p, std::uint32_t v) {
  for (int i = 0; i < 4; ++i) p[i] = static_cast<std::byte>(v >> (24 - 8 * i) & 0xff);
}

// The checksum of PNG chunks, bit by bit.
std::uint32_t crc32(std::span<const std::byte> data) {
  std::uint32_t crc = 0xffffffffu;
  for (const std::byte b : data) {
    crc ^= static_cast<std::uint32_t>(b);
    for (int bit = 0; bit < 8; ++bit) crc = crc & 1 ? crc >> 1 ^ 0xedb88320u : crc >> 1;
  }
  return ~crc;
}

// Makes every checksum right again, so that damage gets past the check.
void repair_crcs(std::vector<std::byte>& png) {
  for (std::size_t at = 8; at + 12 <= png.size();) {
    const std::uint32_t length = big32(&png[at]);
    if (length > png.size() - at - 12) return;
    put32(&png[at + 8 + length], crc32(std::span(png).subspan(at + 4, length + 4)));
    at += length + 12;
  }
}

// The problem that both readers of a PNG find; empty if one of them finds none.
std::string problem_of(std::span<const std::byte> png) {
  Image rgb;
  std::vector<PngText> texts;
  const std::string pixels = decode_png(png, &rgb, nullptr),
                    text = decode_png(png, nullptr, &texts);
  return pixels.empty() || text.empty() ? "" : pixels;
}

// A JPEG with an EXIF block: one directory with the orientation tag.
std::vector<std::byte> with_orientation(const std::vector<std::byte>& jpeg, int orientation,
                                        bool little) {
  std::string tiff = little ? std::string("II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0", 18)
                            : std::string("MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01", 18);
  tiff += little ? std::string{static_cast<char>(orientation), 0, 0, 0}
                 : std::string{0, static_cast<char>(orientation), 0, 0};
  tiff += std::string(4, '\0');
  std::string segment = std::string("Exif\0\0", 6) + tiff;
  segment = std::string("\xff\xe1") + static_cast<char>((segment.size() + 2) >> 8) +
            static_cast<char>((segment.size() + 2) & 0xff) + segment;
  std::vector<std::byte> out = jpeg;
  const auto* bytes = reinterpret_cast<const std::byte*>(segment.data());
  out.insert(out.begin() + 2, bytes, bytes + segment.size());
  return out;
}
}  // namespace

TEST(Png, RoundTripsExactly) {
  const Scratch scratch;
  std::vector<Image> images{
      Image(1, 1),         noise(1, 50, 3, 1),  noise(50, 1, 3, 2),        noise(33, 21, 1, 3),
      noise(33, 21, 3, 4), noise(33, 21, 4, 5), noise(300, 200, 3, 6, 64), smooth(257, 129),
      Image(500, 400),     Image(70, 60, 4)};
  for (std::uint8_t& p : images.back().pixels) p = 255;
  for (const Image& image : images) {
    write_png(scratch / "a.png", image);
    const Image back = read_png(scratch / "a.png").rgb;
    EXPECT_EQ(back.width, image.width);
    EXPECT_EQ(back.height, image.height);
    EXPECT_TRUE(back.pixels == as_rgb(image).pixels)
        << image.width << "x" << image.height << "x" << image.channels;
  }
}

// Counts that grow like Fibonacci numbers make a Huffman tree deeper than the 15 bits
// that deflate allows. The picture is one row without runs, so the values keep their
// counts.
TEST(Png, SkewedHistogramsStayWithinFifteenBits) {
  const Scratch scratch;
  std::vector<std::uint8_t> sorted;
  for (std::uint32_t symbol = 19, a = 1, b = 1; symbol > 0; --symbol, std::swap(a, b), b += a)
    sorted.insert(sorted.end(), a, static_cast<std::uint8_t>(symbol - 1));
  Image image(static_cast<int>(sorted.size()), 1, 1);
  for (std::size_t i = 0, at = 0; i < sorted.size(); ++i, at = (at + 1597) % sorted.size())
    image.pixels[at] = sorted[i];
  ASSERT_EQ(std::accumulate(image.pixels.begin(), image.pixels.end(), 0u),
            std::accumulate(sorted.begin(), sorted.end(), 0u));
  write_png(scratch / "a.png", image);
  EXPECT_TRUE(read_image(scratch / "a.png").pixels == as_rgb(image).pixels);
}

TEST(Png, CompressesLikeThePeers) {
  const Image face = smooth(512, 512);
  const std::size_t raw = face.pixels.size(), written = encode_png(face).size();
  EXPECT_LT(written, raw / 2);
  EXPECT_LT(encode_png(Image(512, 512)).size(), 6000u);  // runs
}

TEST(Png, TextTravelsWithThePicture) {
  const Scratch scratch;
  const std::string unicode = "{\"name\": \"Zo\xc3\xab \xe2\x9c\x93\"}",
                    packet = xmp_packet("doppel test");
  write_png(scratch / "a.png", smooth(40, 30),
            {{"doppel", unicode}, {kXmpKeyword, packet}, {"empty", ""}});
  EXPECT_EQ(read_png_text(scratch / "a.png", "doppel"), unicode);
  EXPECT_EQ(read_png_text(scratch / "a.png", kXmpKeyword), packet);
  EXPECT_EQ(read_png_text(scratch / "a.png", "empty"), "");
  EXPECT_EQ(read_png_text(scratch / "a.png", "dopp"), std::nullopt);
  EXPECT_TRUE(read_image(scratch / "a.png").pixels == smooth(40, 30).pixels);
  const std::vector<std::byte> file = read_bytes(scratch / "a.png");
  // The first chunk behind the header: before the pixels.
  EXPECT_EQ(std::string(reinterpret_cast<const char*>(&file[8 + 25 + 4]), 4), "iTXt");
  EXPECT_EQ(refused([&] { encode_png(smooth(4, 4), {{"", "no keyword"}}); }), ErrorKind::failure);
  EXPECT_EQ(refused([&] {
              encode_png(smooth(4, 4), {{std::string(80, 'k'), "too long"}});
            }),
            ErrorKind::failure);
}

// Written by the program's own PNG writer, before libpng took its place.
TEST(Png, FilesOfTheFirstWriterStayReadable) {
  const auto path = std::filesystem::path(DOPPEL_SOURCE_DIR) / "tests/data/face_before_libpng.png";
  const Image image = read_image(path);
  ASSERT_EQ(image.width, 37);
  ASSERT_EQ(image.height, 23);
  for (int y = 0; y < image.height; ++y)
    for (int x = 0; x < image.width; ++x)
      for (int c = 0; c < 3; ++c)
        ASSERT_EQ(image.at(x, y)[c],
                  60 + c * 30 + 3 * x + x * y / (c + 3) % 20 + (x * 7 + y * 5) % 3);
  EXPECT_EQ(read_png_text(path, "doppel-face"), "{\"source\": \"Zo\xc3\xab.mp4\"}");
  EXPECT_EQ(read_png_text(path, "Comment"), "");
}

TEST(Png, EveryFlippedBitAndEveryCutIsNoticed) {
  const Scratch scratch;
  write_png(scratch / "a.png", smooth(8, 8), {{"doppel", "some text"}});
  const std::vector<std::byte> good = read_bytes(scratch / "a.png");
  int accepted = 0;
  for (std::size_t bit = 0; bit < good.size() * 8; ++bit) {
    std::vector<std::byte> bad = good;
    bad[bit / 8] ^= static_cast<std::byte>(1u << bit % 8);
    accepted += problem_of(bad).empty();
  }
  for (std::size_t size = 0; size < good.size(); ++size)
    accepted += problem_of(std::span(good).first(size)).empty();
  EXPECT_EQ(accepted, 0);
  const auto write_damaged = [&](std::size_t at) {
    std::vector<std::byte> bad = good;
    bad[at] ^= std::byte{1};
    write_bytes(scratch / "bad.png", bad);
    EXPECT_EQ(refused([&] { read_image(scratch / "bad.png"); }), ErrorKind::input);
  };
  const std::string_view file(reinterpret_cast<const char*>(good.data()), good.size());
  write_damaged(file.find("some text"));
  EXPECT_EQ(refused([&] { read_png_text(scratch / "bad.png", "doppel"); }), ErrorKind::damaged);
  // A text before the pixels is found without them.
  write_damaged(file.find("IDAT") + 6);
  EXPECT_EQ(read_png_text(scratch / "bad.png", "doppel"), "some text");
  EXPECT_EQ(refused([&] { read_png_text(scratch / "bad.png", "other"); }), ErrorKind::damaged);
}

TEST(Png, TextsBehindThePixelsAndLongOnesAreFound) {
  const Scratch scratch;
  const std::string text(200000, 'x');
  write_png(scratch / "long.png", smooth(8, 8), {{"doppel", text}});
  EXPECT_EQ(read_png_text(scratch / "long.png", "doppel"), text);
  write_png(scratch / "a.png", smooth(8, 8), {{"doppel", "some text"}});
  std::vector<std::byte> png = read_bytes(scratch / "a.png");
  const auto type_at = [&](const char* type) {
    return std::string_view(reinterpret_cast<const char*>(png.data()), png.size()).find(type) - 4;
  };
  const std::size_t begin = type_at("iTXt"), end = type_at("IDAT");
  const std::vector<std::byte> chunk(png.begin() + static_cast<std::ptrdiff_t>(begin),
                                     png.begin() + static_cast<std::ptrdiff_t>(end));
  png.erase(png.begin() + static_cast<std::ptrdiff_t>(begin),
            png.begin() + static_cast<std::ptrdiff_t>(end));
  png.insert(png.begin() + static_cast<std::ptrdiff_t>(type_at("IEND")), chunk.begin(),
             chunk.end());
  write_bytes(scratch / "a.png", png);
  EXPECT_EQ(read_png_text(scratch / "a.png", "doppel"), "some text");
}

TEST(Png, SizesThatAreAttacksAreRefused) {
  const Scratch scratch;
  write_png(scratch / "a.png", smooth(8, 8));
  const auto resized = [&](std::vector<std::byte> png, std::uint32_t width, std::uint32_t height) {
    put32(&png[16], width);
    put32(&png[20], height);
    repair_crcs(png);
    return png;
  };
  for (const auto& [width, height] : {std::pair<std::uint32_t, std::uint32_t>{65535, 65535},
                                      {16384, 16384},
                                      {8, 0x7fffffff},
                                      {0, 8},
                                      {8, 0},
                                      {16000, 16000}}) {
    write_bytes(scratch / "bad.png", resized(read_bytes(scratch / "a.png"), width, height));
    EXPECT_EQ(refused([&] { read_image(scratch / "bad.png"); }), ErrorKind::input)
        << width << "x" << height;
  }
  // A header of 8x8 pixels before 100 MB of zeros, packed: refused, and not unpacked
  // into memory.
  const std::vector<std::byte> bomb = resized(encode_png(Image(10000, 10000, 1)), 8, 8);
  EXPECT_LT(bomb.size(), 1'000'000u);
  EXPECT_NE(problem_of(bomb).find("more data than its size allows"), std::string::npos);
  write_bytes(scratch / "bomb.png", bomb);
  EXPECT_EQ(refused([&] { read_image(scratch / "bomb.png"); }), ErrorKind::input);
  EXPECT_EQ(refused([&] { read_png_text(scratch / "bomb.png", "doppel"); }), ErrorKind::damaged);
}

// Texts that unpack into much memory, or are many.
TEST(Png, TextsHaveLimits) {
  const Scratch scratch;
  const std::vector<PngText> many(100, {"doppel", "text"});
  write_png(scratch / "many.png", smooth(8, 8), many);
  EXPECT_EQ(refused([&] { read_png_text(scratch / "many.png", "doppel"); }), ErrorKind::damaged);
  EXPECT_EQ(read_image(scratch / "many.png").width, 8);  // the picture is as good as any
  write_png(scratch / "long.png", smooth(8, 8), {{"doppel", std::string(9u << 20, 'x')}});
  EXPECT_EQ(refused([&] { read_png_text(scratch / "long.png", "doppel"); }), ErrorKind::damaged);
  EXPECT_EQ(read_image(scratch / "long.png").width, 8);
}

// The eight EXIF orientations, by the table of the EXIF standard ("the 0th row is at
// the visual ...").
TEST(Jpeg, ExifOrientationIsApplied) {
  const Scratch scratch;
  Image stored(48, 32);
  const std::uint8_t corners[4][3] = {
      {220, 40, 40},
      {40, 200, 40},
      {40, 40, 220},
      {230, 230, 230}};  // top left, top right, bottom left, bottom right
  for (int y = 0; y < 32; ++y)
    for (int x = 0; x < 48; ++x)
      std::copy_n(corners[(y >= 16) * 2 + (x >= 24)], 3, stored.at(x, y));
  const std::vector<std::byte> jpeg = encode_jpeg(stored, 95);
  // The stored corner seen at the upright top left, top right, bottom left, bottom
  // right.
  const int seen[9][4] = {{},           {0, 1, 2, 3}, {1, 0, 3, 2}, {3, 2, 1, 0}, {2, 3, 0, 1},
                          {0, 2, 1, 3}, {2, 0, 3, 1}, {3, 1, 2, 0}, {1, 3, 0, 2}};
  for (int orientation = 1; orientation <= 8; ++orientation)
    for (const bool little : {true, false}) {
      write_bytes(scratch / "a.jpg", with_orientation(jpeg, orientation, little));
      const Image image = read_image(scratch / "a.jpg");
      ASSERT_EQ(image.width, orientation >= 5 ? 32 : 48) << orientation;
      ASSERT_EQ(image.height, orientation >= 5 ? 48 : 32) << orientation;
      for (int corner = 0; corner < 4; ++corner) {
        const std::uint8_t* pixel =
            image.at(corner % 2 ? image.width - 6 : 5, corner / 2 ? image.height - 6 : 5);
        for (int c = 0; c < 3; ++c)
          EXPECT_NEAR(pixel[c], corners[seen[orientation][corner]][c], 12)
              << "orientation " << orientation << " corner " << corner;
      }
    }
}

TEST(Jpeg, DamagedExifIsIgnoredAndBadHuffmanTablesRefused) {
  const Scratch scratch;
  const std::vector<std::byte> jpeg = encode_jpeg(smooth(48, 32), 90);
  std::mt19937 random(5);
  for (int trial = 0; trial < 300; ++trial) {
    std::vector<std::byte> bad = with_orientation(jpeg, 6, trial % 2);
    for (int i = 0; i < 4; ++i) bad[12 + random() % 26] = static_cast<std::byte>(random());
    write_bytes(scratch / "a.jpg", bad);
    const Image image = read_image(scratch / "a.jpg");
    EXPECT_EQ(image.width * image.height, 48 * 32);
  }
  // A table with counts of more codes than its bits can tell apart.
  std::vector<std::byte> bad = jpeg;
  for (std::size_t i = 2; i + 4 < bad.size(); ++i)
    if (bad[i] == std::byte{0xff} && bad[i + 1] == std::byte{0xc4}) {
      for (std::size_t k = 0; k < 16; ++k) bad[i + 5 + k] = std::byte{255};
      break;
    }
  write_bytes(scratch / "bad.jpg", bad);
  EXPECT_EQ(refused([&] { read_image(scratch / "bad.jpg"); }), ErrorKind::input);
}

// Damage of every kind behind the checksums: no crash, no hang, and only exceptions of
// ours.
TEST(Images, MutationsAreSurvived) {
  const Scratch scratch;
  const std::vector<std::byte> seeds[3] = {
      encode_png(smooth(40, 30), {{"doppel", "text"}}), encode_jpeg(smooth(40, 30), 90),
      with_orientation(encode_jpeg(noise(40, 30, 3, 8), 40), 6, true)};
  std::mt19937 random(11);
  const auto below = [&](std::size_t n) { return static_cast<std::size_t>(random() % n); };
  int read = 0, refusals = 0;
  for (int trial = 0; trial < 600; ++trial) {
    std::vector<std::byte> bad = seeds[trial % 3];
    switch (trial / 3 % 4) {
      case 0: bad.resize(1 + below(bad.size())); break;
      case 1:
        for (std::size_t i = 0, n = 1 + below(12); i < n; ++i)
          bad[8 + below(bad.size() - 8)] ^= static_cast<std::byte>(1u << below(8));
        break;
      case 2: {
        const std::size_t at = 8 + below(bad.size() - 8);
        for (std::size_t i = at; i < std::min(bad.size(), at + 8); ++i)
          bad[i] = static_cast<std::byte>(random() % 2 ? 0xff : random());
        break;
      }
      default: {
        const std::size_t first = 8 + below(bad.size() - 8);
        bad.erase(bad.begin() + static_cast<std::ptrdiff_t>(first),
                  bad.begin() + static_cast<std::ptrdiff_t>(first + 1 + below(bad.size() - first)));
      }
    }
    if (trial % 3 == 0) repair_crcs(bad);
    const auto path = scratch / (trial % 3 ? "bad.jpg" : "bad.png");
    write_bytes(path, bad);
    const auto begin = std::chrono::steady_clock::now();
    const std::optional<ErrorKind> kind = refused([&] {
      const Image image = read_image(path);
      EXPECT_GT(image.width * image.height, 0);
      EXPECT_EQ(image.pixels.size(), static_cast<std::size_t>(image.width) * image.height * 3);
    });
    EXPECT_TRUE(!kind || *kind == ErrorKind::input) << "trial " << trial;
    if (trial % 3 == 0) {
      const std::optional<ErrorKind> text = refused([&] { read_png_text(path, "doppel"); });
      EXPECT_TRUE(!text || *text == ErrorKind::damaged) << "trial " << trial;
    }
    ++(kind ? refusals : read);
    EXPECT_LT(std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count(), 30);
  }
  EXPECT_GT(read, 50);
  EXPECT_GT(refusals, 50);
  std::printf("  %d read, %d refused\n", read, refusals);
}

TEST(Images, WhatIsNoPictureIsRefused) {
  const Scratch scratch;
  write_png(scratch / "good.png", smooth(8, 8));
  const std::string gif = "GIF89a\x01\x00\x01\x00", text = "hello";
  for (const std::string& content : {gif, text, std::string()}) {
    write_bytes(scratch / "a.png",
                {reinterpret_cast<const std::byte*>(content.data()), content.size()});
    EXPECT_EQ(refused([&] { read_image(scratch / "a.png"); }), ErrorKind::input);
  }
  EXPECT_EQ(refused([&] { read_image(scratch / "none.png"); }), ErrorKind::input);
  EXPECT_EQ(refused([&] { read_image(scratch.path); }), ErrorKind::input);
  EXPECT_EQ(refused([&] { write_png(scratch / "no" / "a.png", smooth(8, 8)); }), ErrorKind::disk);
  EXPECT_EQ(refused([&] { write_png(scratch / "good.png", smooth(8, 8), {}, false); }),
            ErrorKind::usage);
  EXPECT_TRUE(is_image_file("A.JPG") && is_image_file("b.jpeg") && is_image_file("c.Png"));
  EXPECT_FALSE(is_image_file("a.gif") || is_image_file("png") || is_image_file("a.png.txt"));
}

TEST(Folder, FramesComeInNaturalOrderWithTheirNames) {
  const Scratch scratch;
  for (const char* name : {"f10.png", "f9.png", "f1.png", "f01.png", "F2.jpg", "f100.jpeg",
                           "notes.txt", ".hidden.png"}) {
    const auto path = scratch / name;
    if (is_image_file(path) && path.extension() != ".png")
      write_bytes(path, encode_jpeg(smooth(16, 12), 90));
    else write_png(path, smooth(16, 12));
  }
  const auto source = open_source(scratch.path);
  EXPECT_EQ(source->info().kind, SourceInfo::folder);
  EXPECT_EQ(source->info().frames, 6);
  std::vector<std::string> names;
  for (Frame frame; source->next(frame);) {
    EXPECT_EQ(frame.index, static_cast<std::int64_t>(names.size()));
    EXPECT_EQ(frame.pts, frame.index);
    EXPECT_DOUBLE_EQ(frame.seconds, static_cast<double>(frame.index) / 25);
    EXPECT_EQ(frame.native, nullptr);
    names.push_back(frame.name);
  }
  EXPECT_EQ(names, (std::vector<std::string>{"F2.jpg", "f01.png", "f1.png", "f9.png", "f10.png",
                                             "f100.jpeg"}));
}

TEST(Folder, NaturalOrderIsAnOrder) {
  std::vector<std::string> names{"",
                                 "a",
                                 "a0",
                                 "a00",
                                 "a1",
                                 "a01",
                                 "a1b",
                                 "a2",
                                 "a10",
                                 "a9z",
                                 "b",
                                 "1",
                                 "01",
                                 "10",
                                 "9",
                                 "a99999999999999999999999999",
                                 "a100000000000000000000000000"};
  for (const std::string& a : names)
    for (const std::string& b : names) {
      EXPECT_EQ(natural_less(a, b) + natural_less(b, a), a == b ? 0 : 1) << a << " " << b;
      for (const std::string& c : names) {
        if (natural_less(a, b) && natural_less(b, c)) {
          EXPECT_TRUE(natural_less(a, c)) << a << " " << b << " " << c;
        }
      }
    }
}

TEST(Folder, DamagedPicturesArePassedOverAndCounted) {
  const Scratch scratch;
  for (int i = 0; i < 4; ++i)
    write_png(scratch / ("f" + std::to_string(i) + ".png"), smooth(16, 12));
  std::vector<std::byte> bad = read_bytes(scratch / "f2.png");
  bad.resize(bad.size() / 2);
  write_bytes(scratch / "f2.png", bad);
  const auto source = open_source(scratch.path);
  std::vector<std::string> names;
  for (Frame frame; source->next(frame);) names.push_back(frame.name);
  EXPECT_EQ(names, (std::vector<std::string>{"f0.png", "f1.png", "f3.png"}));
  EXPECT_EQ(source->info().damaged_frames, 1);
  ASSERT_EQ(source->info().skipped.size(), 1u);
  EXPECT_EQ(source->info().skipped[0].path, (scratch / "f2.png").string());

  // A frame's number is its place in the folder, whatever is read.
  const auto odd = open_source(scratch.path);
  odd->want([](std::int64_t i) { return i % 2 == 1; });
  std::vector<std::int64_t> with_pixels, without;
  for (Frame frame; odd->next(frame);)
    (frame.rgb.empty() ? without : with_pixels).push_back(frame.index);
  EXPECT_EQ(with_pixels, (std::vector<std::int64_t>{0, 1, 3})) << "the first always has them";
  EXPECT_EQ(without, (std::vector<std::int64_t>{2}));
  EXPECT_EQ(odd->info().damaged_frames, 0);
}

TEST(Folder, WritesUnderTheSameNamesAndMarksOnlyWhatChanged) {
  const Scratch scratch;
  std::filesystem::create_directory(scratch / "in");
  write_png(scratch / "in" / "a.png", smooth(40, 30), {{"Author", "me"}});
  write_png(scratch / "in" / "b.png", smooth(40, 30));
  write_bytes(scratch / "in" / "c.jpg", with_orientation(encode_jpeg(smooth(40, 30), 80), 6, true));
  write_bytes(scratch / "in" / "d.jpg", with_orientation(encode_jpeg(smooth(40, 30), 80), 6, true));
  SinkOptions options;
  options.comment = "AI-generated: test";
  {
    const auto source = open_source(scratch / "in");
    const auto sink = open_sink(scratch / "out", source->info(), options);
    for (Frame frame; source->next(frame);) {
      const bool change = frame.name == "b.png" || frame.name == "d.jpg";
      if (change) frame.rgb.at(7, 8)[0] = 255;
      sink->write(frame, change ? Box{7, 8, 1, 1} : Box{});
    }
    sink->finish();
  }
  EXPECT_TRUE(read_bytes(scratch / "in" / "a.png") == read_bytes(scratch / "out" / "a.png"));
  EXPECT_TRUE(read_bytes(scratch / "in" / "c.jpg") == read_bytes(scratch / "out" / "c.jpg"));
  EXPECT_FALSE(has_synthetic_mark(scratch / "out" / "a.png"));
  EXPECT_TRUE(has_synthetic_mark(scratch / "out" / "b.png"));
  EXPECT_TRUE(has_synthetic_mark(scratch / "out" / "d.jpg"));
  EXPECT_FALSE(has_synthetic_mark(scratch / "out" / "c.jpg"));
  EXPECT_EQ(read_png_text(scratch / "out" / "b.png", "Comment"), "AI-generated: test");
  Image expected = smooth(40, 30);
  expected.at(7, 8)[0] = 255;
  EXPECT_TRUE(read_image(scratch / "out" / "b.png").pixels == expected.pixels);
  EXPECT_EQ(read_image(scratch / "out" / "d.jpg").width,
            30);  // upright now, and not turned a second time

  const auto source = open_source(scratch / "in");
  EXPECT_EQ(refused([&] { open_sink(scratch / "out", source->info(), options); }),
            ErrorKind::usage);  // not empty
  EXPECT_EQ(refused([&] { open_sink(scratch / "in", source->info(), options); }),
            ErrorKind::usage);  // the input itself
  EXPECT_EQ(refused([&] { open_sink(scratch / "out.mp4", source->info(), options); }),
            ErrorKind::usage);
  EXPECT_EQ(refused([&] { open_sink(scratch / "out.png", source->info(), options); }),
            ErrorKind::usage);
  options.force = true;
  EXPECT_EQ(refused([&] { open_sink(scratch / "out", source->info(), options); }), std::nullopt);
}

TEST(Folder, ASinglePictureGoesToAPicture) {
  const Scratch scratch;
  write_png(scratch / "in.png", smooth(40, 30));
  const auto source = open_source(scratch / "in.png");
  EXPECT_EQ(source->info().kind, SourceInfo::still);
  EXPECT_EQ(source->info().width, 40);
  EXPECT_EQ(refused([&] { open_sink(scratch / "in.png", source->info(), {}); }), ErrorKind::usage);
  const auto sink = open_sink(scratch / "out.jpg", source->info(), {});
  Frame frame;
  ASSERT_TRUE(source->next(frame));
  EXPECT_EQ(frame.name, "in.png");
  sink->write(frame, {0, 0, 4, 4});
  sink->finish();
  EXPECT_FALSE(source->next(frame));
  const Image back = read_image(scratch / "out.jpg"), expected = smooth(40, 30);
  double difference = 0;
  for (std::size_t i = 0; i < back.pixels.size(); ++i)
    difference += std::abs(back.pixels[i] - expected.pixels[i]);
  EXPECT_LT(difference / static_cast<double>(back.pixels.size()), 3);
}

#if DOPPEL_MEDIA
TEST(Folder, AVideoGoesToAFolderOfPngs) {
  const Scratch scratch;
  SinkOptions quick;
  quick.preset = "ultrafast";
  const auto maker = make_video(scratch / "in.mp4", 64, 48, {25, 1}, quick);
  for (int i = 0; i < 12; ++i) maker->write(smooth(64, 48));
  maker->finish();
  const auto source = open_source(scratch / "in.mp4");
  const auto sink = open_sink(scratch / "frames", source->info(), quick);
  std::vector<Image> seen;
  for (Frame frame; source->next(frame); seen.push_back(frame.rgb)) sink->write(frame, {});
  sink->finish();
  const auto again = open_source(scratch / "frames");
  EXPECT_EQ(again->info().frames, 12);
  std::size_t i = 0;
  for (Frame frame; again->next(frame); ++i)
    EXPECT_TRUE(frame.rgb.pixels == seen[i].pixels) << frame.name;
  EXPECT_EQ(i, 12u);
  EXPECT_TRUE(std::filesystem::exists(scratch / "frames" / "frame_000011.png"));
}
#endif
