// Copies of a folder's faces as decided, and the check of a folder.
#pragma once
#include <filesystem>
#include <string>
#include <vector>

#include "faceswap/faces/face_order.h"

namespace faceswap {

// Makes a folder for faces that come from the folder `from`. Error(usage): it is `from`, or
// holds files and not `force`; Error(disk).
void make_empty_folder(const std::filesystem::path&, const std::filesystem::path& from, bool force);

// Writes the faces as they are decided: their person and their corrected eyes, kept ones
// of `refused` like any other. size: side in pixels; 0: as stored, and then what no
// decision changed is copied byte by byte. numbered: with "000001_" before each name, in
// the list's order. Returns the files. Error(usage): `out` holds files and not `force`;
// Error(disk).
std::vector<std::filesystem::path> copy_faces(const FaceList&, const std::filesystem::path& out,
                                              int size, bool numbered, bool force, bool quiet);

struct FolderCheck {
  int faces = 0;
  std::vector<std::string> damaged;  // a message for each file that is no whole face
  std::vector<std::vector<std::string>> duplicates;  // names of faces with the same pixels
  std::vector<std::string> missing;                  // named in decisions, but not in the folder
};
// Reads every picture whole. Error(input), Error(nothing_found).
FolderCheck verify_folder(const std::filesystem::path& folder, bool quiet);
}  // namespace faceswap
