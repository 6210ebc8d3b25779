// FOLDER/decisions.jsonl: what a user decided about the faces of a folder. Its first line
// is {"schema":"doppel-decisions/1"}; each further one is a step, {"step":[DECISION, ...]},
// or {"step":"undo"} or {"step":"redo"}. Lines are only ever added, so a crash costs at
// most the last one.
#pragma once
#include <cstdint>
#include <filesystem>
#include <functional>
#include <set>
#include <string>
#include <vector>

#include "faceswap/image.h"

namespace faceswap {

inline constexpr const char* kDecisionsFile = "decisions.jsonl";

struct Decision {
  enum Kind : std::uint8_t {
    drop,    // faces: not to train on, because of `text`
    keep,    // faces: to train on, also refused ones
    move,    // faces: are of `person`; a number not in use makes a new one
    rename,  // `person` is called `text`
    align,   // the one face's eyes lie at `eyes`, in its frame: image-left, image-right
  };
  Kind kind = drop;
  std::vector<std::string> faces;  // names
  int person = -1;
  std::string text;
  Point eyes[2];
};
using DecisionStep = std::vector<Decision>;  // what one undo takes back

// Several processes may hold the same file: each writes under a lock, after it has read
// what the others wrote. A last line cut by a power loss is ignored, and removed by the
// next write.
class DecisionFile {
 public:
  // A folder without the file has no decisions. Error(damaged) names the line.
  explicit DecisionFile(const std::filesystem::path& folder);

  const std::vector<DecisionStep>& steps() const { return done_; }     // that hold, oldest first
  const std::vector<DecisionStep>& undone() const { return undone_; }  // the next redo last

  std::set<std::string> names() const;  // of all faces in steps()

  bool refresh();  // reads what was added since; true: something was
  // On the disk before it returns. `check` runs under the lock, on the newest state, and
  // throws where the step does not fit. Error(disk).
  void add(const DecisionStep&, const std::function<void()>& check);
  bool undo();  // false: no step holds
  bool redo();  // false: none was undone since the last step

 private:
  bool forget();           // true: there was something to forget
  bool read_from(int fd);  // true: there was something new
  void take_line(const std::string& line);
  // Adds the line that `next_line` returns under the lock; none where that is empty.
  bool write_line(const std::function<std::string()>& next_line);

  std::filesystem::path path_;
  std::uint64_t inode_ = 0, read_ = 0;  // read_: bytes, up to the end of the last whole line
  int lines_ = 0;
  std::vector<DecisionStep> done_, undone_;
};
}  // namespace faceswap
