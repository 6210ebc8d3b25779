// Whose faces lie in a folder: names, sources, refused faces and what was not read.
#if DOPPEL_DETECT
#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <set>

#include "faceswap/faces/extract.h"
#include "faceswap/faces/extract_journal.h"
#include "faceswap/faces/face_file.h"
#include "faceswap/media/files.h"
#include "faceswap/media/media.h"
#include "faceswap/synthetic/clip.h"
#include "tests/faceswap/faces/extract_cases.h"
#include "tests/faceswap/kind_of.h"
#include "tests/faceswap/scratch.h"

namespace {

using namespace faceswap;
namespace fs = std::filesystem;

ExtractOptions options(std::vector<fs::path> inputs, const fs::path& out) {
  return extraction(std::move(inputs), out, 64);
}

Image head(char person, double seconds) {
  return draw_head(head_identity(person), talking_pose(seconds, 5), 320, 240, 0, 1).rgb;
}

std::vector<std::string> names_in(const fs::path& folder) {
  std::vector<std::string> names;
  for (const fs::path& path : list_faces(folder)) names.push_back(path.filename().string());
  return names;
}

TEST(FacePrefix, LettersStayAndWhatAShellReadsGoes) {
  EXPECT_EQ(face_prefix("/x/anna.mp4"), "anna");
  EXPECT_EQ(face_prefix("Grüße_Ödön.mp4"), "Grüße_Ödön");
  EXPECT_EQ(face_prefix("Анна Каренина.mov"), "Анна_Каренина");
  EXPECT_EQ(face_prefix("花子と太郎.mkv"), "花子と太郎");
  EXPECT_EQ(face_prefix("party🎉.mp4"), "party🎉");
  EXPECT_EQ(face_prefix("-rf $HOME;'x'.mp4"), "rf__HOME__x_");
  EXPECT_EQ(face_prefix("..hidden.mp4"), "hidden");
  EXPECT_EQ(face_prefix("a\tb\nc*?.mp4"), "a_b_c__");
  EXPECT_EQ(face_prefix("wide\u3000space\u00a0and\u202eturned.mp4"), "wide_space_and_turned");
  EXPECT_EQ(face_prefix("latin1_\xe9t\xe9.mp4"), "latin1__t_");
  EXPECT_EQ(face_prefix("---.mp4"), "clip");
  std::string longest;
  for (int i = 0; i < 100; ++i) longest += "é";
  EXPECT_EQ(face_prefix(longest + ".mp4").size(), 80u) << "cut between letters";
}

TEST(FacePrefix, IsReadBackFromAFaceName) {
  EXPECT_EQ(prefix_of("anna_000012_0.png"), "anna");
  EXPECT_EQ(prefix_of("a_000001_000000_11.png"), "a_000001");
  EXPECT_EQ(prefix_of("a_1234567_0.png"), "a");
  for (const char* other : {"sheet.png", "anna.png", "anna_12_0.png", "anna_000012.png",
                            "_000012_0.png", "000012_0.png", "anna_000012_0.jpg", "_0.png", ".png"})
    EXPECT_EQ(prefix_of(other), "") << other;
}

TEST(ExtractNames, F15WhatIsSkippedIsNamed) {
  const Scratch scratch;
  fs::create_directories(scratch / "in/deeper");
  write_png(scratch / "in/anna.png", head('a', 0));
  write_png(scratch / "in/bert.png", head('b', 0));
  std::ofstream(scratch / "in/notes.txt") << "notes";
  std::ofstream(scratch / "in/.hidden.png") << "another program's";
  std::ofstream(scratch / "in/broken.png") << "no picture";
  const ExtractReport report = extract(options({scratch / "in"}, scratch / "out"));
  EXPECT_EQ(report.faces, 2);
  std::set<std::string> skipped;
  for (const SkippedFile& file : report.skipped) {
    skipped.insert(fs::path(file.path).filename().string());
    EXPECT_FALSE(file.why.empty());
    EXPECT_EQ(file.why.find(scratch.path.string()), std::string::npos) << file.why;
  }
  EXPECT_EQ(skipped, (std::set<std::string>{"notes.txt", "deeper", "broken.png"}));
}

TEST(ExtractNames, PhotosAreAllTakenFramesAreNot) {
  const Scratch scratch;
  for (int i = 0; i < 9; ++i) {  // numbered by a camera, but each another picture
    Image photo = head(i % 2 ? 'b' : 'a', 0.7 * i);
    for (std::uint8_t& v : photo.pixels) v = static_cast<std::uint8_t>(v * (4 + i % 3 * 3) / 10);
    fs::create_directories(scratch / "photos");
    fs::create_directories(scratch / "frames");
    write_png(scratch / ("photos/IMG_000" + std::to_string(i) + ".png"), photo);
    write_png(scratch / ("frames/f" + std::to_string(i) + ".png"), head('a', 0.04 * i));
  }
  EXPECT_FALSE(is_clip_in_frames({scratch / "a.png", scratch / "b.png", scratch / "c.png"}));
  const ExtractReport photos = extract(options({scratch / "photos"}, scratch / "p"));
  EXPECT_EQ(photos.frames_used, 9);
  EXPECT_EQ(photos.faces, 9);
  EXPECT_EQ(photos.tracks, 9) << "a photo is a shot of its own";
  ASSERT_EQ(photos.notes.size(), 1u);
  EXPECT_NE(photos.notes[0].find("--pictures frames"), std::string::npos) << photos.notes[0];
  EXPECT_EQ(read_face(scratch / "p/IMG_0003_000000_0.png").face.source, "IMG_0003.png");

  const ExtractReport frames = extract(options({scratch / "frames"}, scratch / "f"));
  EXPECT_EQ(frames.frames_used, 2);  // 0 and 6
  EXPECT_EQ(frames.faces, 2);
  ASSERT_EQ(frames.notes.size(), 1u);
  EXPECT_NE(frames.notes[0].find("--pictures photos"), std::string::npos) << frames.notes[0];

  ExtractOptions other = options({scratch / "frames"}, scratch / "fp");
  other.pictures = PictureFolders::photos;
  EXPECT_EQ(extract(other).faces, 9);
  other = options({scratch / "photos"}, scratch / "pf");
  other.pictures = PictureFolders::frames;
  EXPECT_EQ(extract(other).frames_used, 2);
}

TEST(ExtractNames, ExamineMayRefuseAndTheReasonIsInTheFile) {
  const Scratch scratch;
  for (const char* name : {"one.png", "two.png", "three.png"})
    write_png(scratch / name, head('a', 0.01 * name[1]));
  ExtractOptions o =
      options({scratch / "one.png", scratch / "two.png", scratch / "three.png"}, scratch / "out");
  std::vector<std::string> order;
  o.examine = [&](const Image& frame, const Image& crop, Face& face) {
    EXPECT_EQ(frame.width, 320);
    EXPECT_EQ(crop.width, 64);
    order.push_back(face.source);
    face.measures.yaw = 7;
    if (face.source == "two.png") face.refused = "a dog";
  };
  const ExtractReport report = extract(o);
  EXPECT_EQ(order, (std::vector<std::string>{"one.png", "two.png", "three.png"}));
  EXPECT_EQ(report.faces, 2);
  EXPECT_EQ(report.refused, (std::map<std::string, std::int64_t>{{"a dog", 1}}));
  EXPECT_EQ(report.frames_without_face, 1);
  EXPECT_EQ(names_in(scratch / "out"),
            (std::vector<std::string>{"one_000000_0.png", "three_000000_0.png"}));
  const Face refused = read_face(scratch / "out/refused/two_000000_0.png").face;
  EXPECT_EQ(refused.refused, "a dog");
  EXPECT_EQ(refused.measures.yaw, 7);

  o.out = scratch / "none";
  o.examine = [](const Image&, const Image&, Face& face) { face.refused = "a dog"; };
  std::string message;
  EXPECT_EQ(kind_of([&] { extract(o); }, &message), ErrorKind::nothing_found);
  EXPECT_NE(message.find("a dog (3)"), std::string::npos) << message;
  EXPECT_EQ(names_in(scratch / "none/refused").size(), 3u) << "to look at";
}

#if DOPPEL_MEDIA
TEST(ExtractNames, F1NoFaceOfAnotherSourceIsReplaced) {
  const Scratch scratch;
  render(scratch / "d1/clip.mp4", 'a', 10);
  render(scratch / "d2/clip.mp4", 'b', 10);
  render(scratch / "d3/CLIP.mp4", 'b', 13);
  ExtractOptions first = options({scratch / "d1/clip.mp4"}, scratch / "c");
  first.every = 2;
  EXPECT_EQ(extract(first).faces, 5);
  std::map<std::string, Image> before;
  for (const std::string& name : names_in(scratch / "c"))
    before[name] = read_face(scratch / "c" / name).crop;

  for (const char* clip : {"d2/clip.mp4", "d3/CLIP.mp4"}) {
    ExtractOptions second = options({scratch / clip}, scratch / "c");
    second.every = 2;
    EXPECT_EQ(kind_of([&] { extract(second); }), ErrorKind::usage);
    second.force = true;
    extract(second);
  }
  for (const auto& [name, crop] : before)
    EXPECT_TRUE(read_face(scratch / "c" / name).crop.pixels == crop.pixels) << name;
  std::map<std::string, int> counts;
  std::map<std::string, std::set<int>> tracks;
  for (const std::string& name : names_in(scratch / "c")) {
    ++counts[prefix_of(name)];
    tracks[prefix_of(name)].insert(read_face(scratch / "c" / name).face.track);
  }
  EXPECT_EQ(counts, (std::map<std::string, int>{{"clip", 5}, {"clip-2", 5}, {"CLIP-3", 7}}))
      << "upper and lower case are one name on some disks";
  EXPECT_EQ(tracks, (std::map<std::string, std::set<int>>{
                        {"clip", {0}}, {"clip-2", {1}}, {"CLIP-3", {2}}}));
}

TEST(ExtractNames, F1TheSameClipAgainAddsNothing) {
  const Scratch scratch;
  render(scratch / "clip.mp4", 'a', 13);
  render(scratch / "other.mp4", 'b', 13);
  ExtractOptions o = options({scratch / "clip.mp4", scratch / "other.mp4"}, scratch / "c");
  o.force = true;
  EXPECT_EQ(extract(o).faces, 6);
  const std::vector<std::string> names = names_in(scratch / "c");
  const auto untouched = fs::last_write_time(scratch / "c" / names[0]);
  const ExtractReport again = extract(o);
  EXPECT_EQ(again.faces, 6);
  EXPECT_EQ(again.done_before, 2);
  EXPECT_EQ(again.frames_now, 0);
  EXPECT_EQ(names_in(scratch / "c"), names);
  EXPECT_EQ(fs::last_write_time(scratch / "c" / names[0]), untouched);

  fs::rename(scratch / "clip.mp4", scratch / "moved.mp4");  // the same source elsewhere
  o.inputs = {scratch / "moved.mp4"};
  EXPECT_EQ(extract(o).done_before, 1);
  EXPECT_EQ(names_in(scratch / "c"), names);

  o.every = 4;  // other settings replace the clip's own faces, and only these
  EXPECT_EQ(extract(o).faces, 4);
  std::vector<std::string> expected{"clip_000000_0.png", "clip_000004_0.png",  "clip_000008_0.png",
                                    "clip_000012_0.png", "other_000000_0.png", "other_000006_0.png",
                                    "other_000012_0.png"};
  EXPECT_EQ(names_in(scratch / "c"), expected);

  render(scratch / "moved.mp4", 'b', 20);  // the same path, another clip
  EXPECT_EQ(extract(o).faces, 5);
  EXPECT_EQ(names_in(scratch / "c").size(), expected.size() + 5);
}

TEST(ExtractNames, FacesWithoutAJournalAreNotTouched) {
  const Scratch scratch;
  make_faces(scratch / "c", 'a', 5, 2);
  render(scratch / "clip.mp4", 'a', 7);
  fs::copy_file(scratch / "c/a_1000.png", scratch / "c/clip_000000_0.png");
  const Image crop = read_face(scratch / "c/clip_000000_0.png").crop;
  ExtractOptions o = options({scratch / "clip.mp4"}, scratch / "c");
  o.force = true;
  EXPECT_EQ(extract(o).faces, 2);
  EXPECT_TRUE(read_face(scratch / "c/clip_000000_0.png").crop.pixels == crop.pixels);
  EXPECT_EQ(read_face(scratch / "c/clip-2_000006_0.png").face.track, 1) << "0 was taken";
}

TEST(ExtractNames, AJournalThatIsNoneIsDamage) {
  const Scratch scratch;
  render(scratch / "clip.mp4", 'a', 7);
  ExtractOptions o = options({scratch / "clip.mp4"}, scratch / "c");
  extract(o);
  o.force = true;
  const fs::path journal = scratch / "c/extraction.json";
  const auto bytes = read_whole_file(journal, 1 << 20);
  const std::string text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  std::string outside = text;
  outside.replace(outside.find("\"clip\""), 6, "\"../up\"");
  for (const std::string& bad : {std::string(), std::string("{}"), text.substr(0, 200), outside}) {
    std::ofstream(journal) << bad;
    std::string message;
    EXPECT_EQ(kind_of([&] { extract(o); }, &message), ErrorKind::damaged) << bad;
    EXPECT_NE(message.find("extraction.json"), std::string::npos) << message;
  }
  EXPECT_EQ(names_in(scratch / "c").size(), 2u);
}

TEST(ExtractNames, AClipThatCannotBeReadDoesNotStopTheOthers) {
  const Scratch scratch;
  std::ofstream(scratch / "text.mp4") << "this is no film";
  render(scratch / "clip.mp4", 'a', 7);
  const ExtractReport report =
      extract(options({scratch / "text.mp4", scratch / "clip.mp4"}, scratch / "c"));
  EXPECT_EQ(report.faces, 2);
  ASSERT_EQ(report.failed.size(), 1u);
  EXPECT_EQ(fs::path(report.failed[0].path).filename(), "text.mp4");
}
#endif
}  // namespace
#endif
