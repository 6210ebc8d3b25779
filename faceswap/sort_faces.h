// A folder's faces in the order that `doppel faces sort` was asked for.
#pragma once
#include <filesystem>
#include <string>
#include <vector>

#include "faceswap/faces/face_order.h"
#include "faceswap/faces/sheet.h"
#include "faceswap/models/model.h"

namespace faceswap {

struct SortOptions {
  FaceKey key = FaceKey::blur;
  std::string like;             // for similarity: the face to start from, else a chain
  std::filesystem::path model;  // for loss: the model's folder, and whose decoder
  Side side = Side::a;
  bool reverse = false;   // highest value first
  bool left_out = false;  // with dropped and refused faces
  bool quiet = false;
};

struct SortedFaces {
  FaceList faces;
  std::vector<double> values;  // one per face; of a chain: the distance from the one before
  bool by_value = true;        // false: a chain, or by time
};

// Error(usage): loss without a model or with left-out faces, `like` with another key or
// not among the sorted;
// Error(nothing_found): no face is left. Else as face_values and reconstruction_errors.
SortedFaces sort_faces(const FaceFolder&, const SortOptions&);

// The order in `count` groups of the same size, or one less in the first ones.
std::vector<SheetGroup> sheet_groups(const SortedFaces&, int count);
}  // namespace faceswap
