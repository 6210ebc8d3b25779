#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <set>

#include "faceswap/faces/face_file.h"
#include "faceswap/faces/face_order.h"
#include "tests/faceswap/kind_of.h"
#include "tests/faceswap/scratch.h"

namespace faceswap {
namespace {

// Faces with made-up metadata, as they would stand in a folder without decisions.
struct Faces {
  std::vector<FolderFace> faces;
  explicit Faces(int count) : faces(static_cast<std::size_t>(count)) {
    for (std::size_t i = 0; i < faces.size(); ++i) faces[i].name = std::string(1, 'a' + char(i));
  }
  Face& operator[](int i) { return faces[static_cast<std::size_t>(i)].face; }
  FaceList list() const {
    FaceList all;
    for (const FolderFace& face : faces) all.push_back(&face);
    return all;
  }
};

TEST(FaceOrder, EachKeyHasANameAndIsFoundByIt) {
  std::set<std::string> names;
  for (const FaceKeyInfo& info : face_keys()) {
    EXPECT_EQ(face_key(info.name), info.key);
    names.insert(info.name);
  }
  EXPECT_EQ(names.size(), 15u);
  std::string message;
  EXPECT_EQ(kind_of([] { face_key("beauty"); }, &message), ErrorKind::usage);
  EXPECT_NE(message.find("brightness"), std::string::npos) << message;
}

TEST(FaceOrder, ValuesComeFromTheMetadata) {
  Faces faces(2);
  Face& face = faces[0];
  face.sharpness = 7;
  face.eyes[0] = {10, 10}, face.eyes[1] = {13, 14};
  face.to_canonical = similarity_from_eyes({0, 0}, {10, 10});  // the head leans by 45 degrees
  face.confidence = 90;
  face.landmarks.resize(468);
  face.measures = {.presence = 0.5,
                   .yaw = -20,
                   .pitch = 8,
                   .roll = 1,
                   .eye_open = {0.2, 0.4},
                   .mouth_open = 0.7,
                   .brightness = 0.3,
                   .contrast = 0.1};
  faces[1].confidence = 50;
  const auto value = [&](FaceKey key) { return face_values(faces.list(), key)[0]; };
  EXPECT_EQ(value(FaceKey::blur), 7);
  EXPECT_EQ(value(FaceKey::size), 5);
  EXPECT_EQ(value(FaceKey::yaw), -20);
  EXPECT_EQ(value(FaceKey::pitch), 8);
  EXPECT_NEAR(value(FaceKey::roll), 45, 1e-9);
  EXPECT_NEAR(value(FaceKey::eyes), 0.3, 1e-9);
  EXPECT_EQ(value(FaceKey::mouth), 0.7);
  EXPECT_EQ(value(FaceKey::confidence), 0.5);
  EXPECT_EQ(face_values(faces.list(), FaceKey::confidence)[1], 50);
  EXPECT_EQ(order_by({3, 1, 2, 1}), (std::vector<std::size_t>{1, 3, 2, 0}));
}

TEST(FaceOrder, LandmarksAreNeeded) {
  Faces faces(2);
  for (const FaceKey key :
       {FaceKey::yaw, FaceKey::pitch, FaceKey::eyes, FaceKey::mouth, FaceKey::distance})
    EXPECT_EQ(kind_of([&] { face_values(faces.list(), key); }), ErrorKind::input);
}

// Nine faces of one shape at other places and sizes in their frames, and one whose points
// are shifted by (3, 4) canonical pixels.
TEST(FaceOrder, TheOddShapeIsFarthestFromTheMean) {
  Faces faces(10);
  for (int f = 0; f < 10; ++f) {
    Face& face = faces[f];
    face.to_canonical = similarity_from_eyes({10.0 * f, 5}, {10.0 * f + 20 + f, 7});
    const Similarity to_frame = face.to_canonical.inverse();
    for (int i = 0; i < 468; ++i)
      face.landmarks.push_back(
          to_frame({i % 25 * 8.0 + (f == 6 ? 3 : 0), i / 25 * 9.0 + (f == 6 ? 4 : 0)}));
  }
  const std::vector<double> values = face_values(faces.list(), FaceKey::distance);
  EXPECT_NEAR(values[6], 4.5, 1e-6);  // of a mean that it moves by a tenth
  EXPECT_NEAR(values[0], 0.5, 1e-6);
  EXPECT_EQ(order_by(values).back(), 6u);
}

TEST(FaceOrder, TimeIsBySourceThenFrame) {
  Faces faces(4);
  const std::pair<const char*, int> places[] = {
      {"b.mp4", 1}, {"a.mp4", 30}, {"b.mp4", 0}, {"a.mp4", 4}};
  for (int i = 0; i < 4; ++i) faces[i].source = places[i].first, faces[i].frame = places[i].second;
  EXPECT_EQ(order_by_time(faces.list()), (std::vector<std::size_t>{3, 1, 2, 0}));
}

// Points on a line: the chain walks along it from the middle, and jumps once.
TEST(FaceOrder, TheChainGoesToTheNearest) {
  Faces faces(7);
  const float places[] = {0, 50, 10, 60, 30, 20, 40};
  for (int i = 0; i < 7; ++i) faces[i].identity = {places[i], 0};
  const FaceLooks looks(faces.list());
  EXPECT_NEAR(looks.distance(0, 1), 50, 1e-5);
  EXPECT_EQ(looks.distances_to(4)[2], 20);
  std::vector<std::size_t> order;
  std::vector<double> steps;
  looks.chain(order, steps);
  ASSERT_EQ(order.size(), 7u);
  EXPECT_EQ(order[0], 4u);
  EXPECT_EQ(std::set(order.begin(), order.end()).size(), 7u);
  std::vector<double> lengths(steps.begin() + 1, steps.end());
  std::ranges::sort(lengths);
  EXPECT_EQ(lengths, (std::vector<double>{10, 10, 10, 10, 10, 40}));
}

// Two drawn people, without identities: small pictures tell them apart.
TEST(FaceOrder, PicturesAndPixelsAreReadWhereTheMetadataIsSilent) {
  const Scratch scratch;
  make_faces(scratch.path, 'a', 5, 4, 64);
  make_faces(scratch.path, 'b', 6, 4, 64);
  const FaceFolder folder(scratch.path);
  const FaceList faces = kept_faces(folder);
  ASSERT_EQ(faces.size(), 8u);
  const FaceLooks looks(faces);
  EXPECT_EQ(looks.distance(2, 2), 0);
  double within = 0, across = 0;
  for (std::size_t i = 0; i < 8; ++i)
    for (std::size_t j = 0; j < 8; ++j)
      (i / 4 == j / 4 ? within : across) += looks.distance(i, j) / (i / 4 == j / 4 ? 24 : 32);
  EXPECT_LT(within, 0.7 * across);

  const auto paint = [&](std::size_t i, std::uint8_t red, std::uint8_t blue) {
    FaceFile file = read_face(faces[i]->path);
    for (std::size_t p = 0; p < file.crop.pixels.size(); p += 3)
      file.crop.pixels[p] = red, file.crop.pixels[p + 1] = 100, file.crop.pixels[p + 2] = blue;
    write_face(faces[i]->path, file.crop, file.face);
  };
  paint(3, 255, 0);
  paint(5, 0, 255);
  const std::vector<double> colours = face_values(faces, FaceKey::colour);
  EXPECT_NEAR(colours[3], 1, 1e-6);
  EXPECT_NEAR(colours[5], -1, 1e-6);
  EXPECT_NEAR(face_values(faces, FaceKey::contrast)[3], 0, 1e-6);
  EXPECT_NEAR(face_values(faces, FaceKey::brightness)[5], (0.587 * 100 + 0.114 * 255) / 255, 1e-6);
}
}  // namespace
}  // namespace faceswap
