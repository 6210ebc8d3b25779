#include <gtest/gtest.h>

#include <fstream>

#include "faceswap/faces/face_copies.h"
#include "faceswap/faces/face_file.h"
#include "faceswap/faces/face_selection.h"
#include "tests/faceswap/kind_of.h"
#include "tests/faceswap/scratch.h"

namespace faceswap {
namespace {

namespace fs = std::filesystem;

std::string slurp(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

struct FaceCopies : ::testing::Test {
  Scratch scratch;
  fs::path faces = scratch / "faces";
  void SetUp() override {
    make_faces(faces, 'a', 5, 4, 64);
    fs::create_directories(faces / "refused");
    fs::rename(faces / "a_1003.png", faces / "refused/a_1003.png");
  }
};

TEST_F(FaceCopies, AreNumberedAndByteByByte) {
  const FaceFolder folder(faces);
  FaceList list = kept_faces(folder);
  std::swap(list[0], list[2]);
  const auto files = copy_faces(list, scratch / "out", 0, true, false, true);
  ASSERT_EQ(files.size(), 3u);
  EXPECT_EQ(files[0], scratch / "out/000001_a_1002.png");
  EXPECT_EQ(slurp(files[0]), slurp(faces / "a_1002.png"));
  EXPECT_EQ(kind_of([&] { copy_faces(list, scratch / "out", 0, true, false, true); }),
            ErrorKind::usage);
  EXPECT_EQ(copy_faces(list, scratch / "out", 0, true, true, true).size(), 3u);
}

TEST_F(FaceCopies, HaveTheDecisionsAndTheSize) {
  FaceFolder folder(faces);
  const FolderFace before = *folder.find("a_1001.png");
  Decision align{Decision::align, {"a_1001.png"}, -1, "", {}};
  for (int k = 0; k < 2; ++k) align.eyes[k] = {before.face.eyes[k].x + 2, before.face.eyes[k].y};
  folder.decide({{Decision::drop, {"a_1000.png"}, -1, "", {}},
                 {Decision::keep, {"refused/a_1003.png"}, -1, "", {}},
                 {Decision::move, {"refused/a_1003.png"}, 4, "", {}},
                 align});
  const auto files = copy_faces(kept_faces(folder), scratch / "out", 96, false, false, true);
  ASSERT_EQ(files.size(), 3u);
  EXPECT_FALSE(fs::exists(scratch / "out/a_1000.png"));
  const FaceFolder copies(scratch / "out");
  EXPECT_EQ(copies.kept(), 3);
  const FolderFace& kept = *copies.find("refused_a_1003.png");
  EXPECT_EQ(kept.face.person, 4);
  EXPECT_EQ(kept.face.crop_size, 96);
  EXPECT_NEAR(copies.find("a_1001.png")->face.eyes[0].x, align.eyes[0].x, 1e-9);
  EXPECT_EQ(read_face(scratch / "out/a_1001.png").crop.pixels,
            read_crop(*folder.find("a_1001.png"), 96).pixels);
}

TEST_F(FaceCopies, VerifyFindsDamageDuplicatesAndMissingFaces) {
  EXPECT_TRUE(verify_folder(faces, true).damaged.empty());
  FaceFolder(faces).decide({Decision::drop, {"a_1000.png", "a_1001.png"}, -1, "", {}});
  fs::rename(faces / "a_1000.png", faces / "other.png");
  FaceFile copy = read_face(faces / "a_1001.png");
  copy.face.frame = 77;  // the same picture under other metadata
  write_face(faces / "refused/copy.png", copy.crop, copy.face);
  std::string bytes = slurp(faces / "a_1002.png");
  bytes[bytes.size() / 2 + bytes.size() / 4] ^= 1;  // of a pixel
  std::ofstream(faces / "a_1002.png", std::ios::binary) << bytes;
  const FolderCheck check = verify_folder(faces, true);
  EXPECT_EQ(check.faces, 5);
  ASSERT_EQ(check.damaged.size(), 1u);
  EXPECT_NE(check.damaged[0].find("a_1002.png"), std::string::npos) << check.damaged[0];
  ASSERT_EQ(check.duplicates.size(), 1u);
  EXPECT_EQ(check.duplicates[0], (std::vector<std::string>{"a_1001.png", "refused/copy.png"}));
  EXPECT_EQ(check.missing, std::vector<std::string>{"a_1000.png"});
  std::ofstream(faces / kDecisionsFile, std::ios::app) << "nonsense\n";
  EXPECT_EQ(verify_folder(faces, true).damaged.size(), 2u);
}

TEST_F(FaceCopies, AreChosenByAllThatIsGiven) {
  for (int i = 0; i < 3; ++i) {
    const fs::path path = faces / ("a_100" + std::to_string(i) + ".png");
    FaceFile file = read_face(path);
    file.face.person = i == 2 ? 1 : 0;
    file.face.track = i;
    if (i > 0) file.face.marks = {FaceMark::blurred};
    write_face(path, file.crop, file.face);
  }
  FaceFolder folder(faces);
  folder.decide({Decision::rename, {}, 0, "Anna", {}});
  const auto names = [&](const FaceSelection& selection) {
    std::string all;
    for (const FolderFace* face : select_faces(folder, selection)) all += face->name + " ";
    return all;
  };
  FaceSelection selection;
  EXPECT_TRUE(selection.empty());
  selection.people = {"Anna"};
  EXPECT_EQ(names(selection), "a_1000.png a_1001.png ");
  selection.marks = {"blurred"};
  EXPECT_EQ(names(selection), "a_1001.png ");
  selection.people = {"0", "1"};
  EXPECT_EQ(names(selection), "a_1001.png a_1002.png ");
  selection.tracks = {2};
  EXPECT_EQ(names(selection), "a_1002.png ");
  selection = {};
  selection.files = {"refused/a_1003.png", (faces / "a_1000.png").string(),
                     (scratch / "faces/../faces/a_1001.png").string()};
  EXPECT_EQ(names(selection), "a_1000.png a_1001.png refused/a_1003.png ");
  selection = {};
  selection.sources = {"a.mp4"};
  EXPECT_EQ(select_faces(folder, selection).size(), 4u);

  const auto refused = [&](const FaceSelection& wrong, const std::string& word) {
    std::string message;
    EXPECT_EQ(kind_of([&] { select_faces(folder, wrong); }, &message), ErrorKind::usage);
    EXPECT_NE(message.find(word), std::string::npos) << message;
  };
  FaceSelection wrong;
  wrong.people = {"Bert"}, refused(wrong, "0 (Anna), 1");
  wrong = {}, wrong.tracks = {9}, refused(wrong, "0, 1, 2");
  wrong = {}, wrong.marks = {"ugly"}, refused(wrong, "eyes-shut");
  wrong = {}, wrong.sources = {"b.mp4"}, refused(wrong, "a.mp4");
  wrong = {}, wrong.files = {"/etc/passwd"}, refused(wrong, "/etc/passwd");
  wrong = {}, wrong.files = {"refused/../a_1000.png.png"}, refused(wrong, "no face");
}
}  // namespace
}  // namespace faceswap
