// People told apart: made-up identities with known people, and references from files. With
// the networks installed, rendered heads as a user would give them.
#include "faceswap/faces/people.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <random>

#include "faceswap/faces/network_files.h"
#include "faceswap/media/png.h"
#include "tests/faceswap/faces/made_up_identities.h"
#include "tests/faceswap/faces/stand_in_networks.h"
#include "tests/faceswap/kind_of.h"
#include "tests/faceswap/scratch.h"

namespace {

using namespace faceswap;

constexpr int kNumbers = IdentityNetwork::kNumbers;

TEST(People, DistanceDoesNotDependOnTheNumberOfSamples) {
  for (const int count : {1, 3, 2000}) {
    const Identities one = samples_of(0, count, 1);
    EXPECT_LT(people_distance(one, samples_of(0, 40, 2)), 0.2) << count;
    EXPECT_NEAR(people_distance(one, samples_of(1, 40, 3)), 0.8, 0.12) << count;
    EXPECT_NEAR(people_distance(one, samples_of(1, 1, 4)), 0.8, 0.15) << count;
  }
}

TEST(People, IdentitiesOfOtherNetworksAreRefused) {
  EXPECT_EQ(kind_of([] { people_distance({{1, 2}, {1}}, {{1, 2}}); }), ErrorKind::failure);
  EXPECT_EQ(kind_of([] { people_distance({{1, 2}}, {{1, 2, 3}}); }), ErrorKind::failure);
}

TrackIdentity track_of(int number, int person, int samples, std::int64_t faces = 10) {
  return {number, faces, samples_of(person, samples, static_cast<unsigned>(number) + 100), {}};
}

TEST(GroupTracks, FindsThePeopleInAnyOrder) {
  // Person 2 has most faces, in a track of one sample and in one of two thousand.
  const int person[] = {0, 0, 1, 2, 2, 2, 1, 3}, samples[] = {1, 2, 20, 1, 2000, 5, 1, 3};
  std::vector<TrackIdentity> tracks;
  for (int i = 0; i < 8; ++i) tracks.push_back(track_of(i, person[i], samples[i], 10 + i));
  for (int seed = 0; seed < 5; ++seed) {
    std::shuffle(tracks.begin(), tracks.end(), std::mt19937(static_cast<unsigned>(seed)));
    const std::vector<int> found = group_tracks(tracks);
    ASSERT_EQ(found.size(), 8u);
    constexpr int numbers[] = {2, 1, 0, 3};  // of persons 0 to 3, by their 21, 28, 42, 17 faces
    for (int i = 0; i < 8; ++i)
      EXPECT_EQ(found[i], numbers[person[tracks[i].track]]) << tracks[i].track;
  }
}

TEST(GroupTracks, InOneFrameAreNeverOnePerson) {
  std::vector<TrackIdentity> tracks{track_of(0, 0, 5, 30), track_of(1, 0, 5, 20),
                                    track_of(2, 0, 5, 10)};
  for (TrackIdentity& track : tracks) track.samples = samples_of(0, 5, 1, 0);
  EXPECT_EQ(group_tracks(tracks), (std::vector{0, 0, 0}));
  tracks[0].frames = {{"a.mp4", 3}, {"a.mp4", 4}};
  tracks[2].frames = {{"a.mp4", 4}, {"a.mp4", 5}};
  const std::vector<int> found = group_tracks(tracks);
  EXPECT_NE(found[0], found[2]);
  tracks[2].frames = {{"b.mp4", 4}};
  EXPECT_EQ(group_tracks(tracks), (std::vector{0, 0, 0}));
}

// A row of lookalikes, each near the next one, is not one person.
TEST(GroupTracks, ChainsAreNotFollowed) {
  std::vector<TrackIdentity> tracks;
  for (int i = 0; i < 6; ++i) {
    std::vector<float> numbers(kNumbers);
    numbers[0] = 0.36f * static_cast<float>(i);
    tracks.push_back({i, 10, Identities(16, numbers), {}});
  }
  const std::vector<int> found = group_tracks(tracks);
  EXPECT_NE(found.front(), found.back());
  EXPECT_LE(*std::ranges::max_element(found), 3);
}

TEST(GroupTracks, WithoutSamplesArePeopleOfTheirOwn) {
  const std::vector<TrackIdentity> tracks{
      {0, 5, {}, {}}, track_of(1, 0, 3, 20), {2, 90, {}, {}}, track_of(3, 0, 3, 10)};
  EXPECT_EQ(group_tracks(tracks), (std::vector{2, 1, 0, 1}));
  EXPECT_TRUE(group_tracks({}).empty());
}

TEST(GroupTracks, ThousandTracksOfFortyPeople) {
  std::vector<TrackIdentity> tracks;
  for (int i = 0; i < 1000; ++i) tracks.push_back(track_of(i, i % 40, 1 + i % 12));
  const std::vector<int> found = group_tracks(tracks);
  EXPECT_EQ(*std::ranges::max_element(found), 39);
  for (int i = 40; i < 1000; ++i) ASSERT_EQ(found[i], found[i % 40]) << i;
}

Face face_at(std::int64_t frame, double yaw, bool mesh = true) {
  Face face;
  face.source = "clip.mp4";
  face.frame = frame;
  face.measures.yaw = yaw;
  if (mesh) face.landmarks.resize(Mesh::kPoints);
  return face;
}

TEST(FacesToIdentify, AreSpreadAndLookAtTheCamera) {
  std::vector<Face> track;
  for (int i = 0; i < 40; ++i) track.push_back(face_at(i, i % 10 == 7 ? -5 : 30));
  EXPECT_EQ(faces_to_identify(track, 4), (std::vector<std::size_t>{7, 17, 27, 37}));
  track[7].marks = {FaceMark::blurred, FaceMark::eyes_shut};
  EXPECT_EQ(faces_to_identify(track, 4).front(), 0u);
  for (int i = 20; i < 40; ++i) track[i].measures.yaw = 70;  // profiles, unless all are
  EXPECT_EQ(faces_to_identify(track, 4), (std::vector<std::size_t>{0, 17}));
  for (Face& face : track) face.measures.yaw = -70;
  EXPECT_EQ(faces_to_identify(track, 4).size(), 4u);
}

TEST(FacesToIdentify, NeedAMesh) {
  const std::vector<Face> track{face_at(0, 0, false), face_at(1, 0), face_at(2, 0, false)};
  EXPECT_EQ(faces_to_identify(track, 12), std::vector<std::size_t>{1});
  EXPECT_TRUE(faces_to_identify({}, 12).empty());
}

TEST(IdentitiesOfTracks, CollectsByTrack) {
  std::vector<Face> faces{face_at(5, 0), face_at(5, 0), face_at(6, 0)};
  faces[0].track = faces[2].track = 3;
  faces[1].track = 1;
  faces[2].identity = {1, 2};
  const std::vector<TrackIdentity> tracks = identities_of_tracks(faces);
  ASSERT_EQ(tracks.size(), 2u);
  EXPECT_EQ(tracks[0].track, 1);
  EXPECT_TRUE(tracks[0].samples.empty());
  EXPECT_EQ(tracks[1].faces, 2);
  EXPECT_EQ(tracks[1].samples, (Identities{{1, 2}}));
  EXPECT_EQ(tracks[1].frames, (std::vector<SourceFrame>{{"clip.mp4", 5}, {"clip.mp4", 6}}));
}

// References without a search: faces with an identity in their files.
class References : public testing::Test {
 protected:
  Scratch scratch;
  MeshFinder mesh{write_network(scratch / "mesh.safetensors", mesh_without_faces())};
  IdentityNetwork network{write_network(scratch / "identity.safetensors", identity_of_colours())};

