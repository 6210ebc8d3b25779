// A choice of a folder's faces by what the command line names.
#pragma once
#include <string>
#include <vector>

#include "faceswap/faces/face_order.h"

namespace faceswap {

// A face is chosen that fits one entry of every list that is not empty.
struct FaceSelection {
  std::vector<std::string> files;   // names in the folder, or paths that lead there
  std::vector<std::string> people;  // numbers or names
  std::vector<int> tracks;
  std::vector<std::string> marks;    // see name(FaceMark)
  std::vector<std::string> sources;  // file names of clips or pictures
  bool empty() const;
};

// Error(usage): an entry that no face of the folder fits, with those that there are.
// Files are looked up among the folder's faces, never opened.
FaceList select_faces(const FaceFolder&, const FaceSelection&);
int find_person(const FaceFolder&, const std::string& number_or_name);  // Error(usage)
}  // namespace faceswap
