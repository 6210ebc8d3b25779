// All that extraction finds out about a face beside its place: mask, measures, marks and,
// of some, the identity.
#pragma once
#include <map>
#include <optional>
#include <set>
#include <utility>
#include <vector>

#include "faceswap/faces/face_mask.h"
#include "faceswap/faces/identity.h"
#include "faceswap/media/media.h"

namespace faceswap {

class FaceExaminer {
 public:
  FaceExaminer();  // with an identity network if one is installed

  // Chooses which of these faces, whole tracks of a clip, get an identity.
  void begin_shot(const std::map<std::int64_t, std::vector<Face>>& by_frame);

  // Fills in the face; returns its mask. `number`: its place among its frame's faces.
  FaceMask operator()(const Image& frame, const Image& crop, std::size_t number, Face&) const;

 private:
  std::optional<IdentityNetwork> identity_;
  std::set<std::pair<std::int64_t, std::size_t>> chosen_;  // frame, place in it
};
}  // namespace faceswap
