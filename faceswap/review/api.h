// A folder of faces as the review page sees it: questions and changes as JSON. Faces are
// named by their index, so no text of a request becomes part of a path.
#pragma once
#include <cstddef>
#include <filesystem>
#include <mutex>
#include <string>
#include <vector>

#include "faceswap/faces/face_folder.h"

namespace faceswap {

// Every function may be called from several threads.
class ReviewSet {
 public:
  explicit ReviewSet(const std::filesystem::path& folder);  // Error as FaceFolder's

  const std::filesystem::path& path() const { return folder_.path(); }
  int count() const { return static_cast<int>(folder_.faces().size()); }
  const std::filesystem::path& face_path(int index) const;  // Error(usage): no such face

  // That which no decision changes, for all faces:
  // [{name, source, frame, seconds, track, pixels, sharpness, refused, marks:[], <measure>}]
  // `pixels` are those of the frame along a side of the crop. Without a mesh the measures
  // are absent.
  std::string faces() const;

  // {"people": [{number, name, kept, dropped, near, distance}],
  //  "faces": [[person, dropped, realigned, doubt, distance, reason]],
  //  "kept", "undoable", "redoable"}
  // `near` is the person whose mean identity lies nearest, at `distance`; a face's
  // distance is the one to its own person's. -1 without identities. What other processes
  // decided is read first.
  std::string state();

  // One face in full: {"crop": [a,b,tx,ty] frame -> picture, "aligned": the same by the
  // decisions, "size": side of the picture, "eyes": [x,y,x,y], "landmarks": [x,y,...]}
  std::string face(int index) const;

  // {"do": "drop" | "keep" | "move" | "rename" | "align" | "undo" | "redo",
  //  "faces": [index], "person": number or "new", "text", "eyes": [x,y,x,y]}
  // Returns state(). Error(usage) names what is wrong; then nothing is written.
  std::string change(const std::string& request);

 private:
  FaceFolder folder_;
  mutable std::mutex mutex_;
};

// How much a face deserves a look, 0 (sure) and up: no mesh in it, marks, far from the
// mean identity of its person (-1: not known).
double face_doubt(const Face&, double distance);
}  // namespace faceswap
