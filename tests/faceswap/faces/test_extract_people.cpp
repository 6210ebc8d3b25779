// The last step of extraction on folders of made-up faces: who stays, who leaves, and why.
#include "faceswap/faces/extract_people.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <map>
#include <set>

#include "faceswap/faces/face_file.h"
#include "faceswap/media/files.h"
#include "tests/faceswap/faces/made_up_identities.h"
#include "tests/faceswap/faces/stand_in_networks.h"
#include "tests/faceswap/kind_of.h"
#include "tests/faceswap/scratch.h"

namespace {

using namespace faceswap;
namespace fs = std::filesystem;

constexpr int kAll = 1000;  // persons above this have no identity

// `count` faces of one track, 8 degrees apart: 1 by difference().
void write_track(const fs::path& folder, int track, int person, int count, double degrees = 8) {
  fs::create_directories(folder);
  const Identities samples = samples_of(person, count, static_cast<unsigned>(track));
  for (int i = 0; i < count; ++i) {
    Face face;
    face.source = "clip" + std::to_string(track) + ".mp4";
    face.frame = i;
    face.track = track;
    face.crop_size = 64;
    face.sharpness = 100 - i;
    face.measures.yaw = degrees * i;
    if (person < kAll && i % 2 == 0) face.identity = samples[static_cast<std::size_t>(i)];
    write_face(folder / fmt::format("t{}_{:06}_0.png", track, i), Image(64, 64), face);
  }
}

using Files = std::map<std::string, std::vector<std::byte>>;
Files files_in(const fs::path& folder) {
  Files files;
  for (const auto& entry : fs::recursive_directory_iterator(folder))
    if (entry.is_regular_file())
      files[entry.path().lexically_relative(folder).string()] =
          read_whole_file(entry.path(), 1 << 24);
  return files;
}

std::map<int, std::set<int>> people_of_tracks(const fs::path& folder) {
  std::map<int, std::set<int>> people;
  for (const std::string& name : face_names(folder)) {
    const Face face = read_face(folder / name).face;
    people[face.track].insert(face.person);
  }
  return people;
}

CleaningOptions all_stay() {
  CleaningOptions options;
  options.least_difference = 0;
  return options;
}

// Of the faces that have left, by the names of their files.
std::map<std::string, std::string> refused_in(const fs::path& folder) {
  std::map<std::string, std::string> reasons;
  for (const std::string& name : face_names(folder))
    if (lies_in_refused(name))
      reasons[fs::path(name).filename().string()] = read_face(folder / name).face.refused;
  return reasons;
}

struct CleanFaces : ::testing::Test {
  Scratch scratch;
  NetworksIn networks{scratch / "cache"};
  fs::path folder = scratch / "f";

