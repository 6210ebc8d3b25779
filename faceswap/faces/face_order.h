// Orders of a folder's faces, to find those that do not belong: the worst stand at one
// end, the odd ones alone.
#pragma once
#include <span>
#include <string>
#include <vector>

#include "faceswap/faces/face_folder.h"

namespace faceswap {

enum class FaceKey : std::uint8_t {
  blur,
  size,
  yaw,
  pitch,
  roll,
  colour,
  brightness,
  contrast,
  similarity,
  distance,
  confidence,
  eyes,
  mouth,
  time,
  loss
};
struct FaceKeyInfo {
  FaceKey key;
  const char* name;
  const char* help;  // of its values, lowest first
};
std::span<const FaceKeyInfo> face_keys();
FaceKey face_key(const std::string& name);  // Error(usage) names them all

using FaceList = std::vector<const FolderFace*>;  // borrowed from a FaceFolder
FaceList kept_faces(const FaceFolder&);

// One value per face, of any key but similarity, loss and time. Reads the pictures with
// all cores where the metadata does not tell. Error(input): the key needs landmarks and
// none of the faces has any.
std::vector<double> face_values(const FaceList&, FaceKey);

// How unlike faces are: the distance of their identities (below 0.6: one person) where
// all have one, else that of small pictures (0 to 2).
class FaceLooks {
 public:
  explicit FaceLooks(const FaceList&);
  double distance(std::size_t i, std::size_t j) const;
  // From each face to face `i`.
  std::vector<double> distances_to(std::size_t i) const;
  // A walk from the most typical face, always to the most similar one left. order: of
  // the faces; steps: the distance from the one before.
  void chain(std::vector<std::size_t>& order, std::vector<double>& steps) const;

 private:
  std::vector<float> looks_;  // [faces, length_]
  std::size_t count_ = 0, length_ = 0;
};

// Indices by rising value, equal ones by their place in the list.
std::vector<std::size_t> order_by(const std::vector<double>& values);
// Indices by source, frame and name.
std::vector<std::size_t> order_by_time(const FaceList&);
}  // namespace faceswap
