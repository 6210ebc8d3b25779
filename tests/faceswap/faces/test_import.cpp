// Faces as Faceswap and DeepFaceLab leave them, made here from drawn heads.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>
#include <fstream>

#include "faceswap/faces/face_file.h"
#include "faceswap/faces/import.h"
#include "faceswap/faces/network_files.h"
#include "faceswap/media/images.h"
#include "faceswap/media/png.h"
#include "faceswap/synthetic/head.h"
#include "tests/faceswap/faces/pickle_text.h"
#include "tests/faceswap/kind_of.h"
#include "tests/faceswap/scratch.h"

namespace faceswap {
namespace {

namespace fs = std::filesystem;

// Hides the installed networks.
struct NoNetworks {
  std::string before;
  explicit NoNetworks(const fs::path& empty) {
    if (const char* folder = std::getenv("DOPPEL_CACHE_DIR")) before = folder;
    ::setenv("DOPPEL_CACHE_DIR", empty.c_str(), 1);
  }
  ~NoNetworks() {
    if (before.empty()) ::unsetenv("DOPPEL_CACHE_DIR");
    else ::setenv("DOPPEL_CACHE_DIR", before.c_str(), 1);
  }
};

using Points = std::vector<std::pair<double, double>>;

// 68 points of which the eyes' are 6 each on circles round the true eyes.
Points landmarks_of(const HeadPicture& head, const Similarity& to_picture) {
  Points points;
  for (int i = 0; i < 68; ++i) {
    Point p = head.landmarks[0];
    if (i >= 36 && i < 48) {
      p = head.landmarks[i < 42 ? 0 : 1];
      p.x += 3 * std::cos(i * M_PI / 3), p.y += 3 * std::sin(i * M_PI / 3);
    }
    const Point q = to_picture(p);
    points.emplace_back(q.x, q.y);
  }
  return points;
}

struct Import : ::testing::Test {
  Scratch scratch;
  fs::path from = scratch / "theirs", to = scratch / "ours";
  HeadPicture head = draw_head(head_identity('a'), talking_pose(0.7, 5), 320, 240, 0, 1);
  // Of another program: larger than ours, tilted.
  Similarity to_picture = similarity_from_eyes(head.landmarks[0], head.landmarks[1])
                              .then(rotation_about({128, 128}, 0.1, 0.6))
                              .then(pixel_scaling(1.5));
  static constexpr int kSide = 384;
  Image picture;

  void SetUp() override {
    fs::create_directories(from);
    // Ours is 256 pixels for the canonical square: so is theirs, before the similarity.
    picture = crop_face(head.rgb, to_picture.then(canonical_to_crop(kSide).inverse()), kSide);
  }

