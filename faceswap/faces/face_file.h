// Face pictures on disk: a PNG crop with its metadata as JSON and its mask inside.
// Training and conversion need no other file.
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
  Image mask;  // as of face_mask(): [128,128,1]; empty where the file has none
};

// The metadata is the text chunk "doppel-face"; the mask, unless it is empty, the text
// chunk "doppel-mask": a grey PNG in base64, of 3 to 4 KB.
void write_face(const std::filesystem::path&, const Image& crop, const Face&,
                const Image& mask = {});
FaceFile read_face(const std::filesystem::path&);  // Error(input) or Error(damaged)

// The PNGs, sorted, without the contact sheet. Error(input), Error(nothing_found).
std::vector<std::filesystem::path> list_faces(const std::filesystem::path& folder);
}  // namespace faceswap
