// One text of a PNG is replaced: every other byte stays, and what is no such file is refused.
#include <gtest/gtest.h>

#include <cstring>
#include <string_view>

#include "faceswap/faces/face_file.h"
#include "faceswap/faces/face_mask.h"
#include "faceswap/media/files.h"
#include "faceswap/media/png.h"
#include "tests/faceswap/kind_of.h"
#include "tests/faceswap/scratch.h"

namespace {

using namespace faceswap;
using Bytes = std::vector<std::byte>;

Bytes read(const std::filesystem::path& path) { return read_whole_file(path, 1 << 24); }

Image picture() {
  Image image(31, 17);
  for (std::size_t i = 0; i < image.pixels.size(); ++i)
    image.pixels[i] = static_cast<std::uint8_t>(i * i % 251);
  return image;
}

std::size_t place_of(const Bytes& file, std::string_view word) {
  return std::string_view(reinterpret_cast<const char*>(file.data()), file.size()).find(word);
}

TEST(ReplacePngText, LeavesPixelsAndOtherTexts) {
  const Scratch scratch;
  const auto path = scratch / "a.png";
  for (const std::string& text : {std::string(), std::string("short"), std::string(100000, 'x'),
                                  std::string("Zo\xc3\xab \xe2\x9c\x93")}) {
    // "key" begins like "keyword", and "word" stands in another text.
    write_png(path, picture(), {{"key", "first"}, {"keyword", "old"}, {"last", "keyword"}});
    const Bytes before = read(path);
    replace_png_text(path, {"keyword", text});
    const PngFile png = read_png(path);  // verifies every checksum
    EXPECT_EQ(png.rgb.pixels, picture().pixels);
    EXPECT_EQ(find_text(png.texts, "key"), "first");
    EXPECT_EQ(find_text(png.texts, "keyword"), text);
    EXPECT_EQ(find_text(png.texts, "last"), "keyword");
    EXPECT_EQ(png.texts.size(), 3u);
    const Bytes after = read(path);
    EXPECT_EQ(after.size(), before.size() + text.size() - 3);
    const auto pixels = static_cast<std::ptrdiff_t>(place_of(before, "IDAT"));
    EXPECT_TRUE(std::equal(before.begin() + pixels, before.end(),
                           after.end() - (before.end() - before.begin() - pixels), after.end()));
    replace_png_text(path, {"keyword", "old"});
    EXPECT_EQ(read(path), before);
  }
}

TEST(ReplacePngText, RefusesWhatIsNoSuchFile) {
  const Scratch scratch;
  const auto path = scratch / "a.png";
  write_png(path, picture(), {{"key", "first"}, {"keyword", "old"}});
  const Bytes good = read(path);
  const auto refused = [&](const Bytes& bytes, const std::string& keyword = "keyword") {
    write_whole_file(path, bytes, true);
    std::string message;
    const ErrorKind kind = kind_of([&] { replace_png_text(path, {keyword, "new"}); }, &message);
    EXPECT_NE(message.find("a.png"), std::string::npos) << message;
    EXPECT_EQ(read(path), bytes) << "it stays as it was";
    return kind;
  };
  for (const char* other : {"keywor", "keyword2", "old", "KEYWORD"})
    EXPECT_EQ(refused(good, other), ErrorKind::damaged) << other;
  const std::size_t end = place_of(good, "keyword") + std::strlen("keyword") + 5 + 3 + 4;
  for (std::size_t size = 0; size < end; ++size)
    EXPECT_EQ(refused({good.begin(), good.begin() + static_cast<std::ptrdiff_t>(size)}),
              ErrorKind::damaged)
        << size;
  Bytes jpeg = good;
  jpeg[0] = std::byte{0xff};
  EXPECT_EQ(refused(jpeg), ErrorKind::damaged);
  Bytes long_chunk = good;  // the first text says that it is 4 GB long
  long_chunk[place_of(good, "iTXt") - 4] = std::byte{0xff};
  EXPECT_EQ(refused(long_chunk), ErrorKind::damaged);
  EXPECT_EQ(kind_of([&] {
              replace_png_text(scratch / "none.png", {"keyword", "new"});
            }),
            ErrorKind::input);
}

TEST(RewriteFace, ChangesTheFaceAlone) {
  const Scratch scratch;
  make_faces(scratch / "f", 'a', 5, 1);
  const auto path = scratch / "f/a_1000.png";
  FaceFile file = read_face(path);
  file.mask = Image(kMaskSize, kMaskSize, 1);
  for (std::size_t i = 0; i < file.mask.pixels.size(); ++i)
    file.mask.pixels[i] = static_cast<std::uint8_t>(i / 77);
  write_face(path, file.crop, file.face, file.mask);
  Face face = file.face;
  face.person = 4;
  face.refused = "a \"dog\"";
  rewrite_face(path, face);
  const FaceFile after = read_face(path);
  EXPECT_EQ(after.face.person, 4);
  EXPECT_EQ(after.face.refused, "a \"dog\"");
  EXPECT_EQ(after.face.eyes[0].x, file.face.eyes[0].x);
  EXPECT_EQ(after.crop.pixels, file.crop.pixels);
  EXPECT_EQ(after.mask.pixels, file.mask.pixels);

  write_png(scratch / "other.png", file.crop);
  EXPECT_EQ(kind_of([&] { rewrite_face(scratch / "other.png", face); }), ErrorKind::damaged);
}
}  // namespace
