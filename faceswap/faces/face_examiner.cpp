#include "faceswap/faces/face_examiner.h"

#include "faceswap/faces/measures.h"
#include "faceswap/faces/network_files.h"
#include "faceswap/faces/people.h"

namespace faceswap {

FaceExaminer::FaceExaminer() {
  const std::filesystem::path file = find_network("face_identity.safetensors");
  if (!file.empty()) identity_.emplace(file);
}

void FaceExaminer::begin_shot(const std::map<std::int64_t, std::vector<Face>>& by_frame) {
  chosen_.clear();
  if (!identity_) return;
  struct Track {
    std::vector<Face> faces;
    std::vector<std::pair<std::int64_t, std::size_t>> places;
  };
  std::map<int, Track> tracks;
  for (const auto& [frame, faces] : by_frame)
    for (std::size_t i = 0; i < faces.size(); ++i) {
      if (!faces[i].refused.empty()) continue;
      Track& track = tracks[faces[i].track];
      track.faces.push_back(faces[i]);
      track.places.emplace_back(frame, i);
    }
  for (const auto& [number, track] : tracks)
    for (const std::size_t i : faces_to_identify(track.faces)) chosen_.insert(track.places[i]);
}

FaceMask FaceExaminer::operator()(const Image& frame, const Image& crop, std::size_t number,
                                  Face& face) const {
  FaceMask mask = face_mask(face, crop, frame.width, frame.height);
  measure_face(face, crop, mask);
  if (identity_ && chosen_.contains({face.frame, number}))
    face.identity = (*identity_)(frame, face.landmarks);
  return mask;
}
}  // namespace faceswap
