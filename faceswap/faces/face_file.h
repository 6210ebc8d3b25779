// Face pictures on disk: a PNG crop with its metadata as JSON inside. Training and
// conversion need no other file.
#pragma once
#include <filesystem>
#include <string>
#include <vector>

#include "faceswap/faces/face.h"

namespace faceswap {

struct FaceFile {
  std::filesystem::path path;
  Face face;
  Image crop;
};

// The metadata is the text chunk "doppel-face".
void write_face(const std::filesystem::path&, const Image& crop, const Face&);
FaceFile read_face(const std::filesystem::path&);  // Error(input) or Error(damaged)

// The PNGs, sorted, without the contact sheet. Error(input), Error(nothing_found).
std::vector<std::filesystem::path> list_faces(const std::filesystem::path& folder);
}  // namespace faceswap
