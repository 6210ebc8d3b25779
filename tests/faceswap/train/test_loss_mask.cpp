// Weights of the training loss by the masks of faces.
#include "faceswap/train/loss_mask.h"

#include <gtest/gtest.h>

#include "faceswap/faces/face_folder.h"
#include "faceswap/faces/face_mask.h"
#include "faceswap/train/face_set.h"
#include "tests/faceswap/faces/drawn_face.h"
#include "tests/faceswap/scratch.h"

namespace faceswap {
namespace {

constexpr int kFaces = 5, kSize = 64;

void cut_box(Image& mask, int x0, int y0, int x1, int y1) {
  for (int y = y0; y < y1; ++y)
    for (int x = x0; x < x1; ++x) *mask.at(x, y) = 0;
}

// Faces whose mask is their region; `cuts` of them are cut over the chin.
std::vector<MaskedFace> faces_with_cut_chins(int cuts) {
  const DrawnFace drawn = draw_flat_face({200, 150, 120}, {20, 40, 90});
  std::vector<MaskedFace> faces(kFaces);
  for (int i = 0; i < kFaces; ++i) {
    faces[i].region = faces[i].mask = face_region(drawn.face);
    if (i < cuts) cut_box(faces[i].mask, 30, 96, 98, 128);
  }
  return faces;
}
constexpr Point kChin{64, 104}, kNose{64, 68}, kCorner{4, 4};  // mask pixels

float at(const FloatImage& mask, Point p) {
  return *mask.at(static_cast<int>(p.x), static_cast<int>(p.y));
}

TEST(LossMask, CoversTheFaceAndAMarginSoftly) {
  const std::vector<MaskedFace> faces = faces_with_cut_chins(0);
  const Image cut = always_cut(faces);
  const FloatImage weight = loss_mask(faces[0], cut, kMaskSize);
  EXPECT_NEAR(at(weight, kNose), 1, 1e-5);
  EXPECT_NEAR(at(weight, kChin), 1, 1e-5);
  EXPECT_NEAR(at(weight, kCorner), 0, 1e-5);
  // At the nose's height, outwards: never rising, by no step.
  int edge = 0;
  while (*faces[0].mask.at(edge, 68) < 128) ++edge;
  EXPECT_GT(*weight.at(edge, 68), 0.9f);
  for (int x = edge; x > 0; --x) {
    EXPECT_LE(*weight.at(x - 1, 68), *weight.at(x, 68) + 1e-6f);
    EXPECT_LT(*weight.at(x, 68) - *weight.at(x - 1, 68), 0.3f);
  }
  EXPECT_LT(*weight.at(edge - 12, 68), 0.01f);
}

TEST(LossMask, LeavesOutWhatIsSometimesInFront) {
  const std::vector<MaskedFace> faces = faces_with_cut_chins(2);
  const Image cut = always_cut(faces);
  EXPECT_LT(at(loss_mask(faces[0], cut, kMaskSize), kChin), 0.5f);
  EXPECT_NEAR(at(loss_mask(faces[0], cut, kMaskSize), kNose), 1, 1e-5);
  EXPECT_NEAR(at(loss_mask(faces[4], cut, kMaskSize), kChin), 1, 1e-5);
}

TEST(LossMask, ABeardThatIsAlwaysCutBelongsToTheFace) {
  const std::vector<MaskedFace> faces = faces_with_cut_chins(3);
  EXPECT_NEAR(at(loss_mask(faces[0], always_cut(faces), kMaskSize), kChin), 1, 1e-5);
  EXPECT_NEAR(at(loss_mask(faces[0], always_cut(faces), kMaskSize), kCorner), 0, 1e-5);
  EXPECT_TRUE(always_cut(std::vector<MaskedFace>(kFaces)).empty());
}

struct MaskedFaceSets : ::testing::Test {
  Scratch scratch;
  std::filesystem::path folder = scratch / "a";
  void SetUp() override { make_faces(folder, 'a', 5, kFaces, kSize); }
  FaceSet read() const { return {folder, kSize, nn::Device::host, true}; }
  void give_mask(const std::string& name) const {
    FaceFile file = read_face(folder / name);
    file.mask = Image(kMaskSize, kMaskSize, 1);
    for (int y = 40; y < 90; ++y)
      for (int x = 40; x < 90; ++x) *file.mask.at(x, y) = 255;
    write_face(folder / name, file.crop, file.face, file.mask);
  }
  static int weight(const FaceSet& set, int face, int x, int y) {
    return set.data()[4 * ((face * kSize + y) * kSize + x) + 3];
  }
};

TEST_F(MaskedFaceSets, WeighByTheirMasksAndOthersByTheEgg) {
  const FaceSet before = read();
  const FloatImage egg = egg_mask(kSize, 1.35);
  for (int face = 0; face < kFaces; ++face)
    for (int i = 0; i < kSize * kSize; ++i)
      ASSERT_NEAR(before.data()[4 * (face * kSize * kSize + i) + 3],
                  255 * (0.1 + 0.9 * egg.pixels[static_cast<std::size_t>(i)]), 0.51);
  give_mask("a_1001.png");
  const FaceSet after = read();
  EXPECT_NE(after.fingerprint(), before.fingerprint());
  const std::size_t bytes = 4 * kSize * kSize;
  EXPECT_TRUE(std::equal(after.data(), after.data() + bytes, before.data()));
  EXPECT_TRUE(std::equal(after.data() + 2 * bytes, after.data() + kFaces * bytes,
                         before.data() + 2 * bytes));
  for (std::size_t i = 0; i < kSize * kSize; ++i)
    for (std::size_t c = 0; c < 3; ++c)
      ASSERT_EQ(after.data()[bytes + 4 * i + c], before.data()[bytes + 4 * i + c]);
  EXPECT_EQ(weight(after, 1, 32, 32), 255);
  EXPECT_EQ(weight(after, 1, 32, 10), 26);  // inside the egg
  EXPECT_EQ(weight(before, 1, 32, 16), 255);
}

TEST_F(MaskedFaceSets, MasksFollowCorrectedEyes) {
  give_mask("a_1001.png");
  FaceFolder decided(folder);
  const FolderFace& face = *decided.find("a_1001.png");
  // Eyes a quarter of the canonical square further left: so the face moves to the right.
  Decision align{Decision::align, {face.name}, -1, "", {}};
  const Similarity to_frame = face.face.to_canonical.inverse();
  for (int k = 0; k < 2; ++k)
    align.eyes[k] = to_frame({kCanonicalEyes[k].x - 64, kCanonicalEyes[k].y});
  decided.decide(align);
  const FaceSet set = read();
  EXPECT_EQ(weight(set, 1, 18, 32), 26);
  EXPECT_EQ(weight(set, 1, 48, 32), 255);
}
}  // namespace
}  // namespace faceswap
