// Decisions on a folder of faces, honoured by training.
#include "faceswap/train/face_set.h"

#include <gtest/gtest.h>

#include <cmath>

#include "faceswap/faces/face_folder.h"
#include "faceswap/train/preview.h"
#include "faceswap/train/reconstruction.h"
#include "faceswap/train/trainer.h"
#include "tests/faceswap/kind_of.h"
#include "tests/faceswap/scratch.h"

namespace faceswap {
namespace {

constexpr int kSize = 64;

struct FaceSets : ::testing::Test {
  Scratch scratch;
  std::filesystem::path faces = scratch / "a";
  void SetUp() override { make_faces(faces, 'a', 5, 5, kSize); }
  FaceSet read(bool quiet = true) const { return {faces, kSize, nn::Device::host, quiet}; }
};

TEST_F(FaceSets, LeaveOutWhatIsDropped) {
  const FaceSet all = read();
  FaceFolder folder(faces);
  folder.decide({Decision::drop, {"a_1001.png"}, -1, "", {}});
  ::testing::internal::CaptureStderr();
  const FaceSet fewer = read(false);
  const std::string said = ::testing::internal::GetCapturedStderr();
  EXPECT_NE(said.find("4 faces, 1 left out"), std::string::npos) << said;
  EXPECT_EQ(said.find("people"), std::string::npos) << said;
  ASSERT_EQ(fewer.count(), 4);
  EXPECT_NE(fewer.fingerprint(), all.fingerprint());
  const std::size_t bytes = 4 * kSize * kSize;
  EXPECT_TRUE(std::equal(fewer.data(), fewer.data() + bytes, all.data()));
  EXPECT_TRUE(std::equal(fewer.data() + bytes, fewer.data() + 4 * bytes, all.data() + 2 * bytes));
  // As many others are another set.
  folder.undo();
  folder.decide({Decision::drop, {"a_1002.png"}, -1, "", {}});
  EXPECT_EQ(read().count(), 4);
  EXPECT_NE(read().fingerprint(), fewer.fingerprint());
  folder.undo();
  EXPECT_EQ(read().fingerprint(), all.fingerprint());
}

TEST_F(FaceSets, HaveCorrectedEyes) {
  const FaceSet before = read();
  FaceFolder folder(faces);
  const FolderFace face = *folder.find("a_1000.png");
  Decision align{Decision::align, {face.name}, -1, "", {}};
  for (int k = 0; k < 2; ++k) align.eyes[k] = {face.face.eyes[k].x + 3, face.face.eyes[k].y};
  folder.decide(align);
  const FaceSet after = read();
  EXPECT_NE(after.fingerprint(), before.fingerprint());
  const Image crop = read_crop(*folder.find(face.name));
  for (int i = 0; i < kSize * kSize; i += 7)
    for (int c = 0; c < 3; ++c)
      ASSERT_NEAR(after.data()[4 * i + c], crop.pixels[static_cast<std::size_t>(3 * i + c)], 1);
}

TEST_F(FaceSets, WarnOfSeveralPeople) {
  FaceFolder folder(faces);
  folder.decide({{Decision::move, {"a_1000.png", "a_1001.png"}, 0, "", {}},
                 {Decision::move, {"a_1002.png", "a_1003.png", "a_1004.png"}, 1, "", {}},
                 {Decision::rename, {}, 1, "Anna", {}}});
  const auto warning = [this] {
    ::testing::internal::CaptureStderr();
    EXPECT_GT(read(false).count(), 0);
    return ::testing::internal::GetCapturedStderr();
  };
  const std::string said = warning();
  EXPECT_NE(said.find("person 0 (2 faces), Anna (3 faces)"), std::string::npos) << said;
  EXPECT_NE(said.find("doppel faces keep " + faces.string() + " --person 1 --only"),
            std::string::npos)
      << said;
  folder.decide({Decision::drop, {"a_1000.png", "a_1001.png"}, -1, "", {}});
  EXPECT_EQ(warning().find("people"), std::string::npos);
}

TEST_F(FaceSets, OfDroppedFacesAloneCannotBeTrained) {
  FaceFolder folder(faces);
  Decision all{Decision::drop, {}, -1, "", {}};
  for (const FolderFace& face : folder.faces()) all.faces.push_back(face.name);
  folder.decide(all);
  EXPECT_EQ(kind_of([&] { read(); }), ErrorKind::nothing_found);
}

// Each face through the model, against the samples that a preview shows.
TEST_F(FaceSets, ReconstructionErrorsAreTheModelsOwn) {
  make_faces(scratch / "b", 'b', 6, 5, kSize);
  FaceFolder(faces).decide({Decision::drop, {"a_1003.png"}, -1, "", {}});
  TrainOptions options;
  options.faces_a = faces;
  options.faces_b = scratch / "b";
  options.model_dir = scratch / "model";
  options.model = "tiny";
  options.steps = 2;
  options.batch = 1;
  options.device = "cpu";
  options.precision = "f32";
  options.quiet = true;
  Trainer trainer(make_plan(options));
  trainer.run();
  const int size = trainer.model().size();
  const FaceSet a(faces, stored_size_for(size, faces), nn::Device::host, true),
      b(scratch / "b", stored_size_for(size, scratch / "b"), nn::Device::host, true);
  const SwapSamples samples = swap_samples(trainer.model(), a, b, 4);
  const std::vector<float> in = samples.input[0].to_host<float>(),
                           out = samples.same[0].to_host<float>();
  const std::vector<double> errors = reconstruction_errors(options.model_dir, Side::a, faces, true);
  ASSERT_EQ(errors.size(), 4u);
  for (int f = 0; f < 4; ++f) {
    double sum = 0, count = 0;
    for (int y = size / 5; y < size - size / 5; ++y)
      for (int x = size / 5; x < size - size / 5; ++x)
        for (int c = 0; c < 3; ++c, ++count) {
          const auto i = static_cast<std::size_t>(((f * size + y) * size + x) * 3 + c);
          sum += std::abs(in[i] - out[i]);
        }
    EXPECT_NEAR(errors[static_cast<std::size_t>(f)], sum / count, 1e-5);
  }
}
}  // namespace
}  // namespace faceswap
