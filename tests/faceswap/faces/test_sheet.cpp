#include <gtest/gtest.h>

#include "faceswap/faces/face_file.h"
#include "faceswap/faces/sheet.h"
#include "faceswap/media/images.h"
#include "tests/faceswap/kind_of.h"
#include "tests/faceswap/scratch.h"

namespace faceswap {
namespace {

// Faces of one colour each, so that they are found again on the page.
void make_plain_faces(const std::filesystem::path& folder, int count,
                      const std::function<void(int, Face&)>& describe) {
  std::filesystem::create_directories(folder / "refused");
  for (int i = 0; i < count; ++i) {
    Face face;
    face.source = "a.mp4";
    face.crop_size = 32;
    describe(i, face);
    Image crop(32, 32);
    for (std::size_t p = 0; p < crop.pixels.size(); p += 3)
      crop.pixels[p] = 255, crop.pixels[p + 1] = static_cast<std::uint8_t>(i % 250),
      crop.pixels[p + 2] = static_cast<std::uint8_t>(i / 250);
    const std::filesystem::path to = face.refused.empty() ? folder : folder / "refused";
    write_face(to / ("f_" + std::to_string(10000 + i) + ".png"), crop, face);
  }
}

// Numbers of the faces on the pages, by cells of 100 pixels.
std::vector<int> faces_on(const std::vector<std::filesystem::path>& pages) {
  std::vector<int> found;
  for (const auto& path : pages) {
    const Image page = read_image(path);
    for (int y = 52; y < page.height; y += 100)
      for (int x = 52; x < page.width; x += 100)
        if (const std::uint8_t* p = page.at(x, y); p[0] == 255) found.push_back(p[1] + 250 * p[2]);
  }
  return found;
}

TEST(Sheet, ShowsEveryFaceByPersonAndTrackAndTheRefusedLast) {
  const Scratch scratch;
  make_plain_faces(scratch.path, 12, [](int i, Face& face) {
    face.person = i < 4 ? 1 : 0;
    face.track = i / 2;
    if (i == 5) face.refused = "too small: 11 pixels between the eyes";
    if (i == 6) face.refused = "too small: 12 pixels between the eyes";
  });
  FaceFolder folder(scratch.path);
  folder.decide({Decision::rename, {}, 1, "Anna", {}});
  folder.decide({Decision::drop, {"f_10009.png"}, -1, "", {}});
  const std::vector<SheetGroup> groups = sheet_groups(folder);
  ASSERT_EQ(groups.size(), 8u);
  EXPECT_EQ(groups[0].label, (std::vector<std::string>{"person 0", "track 2", "x1"}));
  EXPECT_TRUE(groups[0].new_row);
  EXPECT_FALSE(groups[1].new_row);
  EXPECT_EQ(groups[4].label, (std::vector<std::string>{"person 1", "Anna", "track 0", "x2"}));
  EXPECT_TRUE(groups[4].new_row);
  EXPECT_EQ(groups[6].label, (std::vector<std::string>{"dropped by", "you", "x1"}));
  EXPECT_EQ(groups[7].label, (std::vector<std::string>{"too small", "x2"}));
  const auto pages = write_sheet(folder);
  ASSERT_EQ(pages.size(), 1u);
  EXPECT_EQ(pages[0], scratch / "sheet.png");
  EXPECT_EQ(faces_on(pages), (std::vector<int>{4, 7, 8, 10, 11, 0, 1, 2, 3, 9, 5, 6}));
}

TEST(Sheet, ManyFacesFillSeveralPages) {
  const Scratch scratch;
  make_plain_faces(scratch.path, 600, [](int i, Face& face) { face.track = i / 300; });
  const auto pages = write_sheet(FaceFolder(scratch.path));
  ASSERT_EQ(pages.size(), 3u);
  EXPECT_EQ(pages[2], scratch / "sheet-3.png");
  const std::vector<int> found = faces_on(pages);
  ASSERT_EQ(found.size(), 600u);
  for (int i = 0; i < 600; ++i) ASSERT_EQ(found[static_cast<std::size_t>(i)], i);
  // Pages are no faces, and those of an earlier sheet do not stay.
  EXPECT_EQ(list_faces(scratch.path).size(), 600u);
  for (int i = 100; i < 600; ++i)
    std::filesystem::remove(scratch / ("f_" + std::to_string(10000 + i) + ".png"));
  EXPECT_EQ(write_sheet(FaceFolder(scratch.path)).size(), 1u);
  EXPECT_FALSE(std::filesystem::exists(scratch / "sheet-2.png"));
  EXPECT_FALSE(std::filesystem::exists(scratch / "sheet-3.png"));
}

TEST(Sheet, OtherPagesAreNotWrittenOver) {
  const Scratch scratch;
  make_plain_faces(scratch.path, 3, [](int, Face&) {});
  const FaceFolder folder(scratch.path);
  const auto groups = sheet_groups(folder);
  EXPECT_EQ(write_pages(groups, scratch / "out.png", false).size(), 1u);
  EXPECT_EQ(kind_of([&] { write_pages(groups, scratch / "out.png", false); }), ErrorKind::usage);
  // A file that is damaged meanwhile is a grey cell.
  std::filesystem::resize_file(folder.faces()[1].path, 100);
  EXPECT_EQ(faces_on(write_pages(groups, scratch / "out.png", true)), (std::vector<int>{0, 2}));
}
}  // namespace
}  // namespace faceswap
