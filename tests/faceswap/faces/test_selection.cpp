// The choice of faces, on rendered heads of known pose and on numbers.
#include "faceswap/faces/selection.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "faceswap/faces/coverage.h"
#include "tests/faceswap/faces/drawn_face.h"
#include "tests/faceswap/scratch.h"

namespace {

using namespace faceswap;

FaceLook at(double x, double y = 0, double sharpness = 0, bool poor = false) {
  FaceLook look;
  look.values = {static_cast<float>(x), static_cast<float>(y)};
  look.sharpness = sharpness;
  look.poor = poor;
  return look;
}

using Indices = std::vector<std::size_t>;

TEST(Selection, DropsTheSofterOfTwoThatLookAlike) {
  const std::vector<FaceLook> looks = {at(0, 0, 5), at(0.2, 0, 9), at(3), at(3.1, 0, 4), at(9)};
  EXPECT_EQ(without_near_duplicates(looks, 0.5), (Indices{1, 3, 4}));
  EXPECT_EQ(without_near_duplicates(looks, 0.05), (Indices{0, 1, 2, 3, 4}));
  // Marked faces go first, however sharp.
  EXPECT_EQ(without_near_duplicates({at(0, 0, 5, true), at(0.1, 0, 1)}, 0.5), (Indices{1}));
  EXPECT_EQ(without_near_duplicates({}, 0.5), Indices{});
  EXPECT_EQ(without_near_duplicates({at(1), at(1), at(1)}, 0.5), (Indices{0}));
}

TEST(Selection, ChoosesFarPoints) {
  // A heap at the origin and four corners.
  std::vector<FaceLook> looks;
  for (int i = 0; i < 50; ++i) looks.push_back(at(0.01 * i, 0.01 * (i % 7), i == 20 ? 1 : 0));
  for (const auto& [x, y] : {std::pair{9., 9.}, {-9., 9.}, {9., -9.}, {-9., -9.}})
    looks.push_back(at(x, y));
  EXPECT_EQ(choose_diverse(looks, 5), (Indices{20, 50, 51, 52, 53}));  // 20 is the sharpest
  EXPECT_EQ(choose_diverse(looks, 1), (Indices{20}));
  EXPECT_EQ(choose_diverse(looks, 0), Indices{});
  EXPECT_EQ(choose_diverse(looks, 1000).size(), looks.size());
  looks[53].poor = true;  // an outlier because it is blurred
  EXPECT_EQ(std::ranges::count(choose_diverse(looks, 5), std::size_t{53}), 0);
  EXPECT_EQ(std::ranges::count(choose_diverse(looks, 54), std::size_t{53}), 1);
}

// No choice of k centres can be better than half as far: the greedy bound.
TEST(Selection, IsWithinTwiceTheBestCover) {
  std::vector<FaceLook> looks;
  for (int i = 0; i < 12; ++i) looks.push_back(at(std::fmod(7.3 * i, 10), std::fmod(3.9 * i, 10)));
  const auto radius = [&](const Indices& centres) {
    double most = 0;
    for (const FaceLook& look : looks) {
      double nearest = 1e9;
      for (const std::size_t c : centres) nearest = std::min(nearest, difference(look, looks[c]));
      most = std::max(most, nearest);
    }
    return most;
  };
  double best = 1e9;
  for (std::size_t a = 0; a < 12; ++a)
    for (std::size_t b = a + 1; b < 12; ++b)
      for (std::size_t c = b + 1; c < 12; ++c) best = std::min(best, radius({a, b, c}));
  EXPECT_LE(radius(choose_diverse(looks, 3)), 2 * best + 1e-9);
}

struct Shot {
  Face face;
  Image crop;
};

// A rendered head with its exact pose and mouth as measures.
Shot shot(const HeadPose& pose, double light = 1) {
  const HeadPicture head = draw_head(head_identity('a'), pose, 192, 192, 0, 1);
  Shot s;
  s.face.to_canonical = similarity_from_eyes(head.landmarks[0], head.landmarks[1]);
  s.crop = crop_face(in_light(head.rgb, light), s.face.to_canonical, 128);
  s.face.landmarks = oval_landmarks();
  s.face.measures.yaw = pose.yaw * 180 / M_PI;
  s.face.measures.pitch = -pose.pitch * 180 / M_PI;
  s.face.measures.mouth_open = 0.5 * pose.mouth_open;
  s.face.measures.eye_open[0] = s.face.measures.eye_open[1] = 0.35 * (1 - pose.blink);
  s.face.measures.brightness = 0.5 * light;
  if (pose.blink > 0.5f) s.face.marks = {FaceMark::eyes_shut};
  return s;
}

TEST(Selection, LooksTellPoseExpressionAndLight) {
  const HeadPose still;
  const Shot base = shot(still);
  const FaceLook look = look_of(base.face, base.crop);
  EXPECT_EQ(difference(look, look), 0);
  HeadPose nudged;
  nudged.yaw = 0.01f, nudged.mouth_open = 0.02f;
  const auto away = [&](const Shot& s) { return difference(look, look_of(s.face, s.crop)); };
  EXPECT_LT(away(shot(nudged)), kNearDuplicate);
  HeadPose turned, speaking, blinking;
  turned.yaw = 0.3f, speaking.mouth_open = 0.8f, blinking.blink = 1;
  EXPECT_GT(away(shot(turned)), 1.5);
  EXPECT_GT(away(shot(speaking)), 1.5);
  EXPECT_GT(away(shot(blinking)), 1.5);
  EXPECT_GT(away(shot(still, 0.4)), 1.5);
}

// Every sixth frame of a talking head: most must stay; the same frame again must not.
TEST(Selection, KeepsATalkingHead) {
  std::vector<FaceLook> looks;
  for (int i = 0; i < 24; ++i) {
    const Shot s = shot(talking_pose(0.24 * i, 5));
    looks.push_back(look_of(s.face, s.crop));
    looks.push_back(looks.back());
  }
  const std::size_t left = without_near_duplicates(looks).size();
  EXPECT_GE(left, 18u);
  EXPECT_LE(left, 24u);
}

TEST(Coverage, CountsAndNamesWhatIsMissing) {
  Coverage coverage;
  for (const float yaw : {0.f, 0.35f, 0.7f, 1.05f})  // ahead and to the right
    for (const float pitch : {-0.3f, 0.f}) {         // up and level
      HeadPose pose;
      pose.yaw = yaw, pose.pitch = pitch;
      const Shot s = shot(pose);
      for (int i = 0; i < 3; ++i) coverage.add(s.face, look_of(s.face, s.crop), s.crop);
    }
  EXPECT_EQ(coverage.faces(), 24);
  for (int column = 0; column < Coverage::kYaws; ++column)
    for (int row = 0; row < Coverage::kPitches; ++row)
      EXPECT_EQ(coverage.count(column, row), column >= 3 && (row == 1 || row == 2) ? 3 : 0)
          << column << " " << row;
  const std::vector<std::string> missing = coverage.missing();
  const auto says = [&](const std::string& line) { return std::ranges::count(missing, line) == 1; };
  EXPECT_TRUE(says("no face looks to the picture's left beyond 5 degrees"));
  EXPECT_TRUE(says("no face looks down beyond 5 degrees"));
  EXPECT_TRUE(says("no face has the mouth open"));
  EXPECT_TRUE(says("no face has the eyes shut"));
  for (const std::string& line : missing) {
    EXPECT_EQ(line.find("picture's right"), std::string::npos) << line;
    EXPECT_EQ(line.find(" up "), std::string::npos) << line;
  }
  const std::string text = coverage.text();
  EXPECT_NE(text.find("missing: no face looks down"), std::string::npos) << text;
  for (std::size_t from = 0, to; (to = text.find('\n', from)) != std::string::npos; from = to + 1)
    EXPECT_LE(to - from, 80u);
}

TEST(Coverage, FewFacesAreSaidToBeFew) {
  Coverage coverage;
  HeadPose left;
  left.yaw = -0.5f;
  const Shot s = shot(left), ahead = shot({});
  coverage.add(s.face, look_of(s.face, s.crop), s.crop);
  for (int i = 0; i < 9; ++i) coverage.add(ahead.face, look_of(ahead.face, ahead.crop), ahead.crop);
  const auto missing = coverage.missing();
  EXPECT_EQ(std::ranges::count(missing,
                               "only 1 of 10 faces looks to the picture's left beyond 5 degrees"),
            1);
  EXPECT_TRUE(std::ranges::any_of(
      missing, [](const std::string& line) { return line.starts_with("the light hardly"); }));
}

TEST(Coverage, WithoutLandmarksOnlyTheLightCounts) {
  Coverage coverage;
  EXPECT_EQ(coverage.missing(), std::vector<std::string>{"there is no face"});
  Shot s = shot({});
  s.face.landmarks.clear();
  coverage.add(s.face, look_of(s.face, s.crop), s.crop);
  EXPECT_EQ(coverage.count(3, 2), 0);
  EXPECT_EQ(coverage.missing().front().substr(0, 31), "1 of 1 faces have no landmarks,");
}

TEST(Coverage, PictureShowsAFaceWhereThereIsOne) {
  Coverage coverage;
  Shot s = shot({});
  s.crop.pixels.assign(s.crop.pixels.size(), 200);
  coverage.add(s.face, look_of(s.face, s.crop), s.crop);
  const Image picture = coverage.picture();
  const auto share_of = [&](int value) {
    return static_cast<double>(std::ranges::count(picture.pixels, value)) /
           static_cast<double>(picture.pixels.size());
  };
  const double cell = 64. * 64 / (picture.width * picture.height);
  EXPECT_NEAR(share_of(200), 4 * cell, 0.01 * cell);  // pose, mouth, brightness, side
}

TEST(Coverage, OfAFolderReadsTheFacesAsDecided) {
  const Scratch scratch;
  make_faces(scratch / "f", 'a', 5, 2, 64);
  const FaceFolder folder(scratch / "f");
  const FaceList faces(130, &folder.faces()[1]);  // in several portions
  const Coverage coverage = coverage_of(faces, true);
  EXPECT_EQ(coverage.faces(), 130);
  EXPECT_EQ(coverage.brightness(0) + coverage.brightness(1) + coverage.brightness(2), 130);
  // The picture is the face's own.
  const Image thumb = crop_face(read_crop(folder.faces()[1]), pixel_scaling(256. / 64), 64),
              picture = coverage.picture();
  const int top = picture.height - 4 - 4 - 6 - 64 - 4;  // of the last row's
  int same = 0;
  for (int column = 0; column < Coverage::kThirds; ++column)
    for (int y = top - 8; y < top + 8; ++y)
      same += std::equal(thumb.at(32, 32), thumb.at(32, 32) + 3 * 16,
                         picture.at(4 + 68 * column + 32, y + 32));
  EXPECT_EQ(same, 1);
}
}  // namespace
