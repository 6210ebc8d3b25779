// Measures and marks: exact on a flat face, at known blur and light on rendered heads,
// and the same for every skin.
#include "faceswap/faces/measures.h"

#include <gtest/gtest.h>

#include <array>

#include "tests/faceswap/faces/drawn_face.h"
#include "tests/faceswap/kind_of.h"

namespace {

using namespace faceswap;

bool has(const Face& face, FaceMark mark) { return std::ranges::count(face.marks, mark) > 0; }

Face measured(Face face, const Image& crop, int width = 10000, int height = 10000) {
  measure_face(face, crop, face_mask(face, crop, width, height));
  return face;
}

constexpr Rgb kSkin{200, 150, 125}, kWall{60, 90, 160};

TEST(Measures, OfAFlatFace) {
  DrawnFace drawn = draw_flat_face(kSkin, kWall, 1, 8, 12);
  const Face face = measured(drawn.face, drawn.crop);
  EXPECT_NEAR(face.measures.eye_open[0], 8 / 32., 1e-6);
  EXPECT_NEAR(face.measures.eye_open[1], 8 / 32., 1e-6);
  EXPECT_NEAR(face.measures.mouth_open, 12 / 48., 1e-6);
  EXPECT_NEAR(face.measures.brightness, (77 * 200 + 150 * 150 + 29 * 125) / 256. / 255, 0.003);
  EXPECT_NEAR(face.measures.contrast, 0, 0.005);
  EXPECT_EQ(face.measures.presence, 1);  // the tracker's
  EXPECT_NEAR(face_side(face), 180, 1e-6);
}

TEST(Measures, MarksByGeometry) {
  for (const bool tiny : {false, true}) {
    const double zoom = tiny ? 47.5 / 180 : 48.5 / 180;
    DrawnFace drawn = draw_flat_face(kSkin, kWall, zoom);
    EXPECT_EQ(has(measured(drawn.face, drawn.crop), FaceMark::tiny), tiny);
  }
  const DrawnFace cut = draw_flat_face(kSkin, kWall);
  EXPECT_FALSE(has(measured(cut.face, cut.crop, 194, 256), FaceMark::cut_off));
  EXPECT_TRUE(has(measured(cut.face, cut.crop, 170, 256), FaceMark::cut_off));
  for (const bool shut : {false, true}) {
    const DrawnFace drawn = draw_flat_face(kSkin, kWall, 1, shut ? 6.5 : 7.5);  // of 32
    EXPECT_EQ(has(measured(drawn.face, drawn.crop), FaceMark::eyes_shut), shut);
  }
  for (const double yaw : {-55.0, 45.0, 55.0}) {
    DrawnFace drawn = draw_flat_face(kSkin, kWall);
    drawn.face.measures.yaw = yaw;
    EXPECT_EQ(has(measured(drawn.face, drawn.crop), FaceMark::profile), std::abs(yaw) > 50);
  }
}

// A wink is not a blink; an eye behind the nose does not count.
TEST(Measures, EyesShutMeansAllThatAreSeen) {
  DrawnFace drawn = draw_flat_face(kSkin, kWall, 1, 4);
  std::vector<Point>& p = drawn.face.landmarks;
  for (const int i : {385, 386, 387}) p[i].y -= 6;  // the right eye opens
  EXPECT_FALSE(has(measured(drawn.face, drawn.crop), FaceMark::eyes_shut));
  for (const int i :
       {362, 382, 381, 380, 374, 373, 390, 249, 263, 398, 384, 385, 386, 387, 388, 466})
    p[i].x = 160 + 0.4 * (p[i].x - 160);  // and turns away
  EXPECT_TRUE(has(measured(drawn.face, drawn.crop), FaceMark::eyes_shut));
}

// Cloth over a share of the face, on every skin.
TEST(Measures, CoveredOnEverySkin) {
  for (const head::Color& tone : kSkinTones) {
    const auto byte = [](float v) { return static_cast<std::uint8_t>(255 * v); };
    const Rgb skin{byte(tone.x), byte(tone.y), byte(tone.z)};
    for (const bool covered : {false, true}) {
      DrawnFace drawn = draw_flat_face(skin, kWall);
      paint_box(drawn.crop, 0, covered ? 166 : 206, 256, 256, {40, 160, 60});  // 0.27 and 0.05
      EXPECT_EQ(has(measured(drawn.face, drawn.crop), FaceMark::covered), covered) << tone.x;
    }
  }
}

// A face without landmarks in this picture, aligned by the renderer's eyes.
DrawnFace face_in(const Image& rgb, const HeadPicture& head) {
  DrawnFace drawn;
  drawn.face.to_canonical = similarity_from_eyes(head.landmarks[0], head.landmarks[1]);
  drawn.crop = crop_face(rgb, drawn.face.to_canonical, 256);
  return drawn;
}

// The light at which faces begin to be marked is the same for every skin: up to a step
// of the light, by a quarter.
TEST(Measures, DarkIsTheLightNotTheSkin) {
  HeadPose pose;
  pose.scale = 0.28f, pose.yaw = 0.2f, pose.mouth_open = 0.2f;
  int least = 100, most = 0;
  for (const head::Color& tone : kSkinTones) {
    const HeadPicture head = draw_head(with_skin(tone), pose, 256, 256, 1, 7);
    int marked = 0;
    double light = 1;
    for (int step = 0; step < 16; ++step, light *= 0.75) {
      const DrawnFace drawn = face_in(in_light(head.rgb, light), head);
      const bool dark = has(measured(drawn.face, drawn.crop), FaceMark::dark);
      if (light > 0.3 || light < 0.03) {
        EXPECT_EQ(dark, light < 0.03) << tone.x << " in " << light;
      }
      marked += dark;
    }
    least = std::min(least, marked), most = std::max(most, marked);
  }
  EXPECT_LE(most - least, 1);
}

// The mean over (2 reach + 1)^2 pixels.
Image box_blurred(const Image& sharp, int reach) {
  Image blurred = sharp;
  for (int y = 0; y < sharp.height; ++y)
    for (int x = 0; x < sharp.width; ++x)
      for (int c = 0; c < 3; ++c) {
        int sum = 0;
        for (int j = -reach; j <= reach; ++j)
          for (int i = -reach; i <= reach; ++i)
            sum += sharp.at(std::clamp(x + i, 0, sharp.width - 1),
                            std::clamp(y + j, 0, sharp.height - 1))[c];
        blurred.at(x, y)[c] = static_cast<std::uint8_t>(sum / ((2 * reach + 1) * (2 * reach + 1)));
      }
  return blurred;
}

TEST(Measures, BlurredIsTheFocusNotTheSkinOrTheSize) {
  for (const head::Color& tone : kSkinTones)
    for (const int size : {384, 96}) {  // faces of 215 and 54 pixels
      HeadPose pose;
      pose.yaw = 0.2f, pose.scale = 0.28f;
      const HeadPicture head = draw_head(with_skin(tone), pose, size, size, 1, 7);
      const auto marked = [&](const Image& rgb) {
        const DrawnFace drawn = face_in(rgb, head);
        return has(measured(drawn.face, drawn.crop), FaceMark::blurred);
      };
      EXPECT_FALSE(marked(head.rgb)) << tone.x << " " << size;
      EXPECT_TRUE(marked(box_blurred(head.rgb, size == 96 ? 2 : 9))) << tone.x << " " << size;
    }
}

TEST(Measures, RefusesWhatIsNotACrop) {
  Face face;
  EXPECT_EQ(kind_of([&] { measure_face(face, Image(256, 200), {}); }), ErrorKind::failure);
  EXPECT_EQ(kind_of([&] { measure_face(face, Image(32, 32), {}); }), ErrorKind::failure);
}

TEST(Measures, OfRenderedBlinksOnEverySkin) {
  const Networks networks;
  if (!networks.complete())
    GTEST_SKIP() << "networks missing in " << network_folder()
                 << ": run tools/install_deps.sh faces";
  for (const head::Color& tone : kSkinTones)
    for (const float blink : {0.f, 0.3f, 1.f}) {
      HeadPose pose;
      pose.scale = 0.3f, pose.yaw = 0.2f, pose.blink = blink;
      const auto head = render_face(networks, with_skin(tone), pose);
      ASSERT_TRUE(head) << tone.x << " " << blink;
      const Face face = measured(head->face, head->crop, 400, 400);
      EXPECT_EQ(has(face, FaceMark::eyes_shut), blink == 1) << tone.x << " " << blink;
      for (const FaceMark mark : {FaceMark::tiny, FaceMark::dark, FaceMark::cut_off,
                                  FaceMark::covered, FaceMark::profile})
        EXPECT_FALSE(has(face, mark)) << tone.x << " " << name(mark);
      // The drawn skin has no texture, so shut eyes leave little detail on the darkest.
      EXPECT_FALSE(blink < 1 && has(face, FaceMark::blurred)) << tone.x;
    }
}
}  // namespace
