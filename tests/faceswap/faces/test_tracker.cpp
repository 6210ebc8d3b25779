// Detection and tracking against rendered heads with exactly known eyes, and on real
// clips where they are available.
#if DOPPEL_DETECT
#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>
#include <fstream>
#include <map>
#include <set>

#include "faceswap/faces/face_json.h"
#include "faceswap/faces/network_files.h"
#include "faceswap/faces/tracker.h"
#include "faceswap/synthetic/head.h"
#include "tests/faceswap/kind_of.h"
#include "tests/faceswap/scratch.h"

namespace {

using namespace faceswap;

DetectorOptions options(const std::string& detector = "cascade") {
  DetectorOptions o;
  o.detector = detector;
  o.landmarks = "eyes";  // whatever is installed
  o.threads = 1;
  return o;
}

std::filesystem::path media_folder() {
  const char* named = std::getenv("DOPPEL_MEDIA_DIR");
  return named && *named ? std::filesystem::path(named)
                         : std::filesystem::path(DOPPEL_SOURCE_DIR) / ".." / "shared" / "media";
}

SourceInfo info() {
  SourceInfo source;
  source.path = "somewhere/clip.mp4";
  return source;
}

Frame as_frame(Image rgb, std::int64_t index) {
  Frame frame;
  frame.index = index;
  frame.pts = 512 * index;
  frame.seconds = static_cast<double>(index) / 25;
  frame.rgb = std::move(rgb);
  return frame;
}

// Without the refused ones.
std::vector<Face> track(const std::vector<Image>& pictures, int stride = 1,
                        const std::string& detector = "cascade") {
  const auto tracker = make_tracker(options(detector), info());
  for (std::size_t i = 0; i < pictures.size(); ++i)
    tracker->push(as_frame(pictures[i], static_cast<std::int64_t>(i) * stride));
  tracker->finish();
  std::vector<Face> faces = tracker->take_finished();
  std::erase_if(faces, [](const Face& face) { return !face.refused.empty(); });
  return faces;
}

struct Talk {
  std::vector<Image> pictures;
  std::vector<HeadPicture> heads;
};

Talk talk(char person, std::uint32_t seed, int frames, int stride = 1, float extra_roll = 0,
          int background = 0) {
  Talk t;
  for (int i = 0; i < frames; ++i) {
    HeadPose pose = talking_pose(i * stride / 25.0, seed);
    pose.roll += extra_roll;
    t.heads.push_back(draw_head(head_identity(person), pose, 320, 240, background, 1));
    t.pictures.push_back(t.heads.back().rgb);
  }
  return t;
}

// Mean distance of the found eyes from the true ones, share of the eye distance.
double eye_error(const Face& face, const HeadPicture& head, double shift_x = 0) {
  const double apart = std::hypot(head.landmarks[1].x - head.landmarks[0].x,
                                  head.landmarks[1].y - head.landmarks[0].y);
  double sum = 0;
  for (int k = 0; k < 2; ++k)
    sum += std::hypot(face.eyes[k].x - head.landmarks[k].x - shift_x,
                      face.eyes[k].y - head.landmarks[k].y) /
           apart / 2;
  return sum;
}

void expect_close(const std::vector<Face>& faces, const Talk& t, int stride, double most) {
  ASSERT_EQ(faces.size(), t.heads.size()) << "one face in every frame";
  double sum = 0;
  for (std::size_t i = 0; i < faces.size(); ++i) {
    const Face& face = faces[i];
    EXPECT_EQ(face.frame, static_cast<std::int64_t>(i) * stride);
    EXPECT_EQ(face.pts, 512 * face.frame);
    EXPECT_EQ(face.track, 0);
    EXPECT_EQ(face.source, "clip.mp4");
    EXPECT_NEAR(face.to_canonical(face.eyes[0]).x, 88, 1e-6);
    EXPECT_NEAR(face.to_canonical(face.eyes[1]).y, 100, 1e-6);
    EXPECT_LT(face.box_x, face.eyes[0].x);
    EXPECT_GT(face.box_x + face.box_side, face.eyes[1].x);
    sum += eye_error(face, t.heads[i]);
  }
  EXPECT_LT(sum / static_cast<double>(faces.size()), most);
}

// Jitter of the true eyes in the crops: rms second difference, share of eye distance.
double jitter(const std::vector<Face>& faces, const Talk& t) {
  std::vector<Point> path;
  for (std::size_t i = 0; i < faces.size(); ++i)
    path.push_back(faces[i].to_canonical(t.heads[i].landmarks[0]));
  double sum = 0;
  for (std::size_t i = 2; i < path.size(); ++i) {
    const Point p = path[i - 2], q = path[i - 1], r = path[i];
    sum += std::pow(r.x - 2 * q.x + p.x, 2) + std::pow(r.y - 2 * q.y + p.y, 2);
  }
  return std::sqrt(sum / static_cast<double>(path.size() - 2)) / 80;
}

TEST(Tracker, FollowsATalkingHead) {
  for (const char person : {'a', 'b'}) {
    const Talk t = talk(person, person == 'a' ? 5 : 6, 60);
    const std::vector<Face> faces = track(t.pictures);
    expect_close(faces, t, 1, 0.025);
    EXPECT_LT(jitter(faces, t), 0.004);  // 1 to 2 % without the flow
  }
}

// The mesh has another idea of a drawn eye's middle, but holds it.
TEST(Tracker, FollowsATalkingHeadByItsMesh) {
  if (find_network("face_landmark.safetensors").empty())
    GTEST_SKIP() << "face_landmark is not in " << network_folder()
                 << ": run tools/install_deps.sh faces";
  DetectorOptions by_mesh = options();
  by_mesh.landmarks = "mesh";
  const Talk t = talk('a', 5, 30);
  const auto tracker = make_tracker(by_mesh, info());
  for (std::size_t i = 0; i < t.pictures.size(); ++i)
    tracker->push(as_frame(t.pictures[i], static_cast<std::int64_t>(i)));
  tracker->finish();
  const std::vector<Face> faces = tracker->take_finished();
  expect_close(faces, t, 1, 0.05);
  EXPECT_LT(jitter(faces, t), 0.004);
}

TEST(Tracker, FollowsAcrossSkippedFrames) {
  const Talk t = talk('a', 5, 14, 6);
  expect_close(track(t.pictures, 6), t, 6, 0.03);
}

TEST(Tracker, SameFacesForAnyNumberOfThreads) {
  const Talk t = talk('b', 6, 4);
  const std::vector<Face> one = track(t.pictures);
  DetectorOptions two = options();
  two.threads = 2;
  const auto tracker = make_tracker(two, info());
  for (std::size_t i = 0; i < t.pictures.size(); ++i)
    tracker->push(as_frame(t.pictures[i], static_cast<std::int64_t>(i)));
  tracker->finish();
  const std::vector<Face> other = tracker->take_finished();
  ASSERT_EQ(one.size(), other.size());
  for (std::size_t i = 0; i < one.size(); ++i) EXPECT_EQ(to_json(one[i]), to_json(other[i]));
}

TEST(Tracker, FindsTiltedHeads) {
  for (const float roll : {-0.5f, 0.5f}) {  // 29 degrees: out of reach of the upright scan
    const Talk t = talk('a', 5, 3, 1, roll);
    expect_close(track(t.pictures), t, 1, 0.06);
  }
}

Image beside(const Image& left, const Image& right) {
  Image both(left.width + right.width, left.height);
  for (int y = 0; y < both.height; ++y) {
    std::copy_n(left.at(0, y), 3 * left.width, both.at(0, y));
    std::copy_n(right.at(0, y), 3 * right.width, both.at(left.width, y));
  }
  return both;
}

TEST(Tracker, TwoHeadsAreTwoTracks) {
  const Talk a = talk('a', 5, 14), b = talk('b', 6, 14);
  std::vector<Image> pictures;
  for (std::size_t i = 0; i < a.pictures.size(); ++i)
    pictures.push_back(beside(a.pictures[i], b.pictures[i]));
  const std::vector<Face> faces = track(pictures);
  ASSERT_EQ(faces.size(), 28u);
  std::set<int> on_the_left, on_the_right;
  for (const Face& face : faces) {
    const bool left = face.eyes[0].x < 320;
    (left ? on_the_left : on_the_right).insert(face.track);
    EXPECT_LT(
        eye_error(face, (left ? a : b).heads[static_cast<std::size_t>(face.frame)], left ? 0 : 320),
        0.06);
  }
  EXPECT_EQ(on_the_left.size(), 1u);
  EXPECT_EQ(on_the_right.size(), 1u);
  EXPECT_NE(*on_the_left.begin(), *on_the_right.begin());
}

TEST(Tracker, ACutEndsTheTrackAndDeliversTheShot) {
  Talk a = talk('a', 5, 13), b = talk('b', 6, 13);
  for (HeadPicture& head : b.heads)  // another scene: darker, and the head elsewhere
    for (auto& p : head.rgb.pixels) p = static_cast<std::uint8_t>(p / 2);
  const auto tracker = make_tracker(options(), info());
  for (std::size_t i = 0; i < 13; ++i)
    tracker->push(as_frame(a.heads[i].rgb, static_cast<std::int64_t>(i)));
  EXPECT_TRUE(tracker->take_finished().empty()) << "the shot goes on";
  for (std::size_t i = 0; i < 13; ++i) {
    tracker->push(as_frame(b.heads[i].rgb, static_cast<std::int64_t>(13 + i)));
    if (i == 0) {
      const std::vector<Face> first = tracker->take_finished();
      ASSERT_EQ(first.size(), 13u);
      EXPECT_EQ(first.back().track, 0);
    }
  }
  tracker->finish();
  const std::vector<Face> second = tracker->take_finished();
  ASSERT_EQ(second.size(), 13u);
  for (const Face& face : second) {
    EXPECT_EQ(face.track, 1);
    EXPECT_LT(eye_error(face, b.heads[static_cast<std::size_t>(face.frame - 13)]), 0.06)
        << "nothing is carried across the cut";
  }
}

TEST(Tracker, AFaceHiddenForAMomentIsBridged) {
  const Talk t = talk('a', 5, 30);
  std::vector<Image> pictures = t.pictures;
  for (std::size_t i = 12; i < 16; ++i) {  // a bar across the eyes
    const Point eye = t.heads[i].landmarks[0];
    for (int y = static_cast<int>(eye.y) - 14; y < static_cast<int>(eye.y) + 14; ++y)
      for (int x = 60; x < 260; ++x) std::fill_n(pictures[i].at(x, y), 3, std::uint8_t{90});
  }
  const std::vector<Face> faces = track(pictures);
  ASSERT_EQ(faces.size(), 30u);
  int bridged = 0;
  for (const Face& face : faces) {
    EXPECT_EQ(face.track, 0);
    bridged += face.confidence == 0;
    EXPECT_LT(eye_error(face, t.heads[static_cast<std::size_t>(face.frame)]), 0.08) << face.frame;
  }
  EXPECT_GE(bridged, 3);
  EXPECT_LE(bridged, 5);
}

TEST(Tracker, ShelvesAreNotFaces) {
  // The cascade alone finds faces here, some with as many windows as a true one.
  for (const std::uint32_t seed : {4u, 12u, 66u, 106u}) {
    HeadPose away;
    away.center_x = -3;
    const HeadPicture empty = draw_head(head_identity('a'), away, 640, 480, 2, seed);
    EXPECT_TRUE(track({empty.rgb}).empty()) << "background " << seed;
  }
  const HeadPicture head = draw_head(head_identity('a'), talking_pose(1, 5), 640, 480, 2, 12);
  const std::vector<Face> faces = track({head.rgb});
  ASSERT_EQ(faces.size(), 1u);
  EXPECT_LT(eye_error(faces[0], head), 0.05);
}

TEST(Tracker, OddPicturesDoNoHarm) {
  EXPECT_TRUE(
      track({Image(1, 1), Image(3, 2), Image(40, 5), Image(5, 700), Image(64, 64)}).empty());
  const auto tracker = make_tracker(options(), info());
  EXPECT_THROW(tracker->push(Frame{}), Error);
  tracker->finish();
  EXPECT_TRUE(tracker->take_finished().empty());
  Talk t = talk('a', 5, 2);
  t.pictures.insert(t.pictures.begin() + 1, Image(64, 48));  // a new size begins a new shot
  const std::vector<Face> faces = track(t.pictures);
  ASSERT_EQ(faces.size(), 2u);
  EXPECT_NE(faces[0].track, faces[1].track);
}

ErrorKind refusal(const DetectorOptions& o, std::string& message) {
  return kind_of([&] { make_tracker(o, info()); }, &message);
}

TEST(MakeTracker, SaysWhatIsWrong) {
  std::string message;
  EXPECT_EQ(refusal(options("magic"), message), ErrorKind::usage);
  EXPECT_NE(message.find("magic"), std::string::npos);
  EXPECT_EQ(refusal(options("yunet=/nowhere/model.onnx"), message), ErrorKind::input);
  EXPECT_NE(message.find("/nowhere/model.onnx"), std::string::npos);
  const Scratch scratch;
  std::ofstream(scratch / "model.onnx") << "this is no network";
  EXPECT_EQ(refusal(options("yunet=" + (scratch / "model.onnx").string()), message),
            ErrorKind::input);
  DetectorOptions bad = options();
  bad.min_face = -0.1;
  EXPECT_EQ(refusal(bad, message), ErrorKind::usage);

  DetectorOptions landmarks = options();
  landmarks.landmarks = "nose";
  EXPECT_EQ(refusal(landmarks, message), ErrorKind::usage);
  EXPECT_NE(message.find("auto, mesh or eyes"), std::string::npos) << message;

  ::setenv("DOPPEL_CASCADES", scratch.path.c_str(), 1);
  EXPECT_EQ(refusal(options(), message), ErrorKind::input);
  EXPECT_NE(message.find("opencv-data"), std::string::npos);
  std::ofstream(scratch / "haarcascade_frontalface_alt2.xml") << "<not a cascade";
  EXPECT_EQ(refusal(options(), message), ErrorKind::input);
  ::unsetenv("DOPPEL_CASCADES");
}

std::vector<Image> real_clip(const std::string& name, int stride, int most) {
  std::vector<Image> pictures;
  const auto source = open_source(media_folder() / name);
  for (Frame frame; static_cast<int>(pictures.size()) < most && source->next(frame);)
    if (frame.index % stride == 0) pictures.push_back(frame.rgb);
  return pictures;
}

#if DOPPEL_MEDIA
TEST(RealClips, OneTrackCoversEachSpeaker) {
  if (!std::filesystem::exists(media_folder() / "speaker_a.mp4"))
    GTEST_SKIP() << "no clips in " << media_folder() << " (DOPPEL_MEDIA_DIR)";
  for (const char* name : {"speaker_a.mp4", "speaker_b.mp4"}) {
    const std::vector<Image> pictures = real_clip(name, 3, 24);
    const std::vector<Face> faces = track(pictures, 3);
    ASSERT_EQ(faces.size(), pictures.size()) << name;
    for (const Face& face : faces) {
      EXPECT_EQ(face.track, 0);
      EXPECT_GE(face.confidence, 80);
    }
  }
}

TEST(RealClips, YunetAndCascadesAgreeOnTheEyes) {
  const auto model = media_folder() / "face_detection_yunet_2023mar.onnx";
  if (!std::filesystem::exists(model))
    GTEST_SKIP() << "no model in " << media_folder() << " (DOPPEL_MEDIA_DIR)";
  const std::vector<Image> pictures = real_clip("speaker_a.mp4", 3, 8);
  const std::vector<Face> cascade = track(pictures, 3),
                          yunet = track(pictures, 3, "yunet=" + model.string());
  ASSERT_EQ(cascade.size(), pictures.size());
  ASSERT_EQ(yunet.size(), pictures.size());
  for (std::size_t i = 0; i < pictures.size(); ++i) {
    const double apart = std::hypot(yunet[i].eyes[1].x - yunet[i].eyes[0].x,
                                    yunet[i].eyes[1].y - yunet[i].eyes[0].y);
    for (int k = 0; k < 2; ++k)
      EXPECT_LT(std::hypot(yunet[i].eyes[k].x - cascade[i].eyes[k].x,
                           yunet[i].eyes[k].y - cascade[i].eyes[k].y),
                0.1 * apart);
    EXPECT_GT(yunet[i].confidence, 0.7);
  }
  const Talk t = talk('a', 5, 20);
  // It places drawn eyes differently.
  expect_close(track(t.pictures, 1, "yunet=" + model.string()), t, 1, 0.1);
}
#endif
}  // namespace
#endif