  void write_deepfacelab(const std::string& name, const std::string& pickle) const {
    std::vector<std::byte> jpeg = encode_jpeg(picture, 95);
    const std::size_t length = pickle.size() + 2;
    const std::string segment = {'\xff', '\xef', static_cast<char>(length >> 8),
                                 static_cast<char>(length & 0xff)};
    const std::string all = segment + pickle;
    const auto* bytes = reinterpret_cast<const std::byte*>(all.data());
    const std::size_t app0 =
        4 + (std::to_integer<std::size_t>(jpeg[4]) << 8 | std::to_integer<std::size_t>(jpeg[5]));
    jpeg.insert(jpeg.begin() + static_cast<std::ptrdiff_t>(app0), bytes, bytes + all.size());
    std::ofstream(from / name, std::ios::binary)
        .write(reinterpret_cast<const char*>(jpeg.data()),
               static_cast<std::streamsize>(jpeg.size()));
  }
  std::string pickled_face() const {
    PickleText p(3);
    p.begin_dictionary();
    p.text("face_type"), p.text("whole_face");
    p.text("landmarks"), p.points(landmarks_of(head, to_picture));
    p.text("source_filename"), p.text("00017.png");
    p.text("source_landmarks"), p.points(landmarks_of(head, {}));
    p.text("image_to_face_mat"), p.array("f8", {2, 3}, std::string(48, '\0'));
    p.text("xseg_mask"), p.array("u1", {5, 1}, "12345");
    p.end_dictionary();
    return p.done();
  }
  std::string faceswap_text() const {
    std::string points;
    for (const auto& [x, y] : landmarks_of(head, {})) points += fmt::format("[{}, {}], ", x, y);
    return fmt::format(
        "{{'alignments': {{'x': 10, 'w': 90, 'y': 20, 'h': 95, 'landmarks_xy': [{}], "
        "'mask': {{'components': {{'mask': b'x\\x9c\\x00', 'affine_matrix': [[1.0, 0.0, 2.0]], "
        "'interpolator': 2, 'stored_size': 128, 'stored_centering': 'face'}}}}, "
        "'identity': {{}}}}, 'source': {{'alignments_version': 2.3, 'original_filename': "
        "'clip_000042_0.png', 'face_index': 0, 'source_filename': 'clip_000042.png', "
        "'source_is_video': True, 'source_frame_dims': (240, 320)}}}}",
        points);
  }
};

double mean_difference(const Image& a, const Image& b) {
  double sum = 0;
  for (std::size_t i = 0; i < a.pixels.size(); ++i) sum += std::abs(a.pixels[i] - b.pixels[i]);
  return sum / static_cast<double>(a.pixels.size());
}

TEST_F(Import, DeepFaceLabsFaceIsCutByItsLandmarks) {
  const NoNetworks hidden(scratch / "empty");
  write_deepfacelab("00017_0.jpg", pickled_face());
  const ImportReport report = import_faces(from, to, 128, false, true);
  EXPECT_EQ(report.deepfacelab, 1);
  EXPECT_TRUE(report.skipped.empty());
  const FaceFile file = read_face(to / "00017_0.png");
  EXPECT_EQ(file.face.source, "00017.png");
  EXPECT_EQ(file.face.frame, 17);
  EXPECT_TRUE(file.face.landmarks.empty());
  for (int k = 0; k < 2; ++k) {
    EXPECT_NEAR(file.face.eyes[k].x, head.landmarks[k].x, 0.01);
    EXPECT_NEAR(file.face.eyes[k].y, head.landmarks[k].y, 0.01);
  }
  const Image direct =
      crop_face(head.rgb, similarity_from_eyes(head.landmarks[0], head.landmarks[1]), 128);
  EXPECT_LT(mean_difference(file.crop, direct), 3);
}

TEST_F(Import, FaceswapsFaceNeedsTheMesh) {
  write_png(from / "clip_000042_0.png", picture, {{"faceswap", faceswap_text()}});
  {
    const NoNetworks hidden(scratch / "empty");
    std::string message;
    EXPECT_EQ(kind_of([&] { import_faces(from, to, 128, false, true); }, &message),
              ErrorKind::nothing_found);
    EXPECT_NE(message.find("install_deps.sh faces"), std::string::npos) << message;
  }
  if (find_network("face_landmark.safetensors").empty())
    GTEST_SKIP() << "the face mesh is not installed: tools/install_deps.sh faces";
  EXPECT_EQ(import_faces(from, to, 128, false, true).faceswap, 1);
  const FaceFile file = read_face(to / "clip_000042_0.png");
  EXPECT_EQ(file.face.frame, 42);
  EXPECT_EQ(file.face.source, "clip_000042.png");
  ASSERT_EQ(file.face.landmarks.size(), 468u);
  EXPECT_GT(file.face.measures.presence, 0.5);
  EXPECT_GT(file.face.measures.contrast, 0);
  EXPECT_FALSE(file.mask.empty());
  // On a drawn head the mesh errs by some percent of the eyes' distance.
  const double apart = distance(head.landmarks[0], head.landmarks[1]);
  for (int k = 0; k < 2; ++k)
    EXPECT_LT(distance(file.face.eyes[k], head.landmarks[k]), 0.1 * apart);
  const Image direct =
      crop_face(head.rgb, similarity_from_eyes(head.landmarks[0], head.landmarks[1]), 128);
  EXPECT_LT(mean_difference(file.crop, direct), 25);
}

TEST_F(Import, StrangePicturesAreNamedAndPassedOver) {
  using namespace std::string_literals;
  const NoNetworks hidden(scratch / "empty");
  write_deepfacelab("1.jpg", pickled_face());
  write_deepfacelab("2.jpg", "\x80\x02"s + "cposix\nsystem\nX\x04\x00\x00\x00"s + "true\x85R."s);
  write_png(from / "3.png", picture);
  write_png(from / "4.png", picture, {{"faceswap", "__import__('os').system('true')"}});
  write_png(from / "5.png", picture, {{"faceswap", "{'alignments': {'landmarks_xy': [[1, 2]]}}"}});
  std::ofstream(from / "6.jpg") << "no picture";
  std::ofstream(from / "notes.txt") << "x";
  PickleText p(3);
  p.begin_dictionary();
  p.text("landmarks"), p.points(Points(68, {1e300, 1}));
  p.end_dictionary();
  write_deepfacelab("7.jpg", p.done());
  const ImportReport report = import_faces(from, to, 128, false, true);
  EXPECT_EQ(report.faces, 1);
  ASSERT_EQ(report.skipped.size(), 6u);
  EXPECT_NE(report.skipped[0].find("posix.system"), std::string::npos) << report.skipped[0];
  EXPECT_TRUE(report.skipped[1].starts_with("3.png"));
  EXPECT_EQ(kind_of([&] { import_faces(from, to, 128, false, true); }), ErrorKind::usage);
  EXPECT_EQ(kind_of([&] { import_faces(from, from, 128, true, true); }), ErrorKind::usage);
  EXPECT_EQ(kind_of([&] { import_faces(scratch / "none", to, 128, true, true); }),
            ErrorKind::input);
}
}  // namespace
}  // namespace faceswap
