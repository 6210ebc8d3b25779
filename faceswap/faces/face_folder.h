// A folder of extracted faces, and what its owner decided about them. No decision touches
// a picture: each is one more line of FOLDER/decisions.jsonl, and so is its undoing.
#pragma once
#include <filesystem>
#include <map>
#include <string>
#include <unordered_map>
#include <vector>

#include "faceswap/faces/decisions.h"
#include "faceswap/faces/face_file.h"

namespace faceswap {

struct FolderFace {
  std::filesystem::path path;
  std::string name;        // of the file within the folder: "clip_000012_0.png", "refused/..."
  Face face;               // person, eyes and to_canonical as decided
  Similarity stored;       // frame -> canonical of the picture on the disk, whatever was decided
  bool realigned = false;  // face.to_canonical is not `stored`
  bool changed = false;    // some decision that holds names it
  bool dropped = false;
  std::string reason;  // of dropped: the extraction's, or the decision's
};

struct FolderPerson {
  int number = -1;   // Face::person; -1: faces that were not told apart
  std::string name;  // given by the user, or empty
  int kept = 0, dropped = 0;
};

std::string describe(const FolderPerson&);  // "Anna", "person 2", "faces of no person"

class FaceFolder {
 public:
  // Reads every picture's metadata, not its pixels, and the decisions. Faces of
  // FOLDER/refused are dropped until a decision keeps them. Error(input), Error(damaged),
  // Error(nothing_found): no face in the folder.
  explicit FaceFolder(const std::filesystem::path& folder);

  const std::filesystem::path& path() const { return path_; }
  const std::vector<FolderFace>& faces() const { return faces_; }  // by name, refused last
  const FolderFace* find(const std::string& name) const;           // null: no such face
  int kept() const;                                                // faces to train on
  std::vector<FolderPerson> people() const;                        // by number
  int unused_person() const;                                       // a number for a new one

  // One step, which one undo takes back. Written to the disk before it returns. What
  // other processes decided meanwhile is read first. Error(usage): a face or person that
  // is not there; Error(disk).
  void decide(const DecisionStep&);
  void decide(const Decision& decision) { decide(DecisionStep{decision}); }
  bool undo();  // the last step that still holds; false: there is none
  bool redo();  // the last undo, unless a step came after it
  int undoable() const { return static_cast<int>(decisions_.steps().size()); }
  int redoable() const { return static_cast<int>(decisions_.undone().size()); }

  bool refresh();  // takes over what other processes decided; true: something changed
  // Names in decisions that are no faces of the folder: files deleted since, sorted.
  std::vector<std::string> missing() const;

 private:
  void check(const DecisionStep&) const;
  static void check_eyes(const Decision&);
  void apply();  // all steps, to faces_ and people_names_
  static void apply(const Decision&, FolderFace&);
  static void move_eyes(FolderFace&, const Similarity& to_canonical, const Point* eyes);

  std::filesystem::path path_;
  std::vector<FolderFace> faces_;
  DecisionFile decisions_;
  struct Original {  // of the face with the same index, before any decision
    int person;
    Point eyes[2];
  };
  std::vector<Original> originals_;
  std::unordered_map<std::string, std::size_t> index_;  // of a name in faces_
  std::map<int, std::string> people_names_;
};

// A face as decided, with its picture and mask: as they are on the disk, or warped to a
// corrected alignment. Parts beyond the picture on the disk then repeat its edge. size:
// side in pixels; 0: as stored. Error(input), Error(damaged).
FaceFile read_decided(const FolderFace&, int size = 0);
inline Image read_crop(const FolderFace& face, int size = 0) {
  return read_decided(face, size).crop;
}
}  // namespace faceswap
