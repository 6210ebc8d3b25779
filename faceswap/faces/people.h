// People told apart by the identities of their faces (faces/identity.h).
#pragma once
#include <compare>
#include <cstdint>
#include <filesystem>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "faceswap/faces/detector.h"
#include "faceswap/faces/face.h"
#include "faceswap/faces/identity.h"
#include "faceswap/faces/mesh.h"

namespace faceswap {

using Identities = std::vector<std::vector<float>>;

// How far two people are apart, from some identities of each: the distance of their means
// without the share that the scatter of single identities has in it. So it does not depend
// on how many there are. 0 to 0.33 for one person, 0.5 to 1 for two (docs/face-networks.md).
double people_distance(const Identities& a, const Identities& b);
inline constexpr double kSamePerson = 0.4;  // below: one person

// The faces of a track, in frame order, whose identities say most: at most `most`, one
// from each stretch of the track, towards the camera and unmarked where there are such.
// Faces without landmarks are left out. Indices, ascending.
std::vector<std::size_t> faces_to_identify(std::span<const Face> track, int most = 12);

struct SourceFrame {
  std::string source;
  std::int64_t frame = 0;
  auto operator<=>(const SourceFrame&) const = default;
};
struct TrackIdentity {
  int track = 0;
  std::int64_t faces = 0;
  Identities samples;               // of some of its faces, or none
  std::vector<SourceFrame> frames;  // it is in; two tracks that share one are two people
};
// By track number. The faces are those of one extraction.
std::vector<TrackIdentity> identities_of_tracks(std::span<const Face> faces);

// The person of each track, from 0, the one with most faces first. Tracks are joined two by
// two, the nearest first, while the mean distance between the tracks of both sides is below
// `limit`; a track counts by its samples, up to 16. One without samples is a person of its
// own.
std::vector<int> group_tracks(std::span<const TrackIdentity> tracks, double limit = kSamePerson);

// The people that extraction is to keep, or to leave out, by pictures of them.
class ReferencePeople {
 public:
  struct Pictures {
    std::vector<std::filesystem::path> keep, drop;
  };
  struct Answer {
    bool wanted = true;
    double distance = 0;            // people_distance to the nearest reference
    std::filesystem::path nearest;  // its picture; empty: there is no reference
  };

  // Each picture shows one face, or one that is clearly the largest. A face that extraction
  // wrote needs no search. Throws Error(input): not a picture, no face in it, several faces.
  ReferencePeople(const Pictures&, const DetectorOptions&, const MeshFinder&,
                  const IdentityNetwork&);

  // Wanted: like a picture to keep, if there are any, and not more like one to drop. The
  // samples are of one person; none: not wanted if there are pictures to keep.
  Answer operator()(const Identities& samples) const;

 private:
  struct Reference {
    std::filesystem::path picture;
    Identities identity;  // one
    bool keep = true;
  };
  std::vector<Reference> references_;
};
// With the installed networks. Error(input): they are not; and as the constructor.
ReferencePeople open_references(const ReferencePeople::Pictures&, const DetectorOptions&);

// Of each track, by its number, the answer for its person as of group_tracks().
std::map<int, ReferencePeople::Answer> compare_tracks(std::span<const TrackIdentity> tracks,
                                                      const ReferencePeople&);
}  // namespace faceswap
