// The tracker as extraction runs it by default, on rendered clips: network, mesh and flow.
#if DOPPEL_DETECT
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <fstream>

#include "faceswap/faces/tracker.h"
#include "faceswap/statistics.h"
#include "tests/faceswap/faces/drawn_face.h"
#include "tests/faceswap/faces/stand_in_networks.h"
#include "tests/faceswap/scratch.h"

namespace {

using namespace faceswap;

using Heads = std::vector<HeadPicture>;

struct DefaultTracker : ::testing::Test {
  void SetUp() override {
    for (const char* file :
         {"centerface.onnx", "face_landmark.safetensors", "iris_landmark.safetensors"})
      if (find_network(file).empty())
        GTEST_SKIP() << file << " is not in " << network_folder()
                     << ": run tools/install_deps.sh faces";
  }

  std::vector<Face> track(const std::vector<Image>& pictures) {
    SourceInfo source;
    source.path = "clip.mp4";
    DetectorOptions options;
    options.threads = 1;
    const auto tracker = make_tracker(options, source);
    for (std::size_t i = 0; i < pictures.size(); ++i) {
      Frame frame;
      frame.index = static_cast<std::int64_t>(i);
      frame.rgb = pictures[i];
      tracker->push(frame);
    }
    tracker->finish();
    good = tracker->good_confidence();
    return tracker->take_finished();
  }
  std::vector<Face> track(const Heads& heads) {
    std::vector<Image> pictures;
    for (const HeadPicture& head : heads) pictures.push_back(head.rgb);
    return track(pictures);
  }