  std::filesystem::path face_of(int person) {
    Face face;
    face.crop_size = 64;
    face.identity = centre_of(person);
    const auto path = scratch / ("person" + std::to_string(person) + ".png");
    write_face(path, Image(64, 64), face);
    return path;
  }
  ReferencePeople references(const ReferencePeople::Pictures& pictures) {
    return {pictures, {}, mesh, network};
  }
};

TEST_F(References, KeepPeople) {
  const ReferencePeople people = references({{face_of(0), face_of(1)}, {}});
  for (const int count : {1, 30}) {
    const auto known = people(samples_of(1, count, 1)), stranger = people(samples_of(2, count, 2));
    EXPECT_TRUE(known.wanted);
    EXPECT_LT(known.distance, kSamePerson);
    EXPECT_EQ(known.nearest.filename(), "person1.png");
    EXPECT_FALSE(stranger.wanted);
    EXPECT_GT(stranger.distance, kSamePerson);
  }
  EXPECT_FALSE(people({}).wanted);
}

TEST_F(References, DropPeople) {
  const ReferencePeople people = references({{}, {face_of(0), face_of(1)}});
  EXPECT_FALSE(people(samples_of(1, 5, 1)).wanted);
  EXPECT_TRUE(people(samples_of(2, 5, 2)).wanted);
  EXPECT_TRUE(people({}).wanted);
}

// The nearer of two lookalikes decides.
TEST_F(References, KeepOneAndDropItsLookalike) {
  std::vector<float> lookalike = centre_of(0);
  lookalike[0] += 0.3f;
  Face face;
  face.crop_size = 64;
  face.identity = lookalike;
  write_face(scratch / "lookalike.png", Image(64, 64), face);
  const ReferencePeople people = references({{face_of(0)}, {scratch / "lookalike.png"}});
  EXPECT_TRUE(people({centre_of(0)}).wanted);
  EXPECT_FALSE(people({lookalike}).wanted);
  EXPECT_FALSE(people(samples_of(3, 5, 1)).wanted);
}

TEST_F(References, NoneWantsEverybody) {
  const auto answer = references({})(samples_of(0, 3, 1));
  EXPECT_TRUE(answer.wanted);
  EXPECT_TRUE(answer.nearest.empty());
}

TEST_F(References, WithoutAFaceAreRefused) {
  if (!DOPPEL_DETECT) GTEST_SKIP() << "this build has no detection";
  write_png(scratch / "grey.png", Image(200, 150));
  std::string message;
  EXPECT_EQ(kind_of([&] { references({{scratch / "grey.png"}, {}}); }, &message), ErrorKind::input);
  EXPECT_NE(message.find("grey.png: no face found; give a picture"), std::string::npos) << message;
  EXPECT_EQ(kind_of([&] { references({{}, {scratch / "absent.jpg"}}); }), ErrorKind::input);
  EXPECT_EQ(kind_of([&] { references({{}, {scratch.path}}); }, &message), ErrorKind::input);
}

// Cascades find the two; which one is meant cannot be known.
TEST_F(References, WithTwoFacesAreRefused) {
  if (!DOPPEL_DETECT) GTEST_SKIP() << "this build has no detection";
  Image both(640, 240);
  for (const char person : {'a', 'b'}) {
    const Image one = draw_head(head_identity(person), talking_pose(0, 3), 320, 240, 0, 1).rgb;
    for (int y = 0; y < 240; ++y)
      std::copy_n(one.at(0, y), 320 * 3, both.at(person == 'a' ? 0 : 320, y));
  }
  write_png(scratch / "both.png", both);
  std::string message;
  EXPECT_EQ(kind_of([&] { references({{scratch / "both.png"}, {}}); }, &message), ErrorKind::input);
  EXPECT_NE(message.find("both.png: 2 faces, none clearly the largest; give"), std::string::npos)
      << message;
}

// A crop without an identity has landmarks, in its frame.
TEST_F(References, CropsAreIdentifiedByTheirLandmarks) {
  Face face;
  face.crop_size = 150;
  face.to_canonical = rotation_about({3, 4}, 0.2, 2);
  const Similarity to_frame = face.to_canonical.then(canonical_to_crop(150)).inverse();
  std::mt19937 random(1);
  for (int i = 0; i < Mesh::kPoints; ++i)
    face.landmarks.push_back(
        {static_cast<double>(random() % 100), static_cast<double>(random() % 100)});
  const Similarity to_chip = to_identity_chip(face.landmarks);
  for (Point& point : face.landmarks) point = to_frame(to_chip(point));
  Image crop(150, 150);
  for (int y = 0; y < 150; ++y)
    for (int x = 0; x < 150; ++x) crop.at(x, y)[0] = x < 75 ? 255 : 51;
  write_face(scratch / "crop.png", crop, face);
  std::vector<float> expected(kNumbers);
  expected[0] = expected[1] = 0.6f;
  const auto answer = references({{scratch / "crop.png"}, {}})({expected});
  EXPECT_TRUE(answer.wanted);
  expected[0] = 1.6f;
  EXPECT_FALSE(references({{scratch / "crop.png"}, {}})({expected}).wanted);
}

// Whole pictures of drawn heads, which the networks were never taught.
TEST(ReferencePeople, FindTheFaceInAPicture) {
  if (!DOPPEL_DETECT) GTEST_SKIP() << "this build has no detection";
  const auto mesh_file = find_network("face_landmark.safetensors"),
             identity_file = find_network("face_identity.safetensors");
  if (mesh_file.empty() || identity_file.empty())
    GTEST_SKIP() << "face_landmark and face_identity are not in " << network_folder()
                 << ": run tools/install_deps.sh faces";
  const MeshFinder mesh(mesh_file);
  const IdentityNetwork network(identity_file);
  const Scratch scratch;
  const auto head = [](char person, double seconds) {
    return draw_head(head_identity(person), talking_pose(seconds, 3), 320, 240, 0, 1);
  };
  const auto picture = [&](char person) {
    const auto path = scratch / (std::string(1, person) + ".png");
    write_png(path, head(person, 0).rgb);
    return path;
  };
  const ReferencePeople people({{picture('a')}, {picture('b')}}, {}, mesh, network);
  for (const char person : {'a', 'b'}) {
    Identities samples;
    for (const double seconds : {0.7, 1.4, 2.1}) {
      const HeadPicture seen = head(person, seconds);
      const Point left = seen.landmarks[0], right = seen.landmarks[1];
      Detection face;
      face.eyes[0] = left, face.eyes[1] = right;
      face.side = 2.6 * distance(left, right);
      face.center = {(left.x + right.x) / 2, (left.y + right.y) / 2 + 0.12 * face.side};
      const auto found = mesh.find(seen.rgb, face);
      ASSERT_TRUE(found);
      samples.push_back(network(seen.rgb, {found->points.begin(), found->points.end()}));
    }
    const auto answer = people(samples);
    EXPECT_EQ(answer.wanted, person == 'a');
    EXPECT_EQ(answer.nearest.stem(), std::string(1, person));
    EXPECT_LT(answer.distance, kSamePerson) << person;
  }
}
}  // namespace
