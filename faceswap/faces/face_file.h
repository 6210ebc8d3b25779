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
// Only the metadata, with all pixels as they are. As write_face(), and Error(damaged).
void rewrite_face(const std::filesystem::path&, const Face&);
FaceFile read_face(const std::filesystem::path&);  // Error(input) or Error(damaged)

Face read_face_metadata(const std::filesystem::path&);  // the same without the pixels

inline constexpr const char* kRefusedFolder = "refused";  // of faces that extraction refused

// The face pictures of a folder by their names in it, without the contact sheet: first
// its own, then those of its `refused` folder ("refused/a_000012_0.png"), both sorted.
// May be empty. Error(input).
std::vector<std::string> face_names(const std::filesystem::path& folder);
[[noreturn]] void refuse_empty_folder(const std::filesystem::path& folder);  // nothing_found
inline bool lies_in_refused(const std::string& name) {
  return name.starts_with(std::string(kRefusedFolder) + "/");
}

// The faces to train on: all but the refused ones and those that a decision dropped, and
// those that one kept. In the order of face_names(). Error(input), Error(damaged),
// Error(nothing_found).
std::vector<std::filesystem::path> list_faces(const std::filesystem::path& folder);
}  // namespace faceswap
