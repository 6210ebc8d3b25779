// The mask: exact on a flat oval face with things painted in front of it, and near the
// exact mask of rendered heads.
#include "faceswap/faces/face_mask.h"

#include <gtest/gtest.h>

#include <array>

#include "tests/faceswap/faces/drawn_face.h"
#include "tests/faceswap/kind_of.h"

namespace {

using namespace faceswap;

constexpr Rgb kSkin{200, 150, 125}, kWall{60, 90, 160}, kCloth{30, 60, 40};

int at(const FaceMask& mask, double x, double y) {  // canonical coordinates
  return *mask.picture.at(static_cast<int>(x / 2), static_cast<int>(y / 2));
}

double area(const Image& mask) {  // canonical pixels
  double sum = 0;
  for (const std::uint8_t v : mask.pixels) sum += v;
  return 4 * sum / 255;
}

TEST(FaceMask, IsTheRaisedHullOfTheLandmarks) {
  const DrawnFace drawn = draw_flat_face(kSkin, kWall);
  const FaceMask mask = face_mask(drawn.face, drawn.crop, 256, 256);
  EXPECT_EQ(at(mask, 128, 140), 255);
  EXPECT_EQ(at(mask, 128, 200), 255);
  EXPECT_EQ(at(mask, 88, 100), 255);
  EXPECT_EQ(at(mask, 20, 140), 0);
  EXPECT_EQ(at(mask, 128, 236), 0);
  // The top lies a quarter of the way from the brows (86) to the oval's top (52) above
  // it.
  EXPECT_GT(at(mask, 128, 50), 200);
  EXPECT_LT(at(mask, 128, 36), 30);
  const double oval = M_PI * kOvalX * kOvalY;
  EXPECT_GT(area(mask.picture), 1.0 * oval);
  EXPECT_LT(area(mask.picture), 1.08 * oval);
  EXPECT_NEAR(mask.visible, 1, 1e-6);
  EXPECT_LT(mask.covered, 0.005);
}

TEST(FaceMask, LeavesOutWhatReachesInFromOutside) {
  DrawnFace drawn = draw_flat_face(kSkin, kWall);
  const double whole = area(face_mask(drawn.face, drawn.crop, 256, 256).picture);
  paint_box(drawn.crop, 40, 156, 110, 256, kCloth);  // over a cheek and a corner of the mouth
  const FaceMask mask = face_mask(drawn.face, drawn.crop, 256, 256);
  EXPECT_LT(at(mask, 90, 190), 10);
  EXPECT_EQ(at(mask, 128, 200), 255);
  EXPECT_EQ(at(mask, 90, 140), 255);
  double hidden = 0;  // of the oval, by counting
  for (int y = 156; y < 256; ++y)
    for (int x = 40; x < 110; ++x) {
      const double dx = (x - kOvalMiddle.x) / kOvalX, dy = (y - kOvalMiddle.y) / kOvalY;
      hidden += dx * dx + dy * dy < 1;
    }
  EXPECT_NEAR(whole - area(mask.picture), hidden, 0.25 * hidden);
  EXPECT_NEAR(mask.covered, hidden / (M_PI * kOvalX * kOvalY), 0.05);
}

TEST(FaceMask, KeepsEyesLipsAndIslands) {
  DrawnFace drawn = draw_flat_face(kSkin, kWall);
  paint_box(drawn.crop, 74, 92, 102, 106, {250, 250, 255});  // an eye
  paint_box(drawn.crop, 106, 172, 150, 182, {170, 40, 60});  // lips
  paint_box(drawn.crop, 112, 154, 144, 164, {30, 20, 15});   // a moustache
  const FaceMask mask = face_mask(drawn.face, drawn.crop, 256, 256);
  EXPECT_EQ(at(mask, 88, 98), 255);
  EXPECT_EQ(at(mask, 128, 176), 255);
  EXPECT_EQ(at(mask, 128, 158), 255);
  EXPECT_LT(mask.covered, 0.005);
}

// The same green cloth over faces from pale to dark.
TEST(FaceMask, SeesTheSameOnEverySkin) {
  double least = 1, most = 0;
  for (const head::Color& tone : kSkinTones) {
    const auto byte = [](float v) { return static_cast<std::uint8_t>(255 * v); };
    const Rgb skin{byte(tone.x), byte(tone.y), byte(tone.z)};
    DrawnFace drawn = draw_flat_face(skin, kWall);
    EXPECT_LT(face_mask(drawn.face, drawn.crop, 256, 256).covered, 0.005) << tone.x;
    paint_box(drawn.crop, 40, 156, 110, 256, {40, 160, 60});
    const double covered = face_mask(drawn.face, drawn.crop, 256, 256).covered;
    least = std::min(least, covered), most = std::max(most, covered);
  }
  EXPECT_GT(least, 0.08);
  EXPECT_LT(most - least, 0.01);
}

TEST(FaceMask, EndsAtTheFramesEdge) {
  const DrawnFace drawn = draw_flat_face(kSkin, kWall, 2);
  const FaceMask mask = face_mask(drawn.face, drawn.crop, 256, 512);  // canonical x up to 127.75
  EXPECT_NEAR(mask.visible, 0.5, 0.03);
  EXPECT_LT(mask.covered, 0.005);
  EXPECT_EQ(at(mask, 100, 140), 255);
  EXPECT_EQ(at(mask, 150, 140), 0);
}

TEST(FaceMask, EmptyWithoutLandmarks) {
  DrawnFace drawn = draw_flat_face(kSkin, kWall);
  drawn.face.landmarks.clear();
  EXPECT_TRUE(face_mask(drawn.face, drawn.crop, 256, 256).picture.empty());
  drawn.face.landmarks.resize(5);
  EXPECT_EQ(kind_of([&] { face_mask(drawn.face, drawn.crop, 256, 256); }), ErrorKind::failure);
}

double overlap(const Image& a, const Image& b) {  // intersection over union
  double both = 0, any = 0;
  for (std::size_t i = 0; i < a.pixels.size(); ++i) {
    both += std::min(a.pixels[i], b.pixels[i]);
    any += std::max(a.pixels[i], b.pixels[i]);
  }
  return both / any;
}

TEST(FaceMask, OfRenderedHeads) {
  const Networks networks;
  if (!networks.complete())
    GTEST_SKIP() << "networks missing in " << network_folder()
                 << ": run tools/install_deps.sh faces";
  double sum = 0, least = 1;
  int count = 0;
  for (const char person : {'a', 'b'})
    for (const float yaw : {-0.7f, -0.3f, 0.f, 0.3f, 0.7f})
      for (const float pitch : {-0.25f, 0.f, 0.25f}) {
        HeadPose pose;
        pose.yaw = yaw, pose.pitch = pitch, pose.scale = 0.28f;
        const auto head = render_face(networks, head_identity(person), pose);
        ASSERT_TRUE(head) << person << yaw << pitch;
        const FaceMask mask = face_mask(head->face, head->crop, 400, 400);
        const double iou = overlap(mask.picture, head->truth);
        sum += iou, least = std::min(least, iou), ++count;
        // Far turned, the outline of the far cheek shows some wall.
        EXPECT_LT(mask.covered, std::abs(yaw) < 0.5f ? 0.02 : 0.1) << person << yaw << pitch;
      }
  EXPECT_GT(sum / count, 0.88);
  EXPECT_GT(least, 0.80);
}

// A talking head at 25 frames a second: the mask changes no more than the exact one.
TEST(FaceMask, HardlyFlickers) {
  const Networks networks;
  if (!networks.complete())
    GTEST_SKIP() << "networks missing in " << network_folder()
                 << ": run tools/install_deps.sh faces";
  Image before, truth_before;
  double changed = 0, truly = 0;
  for (int i = 0; i < 25; ++i) {
    HeadPose pose = talking_pose(i / 25., 5);
    pose.scale = 0.28f;
    const auto head = render_face(networks, head_identity('a'), pose, 320);
    ASSERT_TRUE(head) << i;
    const Image mask = face_mask(head->face, head->crop, 320, 320).picture;
    for (std::size_t k = 0; !before.empty() && k < mask.pixels.size(); ++k) {
      changed += std::abs(mask.pixels[k] - before.pixels[k]);
      truly += std::abs(head->truth.pixels[k] - truth_before.pixels[k]);
    }
    before = mask, truth_before = head->truth;
  }
  EXPECT_LT(changed, 1.1 * truly);
}
}  // namespace