  double good = 0;  // the tracker's good_confidence()
};

// Mean distance of the found eyes from the true ones, share of the eye distance.
double eye_error(const Face& face, const HeadPicture& head) {
  const double apart = distance(head.landmarks[0], head.landmarks[1]);
  return (distance(face.eyes[0], head.landmarks[0]) + distance(face.eyes[1], head.landmarks[1])) /
         (2 * apart);
}

double mean_error(const std::vector<Face>& faces, const Heads& heads) {
  double sum = 0;
  for (std::size_t i = 0; i < faces.size(); ++i) sum += eye_error(faces[i], heads[i]);
  return sum / static_cast<double>(faces.size());
}

Heads talk(const HeadIdentity& person, std::uint32_t seed, int frames, float roll = 0) {
  Heads heads;
  for (int i = 0; i < frames; ++i) {
    HeadPose pose = talking_pose(i / 25.0, seed);
    pose.roll += roll;
    heads.push_back(draw_head(person, pose, 320, 240, 1, 1));
  }
  return heads;
}

TEST_F(DefaultTracker, EyesOfBothPeople) {
  for (const char person : {'a', 'b'}) {
    const Heads heads = talk(head_identity(person), person == 'a' ? 5 : 6, 30);
    const std::vector<Face> faces = track(heads);
    ASSERT_EQ(faces.size(), heads.size()) << person;
    EXPECT_LT(mean_error(faces, heads), 0.02) << person;
    for (const Face& face : faces) {
      EXPECT_EQ(face.track, 0);
      EXPECT_EQ(face.refused, "");
      EXPECT_GE(face.confidence, good);
      EXPECT_EQ(face.landmarks.size(), std::size_t{Mesh::kPoints});
      EXPECT_GT(face.measures.presence, 0.5);
    }
  }
}

TEST_F(DefaultTracker, EyesOfEverySkin) {
  for (const head::Color& tone : kSkinTones) {
    const Heads heads = talk(with_skin(tone), 5, 8);
    const std::vector<Face> faces = track(heads);
    ASSERT_EQ(faces.size(), heads.size()) << tone.x;
    EXPECT_LT(mean_error(faces, heads), 0.03) << tone.x;
  }
}

// Finders see a head at 120 to 150 degrees upside down, with some confidence.
TEST_F(DefaultTracker, HeadsAtEveryRoll) {
  for (int degrees = -180; degrees < 180; degrees += 15) {
    const Heads heads = talk(head_identity('a'), 5, 2, static_cast<float>(degrees * M_PI / 180));
    const std::vector<Face> faces = track(heads);
    ASSERT_EQ(faces.size(), heads.size()) << degrees;
    for (std::size_t i = 0; i < faces.size(); ++i)
      EXPECT_LT(eye_error(faces[i], heads[i]), 0.025) << degrees << " in frame " << i;
  }
}

// A still head that blinks in frames 8 to 10 and opens its mouth in 16 to 19.
TEST_F(DefaultTracker, ABlinkAndAnOpenMouthDoNotMoveTheCrop) {
  for (const char person : {'a', 'b'}) {
    Heads heads;
    for (int i = 0; i < 26; ++i) {
      HeadPose pose;
      pose.yaw = 0.15f;
      pose.blink = i == 9 ? 1 : i == 8 || i == 10 ? 0.7f : 0;
      pose.mouth_open = i >= 16 && i < 20 ? 0.9f : 0;
      heads.push_back(draw_head(head_identity(person), pose, 320, 240, 1, 1));
    }
    const std::vector<Face> faces = track(heads);
    ASSERT_EQ(faces.size(), heads.size());
    const Point left = heads[0].landmarks[0], right = heads[0].landmarks[1];
    for (std::size_t i = 0; i < faces.size(); ++i)
      for (const Point eye : {left, right}) {
        std::vector<double> x, y;  // where the neighbours' crops have this place of the head
        for (std::size_t j = 0; j < faces.size(); ++j) {
          const bool calm = j < 8 || (j > 10 && j < 16) || j > 19;
          if (!calm) continue;
          const Point there = faces[j].to_canonical(eye);
          x.push_back(there.x), y.push_back(there.y);
        }
        EXPECT_LT(distance(faces[i].to_canonical(eye), {median(x), median(y)}), 0.04 * 80)
            << person << i;
      }
    EXPECT_GT(faces[18].landmarks[14].y - faces[18].landmarks[13].y,
              faces[2].landmarks[14].y - faces[2].landmarks[13].y + 2)
        << "the mesh sees the mouth";
  }
}

TEST_F(DefaultTracker, ShelvesAreNotFaces) {
  for (const std::uint32_t seed : {4u, 12u, 66u, 106u}) {
    HeadPose away;
    away.center_x = -3;
    const Image empty = draw_head(head_identity('a'), away, 640, 480, 2, seed).rgb;
    for (const Face& face : track(std::vector(3, empty))) EXPECT_NE(face.refused, "") << seed;
  }
}

// A board before the whole face: nothing there is to be trained on.
TEST_F(DefaultTracker, AHiddenFaceIsNotKept) {
  const Heads heads = talk(head_identity('a'), 5, 24);
  std::vector<Image> pictures;
  for (const HeadPicture& head : heads) pictures.push_back(head.rgb);
  for (std::size_t i = 12; i < 15; ++i)
    for (int y = 20; y < 220; ++y)
      for (int x = 80; x < 240; ++x) std::fill_n(pictures[i].at(x, y), 3, std::uint8_t{90});
  std::vector<Face> faces = track(pictures);
  std::erase_if(faces, [](const Face& face) { return !face.refused.empty(); });
  int hidden = 0, seen = 0;
  for (const Face& face : faces) {
    const bool behind = face.frame >= 12 && face.frame < 15;
    EXPECT_EQ(face.confidence < good, behind) << face.frame;
    ++(behind ? hidden : seen);
  }
  EXPECT_EQ(seen, 21);
}

TEST_F(DefaultTracker, AFaceInOneFrameOfALongShotIsRefused) {
  HeadPose away, brief;
  away.center_x = -3;
  brief.scale = 0.12f;  // small, so that it is no cut
  const Image empty = draw_head(head_identity('a'), away, 320, 240, 1, 1).rgb;
  std::vector<Image> pictures(30, empty);
  pictures[12] = draw_head(head_identity('a'), brief, 320, 240, 1, 1).rgb;
  const std::vector<Face> faces = track(pictures);
  ASSERT_EQ(faces.size(), 1u);
  EXPECT_EQ(faces[0].frame, 12);
  EXPECT_EQ(faces[0].track, -1);
  EXPECT_EQ(faces[0].refused, "seen for 1 frames, expected 4");
}

TEST(DetectorTexts, SayWhatIsMissing) {
  const Scratch scratch;
  const NetworksIn networks(scratch / "cache");
  const auto has = [](const std::string& text, const char* word) {
    return text.find(word) != std::string::npos;
  };
  DetectorOptions options;
  std::string text = missing_networks(options);
  EXPECT_TRUE(has(text, "cascades find the faces") && has(text, "install_deps.sh faces")) << text;
  EXPECT_TRUE(has(text, (scratch / "cache/networks").c_str())) << text;
  text = detection_limits(options);
  EXPECT_TRUE(has(text, "12 %") && has(text, "--detector centerface")) << text;
  options.min_face = 0.3;
  text = detection_limits(options);
  EXPECT_TRUE(has(text, "30 %") && has(text, "--detector centerface")) << text;
  options.detector = "cascade", options.landmarks = "eyes";
  EXPECT_EQ(missing_networks(options), "") << "it is what was asked for";

  options = {};
  std::ofstream(scratch / "cache/networks/centerface.onnx") << "here";
  text = missing_networks(options);
  EXPECT_TRUE(has(text, "the detector's own eyes align the faces")) << text;
  text = detection_limits(options);
  EXPECT_TRUE(has(text, "24 pixels") && !has(text, "--detector")) << text;
  std::ofstream(scratch / "cache/networks/face_landmark.safetensors") << "here";
  EXPECT_EQ(missing_networks(options), "");
  EXPECT_FALSE(has(detection_limits({.detector = "yunet=file"}), "12 %"));
  EXPECT_TRUE(has(detection_limits({.detector = "cascade"}), "12 %"));
}
}  // namespace
#endif
