// A folder of extracted faces, and what its owner decided about them. No decision touches
// a picture: each is one more line of FOLDER/decisions.jsonl, and so is its undoing.
#pragma once
#include <filesystem>
#include <string>
#include <vector>

#include "faceswap/faces/face.h"

namespace faceswap {

struct FolderFace {
  std::filesystem::path path;
  std::string name;  // of the file within the folder: "clip_000012_0.png", "refused/..."
  Face face;         // person and alignment as decided
  bool dropped = false;
  std::string reason;  // of dropped: the extraction's, or the decision's
};

struct FolderPerson {
  int number = -1;   // Face::person; -1: faces that were not told apart
  std::string name;  // given by the user, or empty
  int kept = 0, dropped = 0;
};

struct Decision {
  enum Kind : std::uint8_t {
    drop,    // faces: not to train on, because of `text`
    keep,    // faces: to train on, also refused ones
    move,    // faces: are of `person`; a number not in use makes a new one
    rename,  // `person` is called `text`
    align,   // the one face's eyes lie at `eyes`, in its frame
  };
  Kind kind = drop;
  std::vector<std::string> faces;  // names
  int person = -1;
  std::string text;
  Point eyes[2];
};

class FaceFolder {
 public:
  // Reads every picture's metadata and the decisions. Error(input), Error(damaged).
  explicit FaceFolder(const std::filesystem::path& folder);

  const std::filesystem::path& path() const { return path_; }
  const std::vector<FolderFace>& faces() const { return faces_; }  // by name
  std::vector<FolderPerson> people() const;                        // by number
  int unused_person() const;                                       // a number for a new one

  // Written to the disk before it returns. Error(usage): a face or person that is not
  // there; Error(disk).
  void decide(const Decision&);
  bool undo();  // the last decision that still holds; false: there is none
  bool redo();  // the last undo, unless a decision came after it

 private:
  std::filesystem::path path_;
  std::vector<FolderFace> faces_;
};
}  // namespace faceswap
