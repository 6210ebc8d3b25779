#include <gtest/gtest.h>

#include <cmath>

#include "faceswap/faces/face_file.h"
#include "faceswap/faces/face_folder.h"
#include "faceswap/media/png.h"
#include "tests/faceswap/kind_of.h"
#include "tests/faceswap/scratch.h"

namespace faceswap {
namespace {

// Four faces of two people and two refused ones.
struct FolderOfFaces : ::testing::Test {
  Scratch scratch;
  void SetUp() override {
    make_faces(scratch.path, 'a', 5, 6, 64);
    std::filesystem::create_directories(scratch / "refused");
    for (int i = 0; i < 6; ++i) {
      const std::string name = "a_" + std::to_string(1000 + i) + ".png";
      FaceFile file = read_face(scratch / name);
      file.face.person = i / 2;
      if (i < 4) {
        write_face(scratch / name, file.crop, file.face);
        continue;
      }
      if (i == 4) file.face.refused = "too small";
      write_face(scratch.path / "refused" / name, file.crop, file.face);
      std::filesystem::remove(scratch / name);
    }
    write_png(scratch / "sheet.png", Image(8, 8));
    write_png(scratch / "sheet-12.png", Image(8, 8));
  }
};

TEST_F(FolderOfFaces, ReadsWhatExtractionLeft) {
  const FaceFolder folder(scratch.path);
  ASSERT_EQ(folder.faces().size(), 6u);
  EXPECT_EQ(folder.kept(), 4);
  EXPECT_EQ(folder.faces()[0].name, "a_1000.png");
  EXPECT_EQ(folder.faces()[4].name, "refused/a_1004.png");
  EXPECT_EQ(folder.faces()[4].path, scratch.path / "refused/a_1004.png");
  EXPECT_TRUE(folder.faces()[4].dropped);
  EXPECT_EQ(folder.faces()[4].reason, "too small");
  EXPECT_EQ(folder.faces()[5].reason, "refused by extraction");
  const auto people = folder.people();
  ASSERT_EQ(people.size(), 3u);
  EXPECT_EQ(std::tuple(people[1].number, people[1].kept, people[1].dropped), std::tuple(1, 2, 0));
  EXPECT_EQ(std::tuple(people[2].number, people[2].kept, people[2].dropped), std::tuple(2, 0, 2));
  EXPECT_EQ(folder.unused_person(), 3);
  EXPECT_EQ(folder.find("sheet.png"), nullptr);
  EXPECT_EQ(folder.find("../a_1000.png"), nullptr);
  EXPECT_EQ(list_faces(scratch.path).size(), 4u);
}

TEST_F(FolderOfFaces, DecisionsAreHonouredAndTakenBack) {
  FaceFolder folder(scratch.path);
  folder.decide({Decision::drop, {"a_1001.png"}, -1, "a hand in front", {}});
  folder.decide({{Decision::keep, {"refused/a_1004.png"}, -1, "", {}},
                 {Decision::move, {"refused/a_1004.png", "a_1003.png"}, 0, "", {}},
                 {Decision::rename, {}, 0, "Anna", {}}});
  const auto expect_decided = [this](const FaceFolder& f) {
    EXPECT_EQ(f.find("a_1001.png")->reason, "a hand in front");
    EXPECT_FALSE(f.find("refused/a_1004.png")->dropped);
    EXPECT_EQ(f.find("a_1003.png")->face.person, 0);
    EXPECT_EQ(f.people()[0].name, "Anna");
    EXPECT_EQ(f.people()[0].kept, 3);
    EXPECT_EQ(f.kept(), 4);
    const auto listed = list_faces(scratch.path);
    ASSERT_EQ(listed.size(), 4u);
    EXPECT_EQ(listed[1], scratch / "a_1002.png");
    EXPECT_EQ(listed[3], scratch.path / "refused/a_1004.png");
  };
  expect_decided(folder);
  expect_decided(FaceFolder(scratch.path));
  EXPECT_TRUE(folder.undo());
  EXPECT_EQ(folder.kept(), 3);
  EXPECT_EQ(folder.find("a_1003.png")->face.person, 1);
  EXPECT_EQ(folder.people()[0].name, "");
  EXPECT_EQ(std::pair(folder.undoable(), folder.redoable()), std::pair(1, 1));
  EXPECT_TRUE(folder.redo());
  EXPECT_FALSE(folder.redo());
  expect_decided(folder);
  FaceFolder other(scratch.path);
  EXPECT_TRUE(other.undo());
  EXPECT_TRUE(folder.refresh());
  EXPECT_FALSE(folder.refresh());
  EXPECT_EQ(folder.kept(), 3);
}

TEST_F(FolderOfFaces, NamesOfNoFaceAreRefused) {
  FaceFolder folder(scratch.path);
  const auto refused = [&](const Decision& decision) {
    EXPECT_EQ(kind_of([&] { folder.decide(decision); }), ErrorKind::usage);
  };
  for (const char* name : {"b.png", "", "sheet.png", "../a_1000.png", "./a_1000.png",
                           "refused/../a_1000.png", "/etc/passwd", "decisions.jsonl"})
    refused({Decision::drop, {"a_1000.png", name}, -1, "", {}});
  refused({Decision::drop, {}, -1, "", {}});
  refused({Decision::move, {"a_1000.png"}, -1, "", {}});
  refused({Decision::rename, {}, 9, "Nobody", {}});
  refused({Decision::align, {"a_1000.png"}, -1, "", {{5, 5}, {5, 5}}});
  refused({Decision::align, {"a_1000.png"}, -1, "", {{5, 5}, {NAN, 5}}});
  refused({Decision::align, {"a_1000.png", "a_1001.png"}, -1, "", {{5, 5}, {9, 5}}});
  EXPECT_EQ(kind_of([&] { folder.decide(DecisionStep{}); }), ErrorKind::usage);
  EXPECT_FALSE(std::filesystem::exists(scratch / kDecisionsFile));
  EXPECT_EQ(folder.kept(), 4);
}

TEST_F(FolderOfFaces, ADeletedFaceIsNoObstacle) {
  FaceFolder(scratch.path).decide({Decision::drop, {"a_1000.png", "a_1001.png"}, -1, "", {}});
  std::filesystem::remove(scratch / "a_1000.png");
  const FaceFolder folder(scratch.path);
  EXPECT_EQ(folder.missing(), std::vector<std::string>{"a_1000.png"});
  EXPECT_TRUE(folder.find("a_1001.png")->dropped);
  EXPECT_EQ(list_faces(scratch.path).size(), 2u);
}

TEST_F(FolderOfFaces, NothingLeftIsToldApartFromNothingThere) {
  FaceFolder folder(scratch.path);
  std::vector<std::string> all;
  for (const FolderFace& face : folder.faces()) all.push_back(face.name);
  folder.decide({Decision::drop, all, -1, "", {}});
  std::string message;
  EXPECT_EQ(kind_of([&] { list_faces(scratch.path); }, &message), ErrorKind::nothing_found);
  EXPECT_NE(message.find("all 6 faces"), std::string::npos) << message;
  std::filesystem::create_directory(scratch / "empty");
  EXPECT_EQ(kind_of([&] { FaceFolder f(scratch / "empty"); }), ErrorKind::nothing_found);
  EXPECT_EQ(kind_of([&] { FaceFolder f(scratch / "none"); }), ErrorKind::input);
}

// The eyes are moved as if the face sat 3 pixels further right in the frame: the
// corrected crop is the stored one, shifted to the left.
TEST_F(FolderOfFaces, CorrectedEyesWarpTheCrop) {
  const std::string name = "a_1000.png";
  FaceFolder folder(scratch.path);
  const FolderFace before = *folder.find(name);
  const double frame_pixels = 4 * kCanonicalSize / 64 / before.stored.scale();  // 4 of the crop
  Decision align{Decision::align, {name}, -1, "", {}};
  for (int k = 0; k < 2; ++k) {
    // Along the crop's x axis.
    align.eyes[k] = {before.face.eyes[k].x + frame_pixels * std::cos(before.stored.angle()),
                     before.face.eyes[k].y - frame_pixels * std::sin(before.stored.angle())};
  }
  folder.decide(align);
  const FolderFace& after = *folder.find(name);
  EXPECT_TRUE(after.realigned);
  EXPECT_EQ(after.face.eyes[0].x, align.eyes[0].x);
  EXPECT_NEAR(after.stored.tx, before.stored.tx, 1e-12);
  const Image stored = read_face(after.path).crop, warped = read_crop(after);
  ASSERT_EQ(warped.width, 64);
  int far = 0;
  for (int y = 0; y < 64; ++y) {
    for (int x = 0; x < 60; ++x)
      for (int c = 0; c < 3; ++c) far += std::abs(warped.at(x, y)[c] - stored.at(x + 4, y)[c]) > 1;
    for (int x = 60; x < 64; ++x)  // beyond the stored picture: its edge
      far += std::abs(warped.at(x, y)[1] - stored.at(63, y)[1]) > 1;
  }
  EXPECT_EQ(far, 0);
  folder.undo();
  EXPECT_FALSE(folder.find(name)->realigned);
  EXPECT_NEAR(folder.find(name)->face.eyes[0].x, before.face.eyes[0].x, 1e-9);
  EXPECT_EQ(read_crop(*folder.find(name)).pixels, stored.pixels);
}
}  // namespace
}  // namespace faceswap
