// Faces of a folder by person, track, mark, source or name, as the command line names them.
#pragma once
#include <string>
#include <vector>

#include "faceswap/faces/face_order.h"

namespace faceswap {

// A face is chosen that fits one entry of every list that is not empty.
struct FaceQuery {
  std::vector<std::string> files;   // names in the folder, or paths that lead there
  std::vector<std::string> people;  // numbers or names
  std::vector<int> tracks;
  std::vector<std::string> marks;    // see name(FaceMark)
  std::vector<std::string> sources;  // file names of clips or pictures
  bool empty() const;
};

// Error(usage): an entry that no face of the folder fits, with those that there are.
// Files are looked up among the folder's faces, never opened.
FaceList find_faces(const FaceFolder&, const FaceQuery&);
int find_person(const FaceFolder&, const std::string& number_or_name);  // Error(usage)
}  // namespace faceswap
