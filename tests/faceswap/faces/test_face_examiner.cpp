// All that is found out about a face, with a network that knows people by their colours and
// without one.
#include "faceswap/faces/face_examiner.h"

#include <gtest/gtest.h>

#include "tests/faceswap/faces/drawn_face.h"
#include "tests/faceswap/faces/stand_in_networks.h"
#include "tests/faceswap/scratch.h"

namespace {

using namespace faceswap;

constexpr Rgb kSkin{200, 150, 125}, kWall{60, 90, 160};

using FacesByFrame = std::map<std::int64_t, std::vector<Face>>;

// Track 0 in 40 frames, track 1 behind it in 5 of them, and a false face before both.
FacesByFrame some_shot(const Face& face) {
  FacesByFrame shot;
  for (std::int64_t frame = 0; frame < 40; ++frame) {
    Face seen = face;
    seen.frame = frame;
    Face wrong = seen;
    wrong.track = -1, wrong.refused = "unsure";
    shot[frame] = {wrong, seen};
    seen.track = 1;
    if (frame < 5) shot[frame].push_back(seen);
  }
  return shot;
}

TEST(FaceExaminer, IdentifiesSomeFacesOfEachTrack) {
  const Scratch scratch;
  const NetworksIn networks(scratch / "cache");
  write_network(scratch / "cache/networks/face_identity.safetensors", identity_of_colours());
  const DrawnFace drawn = draw_flat_face(kSkin, kWall);
  FacesByFrame shot = some_shot(drawn.face);
  FaceExaminer examine;
  const auto identified = [&] {
    std::map<int, int> tracks;
    for (auto& [frame, faces] : shot)
      for (std::size_t i = 0; i < faces.size(); ++i) {
        Face face = faces[i];
        const FaceMask mask = examine(drawn.crop, drawn.crop, i, face);
        EXPECT_FALSE(mask.picture.empty());
        EXPECT_GT(face.measures.brightness, 0.5);
        if (face.identity.empty()) continue;
        EXPECT_EQ(face.identity.size(), std::size_t{IdentityNetwork::kNumbers});
        EXPECT_GT(face.identity[0], 0.1);
        ++tracks[face.track];
      }
    return tracks;
  };
  EXPECT_TRUE(identified().empty()) << "no shot was begun";
  examine.begin_shot(shot);
  EXPECT_EQ(identified(), (std::map<int, int>{{0, 12}, {1, 5}}));
  FacesByFrame next;
  next[7] = shot[3];
  examine.begin_shot(next);
  EXPECT_EQ(identified(), (std::map<int, int>{{0, 1}})) << "that of frame 7";
}

TEST(FaceExaminer, MeasuresWithoutNetworks) {
  const Scratch scratch;
  const NetworksIn networks(scratch / "cache");
  const DrawnFace drawn = draw_flat_face(kSkin, kWall, 0.2);
  FaceExaminer examine;
  examine.begin_shot(some_shot(drawn.face));
  Face face = drawn.face;
  const FaceMask mask = examine(Image(300, 300), drawn.crop, 1, face);
  EXPECT_TRUE(face.identity.empty());
  EXPECT_EQ(face.marks.front(), FaceMark::tiny);
  EXPECT_EQ(mask.picture.width, kMaskSize);

  Face without = drawn.face;  // by cascades
  without.landmarks.clear();
  examine(Image(300, 300), drawn.crop, 1, without);
  EXPECT_GT(without.measures.brightness, 0.5);
  EXPECT_EQ(without.measures.mouth_open, 0);
}
}  // namespace
