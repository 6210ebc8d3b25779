// The contact sheet: a thumbnail of every face in pages, sheet.png, sheet-2.png, ...
#pragma once
#include <filesystem>
#include <string>
#include <vector>

#include "faceswap/faces/face_folder.h"

namespace faceswap {

// Faces behind one label.
struct SheetGroup {
  std::vector<std::string> label;        // lines of at most 11 letters, digits and -.#%:
  std::vector<const FolderFace*> faces;  // borrowed
  bool new_row = false;                  // begins one; else it follows the group before
};

// Per person, the kept faces by track: "PERSON 0", "TRACK 3", "X168". Then the dropped
// and refused ones, by the short form of their reason.
std::vector<SheetGroup> sheet_groups(const FaceFolder&);

// Writes pages named as `first`, which ends in .png: sorted.png, sorted-2.png, ... A face
// that cannot be read is left grey. Returns the pages. Error(usage): one exists and not
// `force`; Error(disk).
std::vector<std::filesystem::path> write_pages(const std::vector<SheetGroup>&,
                                               const std::filesystem::path& first, bool force);

// The folder's own sheet, over an earlier one. Error(disk).
std::vector<std::filesystem::path> write_sheet(const FaceFolder&);
}  // namespace faceswap
