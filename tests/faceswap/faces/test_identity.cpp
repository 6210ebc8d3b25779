// Identity: the chip's geometry with landmarks at known places, and, where the network is
// installed, dlib's own numbers and rendered heads.
#include "faceswap/faces/identity.h"

#include <cmath>
#include <cstring>
#include <tuple>

#include "faceswap/faces/mesh.h"
#include "faceswap/faces/network_files.h"
#include "faceswap/synthetic/head.h"
#include "tests/faceswap/faces/stand_in_networks.h"
#include "tests/faceswap/kind_of.h"
#include "tests/faceswap/scratch.h"
#include "tests/golden/formula.h"

namespace {

using namespace faceswap;

constexpr int kSide = 150;

std::vector<Point> any_landmarks() {
  const std::vector<float> places = golden::unit("landmarks", 2 * Mesh::kPoints);
  std::vector<Point> landmarks;
  for (int i = 0; i < Mesh::kPoints; ++i)
    landmarks.push_back({100 * places[2 * i], 100 * places[2 * i + 1]});
  return landmarks;
}
std::vector<Point> moved(std::vector<Point> landmarks, const Similarity& by) {
  for (Point& point : landmarks) point = by(point);
  return landmarks;
}

TEST(Identity, ChipFollowsTheFace) {
  const Similarity move = rotation_about({300, 200}, 2.7, 2.5),
                   still = to_identity_chip(any_landmarks()),
                   to_chip = to_identity_chip(moved(any_landmarks(), move));
  for (const Point p : {Point{0, 0}, Point{149, 0}, Point{75, 149}}) {
    EXPECT_NEAR(to_chip(move(p)).x, still(p).x, 1e-6);
    EXPECT_NEAR(to_chip(move(p)).y, still(p).y, 1e-6);
  }
}

// The mean places of dlib's five-point alignment with a margin of a quarter: corners of the
// eyes, below the nose.
TEST(Identity, ChipHasTheEyesWhereDlibHasThem) {
  const auto path = find_network("face_landmark.safetensors");
  if (path.empty())
    GTEST_SKIP() << "face_landmark is not in " << network_folder()
                 << ": run tools/install_deps.sh faces";
  const HeadPicture head = draw_head(head_identity('a'), talking_pose(0.7, 3), 320, 240, 0, 1);
  const Point left = head.landmarks[0], right = head.landmarks[1];
  const double apart = distance(left, right);
  Detection face;
  face.center = {(left.x + right.x) / 2, (left.y + right.y) / 2 + 0.3 * apart};
  face.side = 2.6 * apart;
  const auto mesh = MeshFinder(path).find(head.rgb, face);
  ASSERT_TRUE(mesh);
  const Similarity to_chip = to_identity_chip({mesh->points.begin(), mesh->points.end()});
  for (const auto& [point, x, y] :
       {std::tuple{33, 37.1, 46.4}, {133, 58.4, 47.9}, {362, 89.6, 47.9}, {263, 111.0, 46.3}}) {
    EXPECT_NEAR(to_chip(mesh->points[point]).x, x, 6) << point;
    EXPECT_NEAR(to_chip(mesh->points[point]).y, y, 6) << point;
  }
}

TEST(Identity, ChipNeedsAWholeMesh) {
  EXPECT_EQ(kind_of([] { to_identity_chip(std::vector<Point>(5)); }), ErrorKind::failure);
}

TEST(Identity, DistanceIsEuclidean) {
  const std::vector<float> a{1, 2, 3}, b{1, 5, 7};
  EXPECT_DOUBLE_EQ(identity_distance(a, b), 5);
  EXPECT_EQ(kind_of([&] { identity_distance(a, std::vector<float>{1, 2}); }), ErrorKind::failure);
}

TEST(Identity, IsTheMeanOfAFaceAndItsMirrorImage) {
  const Scratch scratch;
  const IdentityNetwork network(write_network(scratch / "n.safetensors", identity_of_colours()));
  Image picture(kSide, kSide);
  for (int y = 0; y < kSide; ++y)
    for (int x = 0; x < kSide; ++x) picture.at(x, y)[0] = x < kSide / 2 ? 255 : 51;
  // Landmarks that put the whole picture into the chip.
  const std::vector<Point> landmarks = moved(any_landmarks(), to_identity_chip(any_landmarks()));
  const std::vector<float> identity = network(picture, landmarks);
  ASSERT_EQ(identity.size(), 128u);
  EXPECT_NEAR(identity[0], 0.6, 1e-4);  // 1 in one picture, 0.2 in the other
  EXPECT_NEAR(identity[1], 0.6, 1e-4);
}

TEST(Identity, RefusesAnotherNetwork) {
  const Scratch scratch;
  const auto path = write_network(scratch / "other.safetensors", identity_of_colours(100));
  std::string message;
  EXPECT_EQ(kind_of([&] { IdentityNetwork{path}; }, &message), ErrorKind::input);
  EXPECT_NE(message.find("128 numbers"), std::string::npos) << message;
}

// tests/golden/make_identity_golden.py ran dlib itself.
TEST(Identity, NetworkEqualsDlib) {
  const auto path = find_network("face_identity.safetensors");
  if (path.empty())
    GTEST_SKIP() << "face_identity is not in " << network_folder()
                 << ": run tools/install_deps.sh faces";
  const std::vector<float> whole = golden::picture("face_identity", 1, kSide + 2);
  std::vector<float> picture;
  for (int y = 0; y < kSide; ++y) {
    const auto row = whole.begin() + y * (kSide + 2) * 3;
    picture.insert(picture.end(), row, row + kSide * 3);
  }
  const LayerList list(path);
  const std::vector<float> got =
      list(nn::Tensor::from<float>(picture, {1, kSide, kSide, 3}))[0].to_host<float>();
  const nn::SafetensorsFile file(
      std::filesystem::path(DOPPEL_SOURCE_DIR) / "tests/golden/identity.safetensors",
      /*require_checksum=*/false);
  const nn::TensorRecord* record = file.find("face_identity/identity");
  ASSERT_NE(record, nullptr);
  std::vector<float> want(128);
  ASSERT_EQ(record->bytes, want.size() * sizeof(float));
  std::memcpy(want.data(), record->data, record->bytes);
  ASSERT_EQ(got.size(), want.size());
  for (std::size_t i = 0; i < want.size(); ++i) EXPECT_NEAR(got[i], want[i], 1e-5) << i;
}
}  // namespace
