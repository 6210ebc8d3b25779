// The default detector's network on rendered heads of every skin tone, roll and size.
#if DOPPEL_DETECT
#include "faceswap/faces/opencv/centerface.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>

#include "faceswap/faces/gray.h"
#include "tests/faceswap/faces/drawn_face.h"
#include "tests/faceswap/kind_of.h"
#include "tests/faceswap/scratch.h"

namespace {

using namespace faceswap;

constexpr int kTones = static_cast<int>(std::size(kSkinTones));
constexpr double kFaceHeight = 1.75;  // forehead to chin, in head units

struct CenterFaceNetwork : ::testing::Test {
  std::unique_ptr<FaceDetector> detector;
  void SetUp() override {
    const auto file = find_network("centerface.onnx");
    if (file.empty())
      GTEST_SKIP() << "centerface is not in " << network_folder()
                   << ": run tools/install_deps.sh faces";
    detector = make_centerface_detector({}, file);
  }

  std::vector<Detection> scan(const Image& rgb, Scan kind) {
    const Image gray = to_gray(rgb);
    detector->next_frame(gray, rgb);
    return detector->scan(kind);
  }

  // As the tracker would start a track.
  bool finds(const HeadPicture& head, Scan kind, double most_error = 0.35) {
    const Point left = head.landmarks[0], right = head.landmarks[1];
    const double apart = distance(left, right);
    return std::ranges::any_of(scan(head.rgb, kind), [&](const Detection& face) {
      return face.confidence >= detector->traits().start_confidence && face.eyes[0] &&
             face.eyes[1] && distance(*face.eyes[0], left) < most_error * apart &&
             distance(*face.eyes[1], right) < most_error * apart;
    });
  }
};

HeadPicture head_of(int tone, float roll, double face_side, int width = 320, int height = 240,
                    float yaw = 0.15f) {
  HeadPose pose;
  pose.yaw = yaw, pose.pitch = 0.05f, pose.roll = roll;
  pose.scale = static_cast<float>(face_side / kFaceHeight / height);
  return draw_head(with_skin(kSkinTones[tone]), pose, width, height, 1, 7);
}

// Of each tone, the share that is found; nobody may be worse off by his skin.
void expect_fair(const std::vector<int>& found, int of) {
  const int all = std::accumulate(found.begin(), found.end(), 0);
  EXPECT_GE(all, 0.99 * of * kTones);
  const auto [least, most] = std::ranges::minmax(found);
  EXPECT_LE(most - least, 0.01 * of);
}

TEST_F(CenterFaceNetwork, FindsEverySkinAtEveryRoll) {
  std::vector<int> found(kTones);
  int tried = 0;
  for (int degrees = -180; degrees < 180; degrees += 30) {
    ++tried;
    for (int tone = 0; tone < kTones; ++tone) {
      const HeadPicture head = head_of(tone, static_cast<float>(degrees * M_PI / 180), 100);
      const bool seen =
          (std::abs(degrees) <= 60 && finds(head, Scan::whole)) || finds(head, Scan::tilted);
      EXPECT_TRUE(seen) << "tone " << tone << " at " << degrees;
      found[static_cast<std::size_t>(tone)] += seen;
    }
  }
  expect_fair(found, tried);
}

TEST_F(CenterFaceNetwork, FindsEverySkinAtEverySize) {
  std::vector<int> found(kTones);
  int tried = 0;
  for (const double side : {26, 32, 40, 56, 80, 120, 150, 180})
    for (const float yaw : {-0.5f, 0.f, 0.5f}) {
      ++tried;
      for (int tone = 0; tone < kTones; ++tone) {
        const bool seen = finds(head_of(tone, 0.1f, side, 320, 240, yaw), Scan::whole);
        EXPECT_TRUE(seen) << "tone " << tone << ", " << side << " pixels, yaw " << yaw;
        found[static_cast<std::size_t>(tone)] += seen;
      }
    }
  expect_fair(found, tried);
}

TEST_F(CenterFaceNetwork, FindsEverySkinInADarkPicture) {
  std::vector<int> found(kTones);
  for (int tone = 0; tone < kTones; ++tone) {
    HeadPicture head = head_of(tone, 0, 100);
    head.rgb = in_light(head.rgb, 0.05);
    const bool seen = finds(head, Scan::whole);
    EXPECT_TRUE(seen) << "tone " << tone;
    found[static_cast<std::size_t>(tone)] += seen;
  }
  expect_fair(found, 1);
}

TEST_F(CenterFaceNetwork, SmallerThanAskedForIsLeftOut) {
  DetectorOptions options;
  options.min_face = 0.5;
  detector = make_centerface_detector(options, find_network("centerface.onnx"));
  EXPECT_FALSE(finds(head_of(1, 0, 80), Scan::whole));
  EXPECT_TRUE(finds(head_of(1, 0, 180), Scan::whole));
}

TEST_F(CenterFaceNetwork, RoomsWithoutPeopleHaveNoFace) {
  HeadPose away;
  away.center_x = -3;
  for (const int background : {0, 1, 2})
    for (const std::uint32_t seed : {4u, 12u, 66u, 106u})
      for (const Scan kind : {Scan::whole, Scan::tilted})
        for (const Detection& face :
             scan(draw_head(head_identity('a'), away, 640, 480, background, seed).rgb, kind))
          EXPECT_LT(face.confidence, detector->traits().start_confidence)
              << "background " << background << ", " << seed;
}

// A picture twice as large as the tracker's working picture, and a grey one.
TEST_F(CenterFaceNetwork, FollowsInTheWorkingPicture) {
  const HeadPicture head = head_of(1, 0.3f, 200, 640, 480);
  for (const bool grey : {false, true}) {
    const Image gray = shrink_gray(to_gray(head.rgb), 2);
    Image picture = head.rgb;
    if (grey) picture = to_gray(head.rgb);
    detector->next_frame(gray, picture);
    Detection expected;
    expected.center = {(head.landmarks[2].x + 6) / 2, (head.landmarks[2].y - 8) / 2};
    expected.side = 110, expected.roll = 0.2;
    const auto face = detector->follow(expected, true);
    ASSERT_TRUE(face && face->eyes[0] && face->eyes[1]) << grey;
    const double apart = distance(head.landmarks[0], head.landmarks[1]) / 2;
    for (int k = 0; k < 2; ++k)
      EXPECT_LT(distance(*face->eyes[k], {(head.landmarks[k].x + 0.5) / 2 - 0.5,
                                          (head.landmarks[k].y + 0.5) / 2 - 0.5}),
                0.2 * apart);
    expected.center.x += 3 * expected.side;
    EXPECT_FALSE(detector->follow(expected, true));
  }
}

TEST(DnnDetector, FilesThatAreNoDetectorAreRefused) {
  const Scratch scratch;
  std::string message;
  EXPECT_EQ(kind_of([&] { make_centerface_detector({}, scratch / "none.onnx"); }, &message),
            ErrorKind::input);
  EXPECT_NE(message.find("--detector cascade"), std::string::npos) << message;
  const auto other = find_network("centerface.onnx");
  if (other.empty()) GTEST_SKIP() << "centerface is not in " << network_folder();
  // A whole network of the other kind, and half a one.
  std::filesystem::copy_file(other, scratch / "half.onnx");
  std::filesystem::resize_file(scratch / "half.onnx", std::filesystem::file_size(other) / 2);
  EXPECT_EQ(kind_of([&] { make_centerface_detector({}, scratch / "half.onnx"); }, &message),
            ErrorKind::input);
  EXPECT_NE(message.find("half.onnx"), std::string::npos) << message;
}
}  // namespace
#endif
