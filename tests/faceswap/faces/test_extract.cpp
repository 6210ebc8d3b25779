// The extract command on clips, folders and stills, and its faults.
#if DOPPEL_DETECT
#include <gtest/gtest.h>

#include <cmath>
#include <csignal>
#include <cstdlib>
#include <fstream>
#include <set>
#include <thread>

#include "faceswap/faces/extract.h"
#include "faceswap/faces/face_file.h"
#include "faceswap/media/media.h"
#include "faceswap/progress.h"
#include "faceswap/synthetic/clip.h"
#include "tests/faceswap/faces/extract_cases.h"
#include "tests/faceswap/kind_of.h"
#include "tests/faceswap/scratch.h"

namespace {

using namespace faceswap;
namespace fs = std::filesystem;

ExtractOptions options(std::vector<fs::path> inputs, const fs::path& out) {
  return extraction(std::move(inputs), out, 128);
}

ErrorKind refusal(const ExtractOptions& o, std::string& message) {
  return kind_of([&] { extract(o); }, &message);
}

HeadPicture head(char person, double seconds) {
  return draw_head(head_identity(person), talking_pose(seconds, 5), 320, 240, 0, 1);
}

TEST(Extract, StillsAndFolders) {
  const Scratch scratch;
  fs::create_directories(scratch / "one");
  fs::create_directories(scratch / "two");
  const HeadPicture a = head('a', 0), b = head('b', 2);
  write_png(scratch / "one/-photo (1).png", a.rgb);
  write_png(scratch / "two/-photo (1).png", b.rgb);
  fs::create_directories(scratch / "frames");
  for (int i = 0; i < 7; ++i)
    write_png(scratch / ("frames/f" + std::to_string(i) + ".png"), head('a', 0.04 * i).rgb);
  ExtractOptions o =
      options({scratch / "one/-photo (1).png", scratch / "two/-photo (1).png", scratch / "frames"},
              scratch / "out");
  o.every = 3;
  const ExtractReport report = extract(o);
  EXPECT_EQ(report.frames_read, 9);
  EXPECT_EQ(report.frames_used, 5);  // 1 + 1 + frames 0, 3, 6
  EXPECT_EQ(report.faces, 5);
  EXPECT_EQ(report.tracks, 3);
  std::vector<std::string> names;
  for (const fs::path& path : list_faces(scratch / "out"))
    names.push_back(path.filename().string());
  EXPECT_EQ(names, (std::vector<std::string>{"frames_000000_0.png", "frames_000003_0.png",
                                             "frames_000006_0.png", "photo__1_-2_000000_0.png",
                                             "photo__1__000000_0.png"}));
  EXPECT_EQ(read_face(scratch / "out/frames_000003_0.png").face.source, "f3.png");
  EXPECT_GT(read_image(scratch / "out/sheet.png").width, 500);
}

TEST(Extract, MaxFacesKeepsTheLargest) {
  const Scratch scratch;
  HeadPose near = talking_pose(0, 5);
  near.scale = 0.3f;
  const Image large = draw_head(head_identity('a'), near, 320, 240, 0, 1).rgb,
              small = head('b', 0).rgb;
  Image both(640, 240);
  for (int y = 0; y < 240; ++y) {
    std::copy_n(small.at(0, y), 3 * 320, both.at(0, y));
    std::copy_n(large.at(0, y), 3 * 320, both.at(320, y));
  }
  write_png(scratch / "both.png", both);
  EXPECT_EQ(extract(options({scratch / "both.png"}, scratch / "all")).faces, 2);
  ExtractOptions one = options({scratch / "both.png"}, scratch / "largest");
  one.max_faces = 1;
  one.sheet = false;
  EXPECT_EQ(extract(one).faces, 1);
  EXPECT_GT(read_face(scratch / "largest/both_000000_0.png").face.box_x, 320);
  EXPECT_FALSE(fs::exists(scratch / "largest/sheet.png"));
}

TEST(Extract, RefusesWithTheRightKind) {
  const Scratch scratch;
  std::string message;
  write_png(scratch / "face.png", head('a', 0).rgb);
  EXPECT_EQ(refusal(options({}, scratch / "out"), message), ErrorKind::usage);
  EXPECT_EQ(refusal(options({scratch / "face.png"}, ""), message), ErrorKind::usage);
  EXPECT_EQ(refusal(options({scratch / "none.mp4"}, scratch / "out"), message), ErrorKind::input);
  EXPECT_FALSE(fs::exists(scratch / "out"));
  EXPECT_EQ(refusal(options({scratch.path}, scratch.path), message), ErrorKind::usage);
  EXPECT_EQ(refusal(options({scratch / "face.png"}, scratch / "face.png"), message),
            ErrorKind::usage);
  ExtractOptions bad = options({scratch / "face.png"}, scratch / "out");
  bad.every = 0;
  EXPECT_EQ(refusal(bad, message), ErrorKind::usage);
  bad = options({scratch / "face.png"}, scratch / "out");
  bad.size = 5000;
  EXPECT_EQ(refusal(bad, message), ErrorKind::usage);

  HeadPose away;
  away.center_x = -3;
  write_png(scratch / "wall.png", draw_head(head_identity('a'), away, 320, 240, 0, 1).rgb);
  EXPECT_EQ(refusal(options({scratch / "wall.png"}, scratch / "out"), message),
            ErrorKind::nothing_found);
  EXPECT_NE(message.find("wall.png"), std::string::npos);
  EXPECT_FALSE(fs::exists(scratch / "out")) << "no empty folder is left behind";
  std::ofstream(scratch / "text.mp4") << "this is no film";
  EXPECT_EQ(refusal(options({scratch / "text.mp4"}, scratch / "out"), message), ErrorKind::input);

  extract(options({scratch / "face.png"}, scratch / "out"));
  EXPECT_EQ(refusal(options({scratch / "face.png"}, scratch / "out"), message), ErrorKind::usage);
  EXPECT_NE(message.find("--force"), std::string::npos);
  ExtractOptions again = options({scratch / "face.png"}, scratch / "out");
  again.force = true;
  EXPECT_EQ(extract(again).faces, 1);
}

#if DOPPEL_MEDIA
faceswap::ClipOptions clip(char person, int frames) {
  faceswap::ClipOptions o;
  o.person = person;
  o.frames = frames;
  o.sound = false;
  o.quiet = true;
  return o;
}

TEST(Extract, EveryNthFrameOfAClipWithItsMetadata) {
  const Scratch scratch;
  render_clip(clip('b', 25), scratch / "talk.mp4");
  const ExtractReport report = extract(options({scratch / "talk.mp4"}, scratch / "out"));
  EXPECT_EQ(report.frames_read, 25);
  EXPECT_EQ(report.frames_used, 5);
  EXPECT_EQ(report.faces, 5);
  EXPECT_EQ(report.frames_without_face, 0);
  EXPECT_EQ(report.damaged_frames, 0);
  EXPECT_EQ(report.faces_per_track, (std::vector<std::pair<int, std::int64_t>>{{0, 5}}));
  int frame = 0;
  for (const fs::path& path : list_faces(scratch / "out")) {
    const FaceFile file = read_face(path);
    EXPECT_EQ(file.face.frame, frame);
    EXPECT_EQ(file.face.source, "talk.mp4");
    EXPECT_NEAR(file.face.seconds, frame / 25.0, 1e-3);
    EXPECT_EQ(file.crop.width, 128);
    EXPECT_GT(file.face.sharpness, 5);
    const HeadPicture truth =
        draw_head(head_identity('b'), talking_pose(frame / 25.0, 5), 320, 240, 0, 1);
    for (int k = 0; k < 2; ++k) {
      const Point p = file.face.to_canonical(truth.landmarks[k]);
      EXPECT_LT(std::hypot(p.x - kCanonicalEyes[k].x, p.y - kCanonicalEyes[k].y), 0.05 * 80);
    }
    frame += 6;
  }
}

TEST(Extract, AClipThatBreaksOffIsUsedAsFarAsItGoes) {
  const Scratch scratch;
  render_clip(clip('a', 60), scratch / "whole.mkv");
  std::ifstream whole(scratch / "whole.mkv", std::ios::binary);
  const std::string bytes((std::istreambuf_iterator<char>(whole)), {});
  std::ofstream(scratch / "torn.mkv", std::ios::binary) << bytes.substr(0, bytes.size() * 6 / 10);
  const ExtractReport report = extract(options({scratch / "torn.mkv"}, scratch / "out"));
  EXPECT_GT(report.faces, 1);
  EXPECT_LT(report.frames_read, 60);
  EXPECT_EQ(static_cast<std::int64_t>(list_faces(scratch / "out").size()), report.faces);
}

// In a process of its own, as a stop signal cannot be undone.
TEST(ExtractDeathTest, AStopSignalKeepsWhatIsDone) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  const auto act = [] {
    const fs::path folder =
        fs::temp_directory_path() / ("doppel_extract_stop_" + std::to_string(::getpid()));
    fs::create_directories(folder);
    for (const char* name : {"one.mp4", "two.mp4", "three.mp4"})
      render_clip(clip('a', 13), folder / name);
    install_stop_handlers();
    std::thread killer([&folder] {  // waits for the first face on the disk
      while (!fs::exists(folder / "out" / "one_000000_0.png"))
        std::this_thread::sleep_for(std::chrono::milliseconds(1));
      std::raise(SIGTERM);
    });
    const ExtractReport report = extract(
        options({folder / "one.mp4", folder / "two.mp4", folder / "three.mp4"}, folder / "out"));
    killer.join();
    const std::vector<fs::path> faces = list_faces(folder / "out");
    for (const fs::path& path : faces) read_face(path);  // each is whole
    const bool kept = report.faces > 0 && report.faces < 9 &&
                      static_cast<std::int64_t>(faces.size()) == report.faces &&
                      fs::exists(folder / "out" / "sheet.png");
    fs::remove_all(folder);
    std::_Exit(kept && stop_signal() == SIGTERM ? 42 : 1);
  };
  EXPECT_EXIT(act(), ::testing::ExitedWithCode(42), "");
}
#endif
}  // namespace
#endif