  // Networks that find nothing: the pictures of people below are faces with an identity.
  void install_networks() const {
    write_network(scratch / "cache/networks/face_landmark.safetensors", mesh_without_faces());
    write_network(scratch / "cache/networks/face_identity.safetensors", identity_of_colours());
  }
  fs::path picture_of(int person) const {
    Face face;
    face.crop_size = 64;
    face.identity = centre_of(person);
    const fs::path path = scratch / fmt::format("person{}.png", person);
    write_face(path, Image(64, 64), face);
    return path;
  }
};

TEST_F(CleanFaces, PeopleAreNumberedByTheirFaces) {
  write_track(folder, 0, 5, 3);
  write_track(folder, 1, 6, 6);
  write_track(folder, 2, 5, 5);
  write_track(folder, 3, kAll, 7);  // nobody knows who
  clean_faces(folder, all_stay(), {});
  EXPECT_EQ(people_of_tracks(folder),
            (std::map<int, std::set<int>>{{0, {0}}, {1, {2}}, {2, {0}}, {3, {1}}}));
}

TEST_F(CleanFaces, WithoutIdentitiesNobodyIsTold) {
  write_track(folder, 0, kAll, 2);
  write_track(folder, 1, kAll, 2);
  const Files before = files_in(folder);
  clean_faces(folder, all_stay(), {});
  EXPECT_EQ(people_of_tracks(folder), (std::map<int, std::set<int>>{{0, {-1}}, {1, {-1}}}));
  EXPECT_TRUE(files_in(folder) == before);
}

TEST_F(CleanFaces, StrangersLeaveWithTheirReason) {
  install_networks();
  for (int track = 0; track < 4; ++track) write_track(folder, track, track, 3);
  write_track(folder, 4, 0, 2);
  CleaningOptions options = all_stay();
  options.keep = {picture_of(0), picture_of(1)};
  options.drop = {picture_of(2)};
  clean_faces(folder, options, {});
  const auto reasons = refused_in(folder);
  EXPECT_EQ(reasons.size(), 6u);
  for (const auto& [name, reason] : reasons) {
    EXPECT_EQ(reason,
              name.starts_with("t2") ? "a person to leave out" : "not a person that was asked for")
        << name;
    EXPECT_FALSE(fs::exists(folder / name));
  }
  for (const fs::path& path : list_faces(folder)) {
    const Face face = read_face(path).face;
    EXPECT_TRUE(std::set({0, 1, 4}).contains(face.track)) << path;
    EXPECT_EQ(face.refused, "");
  }
  EXPECT_EQ(list_faces(folder).size(), 8u);
}

TEST_F(CleanFaces, PicturesOfPeopleNeedTheNetworks) {
  write_track(folder, 0, 0, 2);
  CleaningOptions options = all_stay();
  options.drop = {picture_of(0)};
  const Files before = files_in(folder);
  std::string message;
  EXPECT_EQ(kind_of([&] { clean_faces(folder, options, {}); }, &message), ErrorKind::input);
  EXPECT_NE(message.find("tools/install_deps.sh faces"), std::string::npos) << message;
  EXPECT_TRUE(files_in(folder) == before);
}

TEST_F(CleanFaces, NearDuplicatesLeaveAndTheSharperStays) {
  write_track(folder, 0, 0, 5, 1);  // a degree is 1/8
  write_track(folder, 1, 1, 1);     // looks like the first, but is another person
  CleaningOptions options = all_stay();
  options.least_difference = 0.3;
  clean_faces(folder, options, {});
  const auto reasons = refused_in(folder);
  EXPECT_EQ(reasons, (std::map<std::string, std::string>{{"t0_000001_0.png", "near-duplicate"},
                                                         {"t0_000002_0.png", "near-duplicate"},
                                                         {"t0_000004_0.png", "near-duplicate"}}));
}

TEST_F(CleanFaces, LooksAtHandCountLikeThoseInTheFiles) {
  write_track(folder, 0, 0, 5, 1);
  std::map<std::string, FaceLook> looks;
  for (const std::string& name : face_names(folder)) {
    const FaceFile file = read_face(folder / name);
    looks[name] = look_of(file.face, file.crop);
  }
  fs::copy(folder, scratch / "g");
  CleaningOptions options = all_stay();
  options.least_difference = 0.3;
  clean_faces(folder, options, looks);
  clean_faces(scratch / "g", options, {});
  EXPECT_TRUE(files_in(folder) == files_in(scratch / "g"));
}

TEST_F(CleanFaces, DiverseKeepsTheEndsOfTheRange) {
  write_track(folder, 0, 0, 9);
  CleaningOptions options = all_stay();
  options.diverse = 3;
  clean_faces(folder, options, {});
  const auto reasons = refused_in(folder);
  EXPECT_EQ(reasons.size(), 6u);
  for (const auto& [name, reason] : reasons) EXPECT_EQ(reason, "beyond --diverse 3") << name;
  for (const char* stays : {"t0_000000_0.png", "t0_000004_0.png", "t0_000008_0.png"})
    EXPECT_TRUE(fs::exists(folder / stays)) << stays;
}

// A run that was killed left some faces as they were, some in both folders, some moved.
TEST_F(CleanFaces, TwiceAndAfterAKillGiveTheSame) {
  install_networks();
  write_track(folder, 0, 0, 9, 3);
  write_track(folder, 1, 1, 9);  // as many as track 0: a face counted twice would be seen
  write_track(folder, 2, 2, 4);
  CleaningOptions options = all_stay();
  options.least_difference = 0.5;
  options.diverse = 4;
  options.drop = {picture_of(2)};
  fs::copy(folder, scratch / "killed", fs::copy_options::recursive);
  clean_faces(folder, options, {});
  std::vector<std::string> left;
  for (const auto& [name, reason] : refused_in(folder)) left.push_back(name);
  ASSERT_GE(left.size(), 12u);
  const Files once = files_in(folder);
  clean_faces(folder, options, {});
  EXPECT_TRUE(files_in(folder) == once);

  for (std::size_t killed = 0; killed < 3; ++killed) {
    const fs::path other = scratch / ("killed" + std::to_string(killed));
    fs::copy(scratch / "killed", other, fs::copy_options::recursive);
    fs::create_directories(other / "refused");
    for (std::size_t i = 0; i < left.size(); ++i) {
      const std::string& name = left[i];
      if (i % 3 == killed) continue;
      // Copied, but still without its reason; or with it; or moved.
      fs::copy_file(i % 2 ? folder / "refused" / name : other / name, other / "refused" / name);
      if (i % 3 == (killed + 1) % 3) {
        fs::copy_file(folder / "refused" / name, other / "refused" / name,
                      fs::copy_options::overwrite_existing);
        fs::remove(other / name);
      }
    }
    clean_faces(other, options, {});
    EXPECT_TRUE(files_in(other) == once) << killed;
  }
}

// Faces that no track has, such as false ones, are nobody's.
TEST_F(CleanFaces, FacesWithoutATrackAreNotTouched) {
  write_track(folder, 0, 0, 2);
  write_track(folder / "refused", -1, 1, 3);
  const Files before = files_in(folder / "refused");
  clean_faces(folder, all_stay(), {});
  EXPECT_TRUE(files_in(folder / "refused") == before);
}
}  // namespace
