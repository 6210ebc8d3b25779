// The extract command: clips, folders or images in, aligned face crops out.
#pragma once
#include <filesystem>
#include <vector>

#include "faceswap/faces/detector.h"

namespace faceswap {

struct ExtractOptions {
  std::vector<std::filesystem::path> inputs;
  std::filesystem::path out;
  int every = 6;   // keep every Nth frame (videos and folders)
  int size = 256;  // crop side in pixels
  DetectorOptions detection;
  int max_faces = 0;   // per frame, largest first; 0: all
  bool force = false;  // write into a folder that already holds faces
  bool quiet = false;
  bool sheet = true;  // writes sheet.png, a contact sheet by track
};
struct ExtractReport {
  std::int64_t frames_read = 0, frames_used = 0, frames_without_face = 0, faces = 0,
               damaged_frames = 0;
  int tracks = 0;
  std::vector<std::pair<int, std::int64_t>> faces_per_track;
};
// Writes OUT/<clip>_<frame>_<face>.png. Every video is read twice: first the faces are followed through it (in every frame,
// or every second or third where `every` allows), which smooths their paths; then the crops are cut. A stop signal ends the
// search; what was found by then is still written. A clip that breaks off is used as far as it goes.
// Throws Error(usage): OUT holds faces already (without force) or is one of the inputs; Error(input), Error(disk);
// Error(nothing_found) where no face was found in any input.
ExtractReport extract(const ExtractOptions&);

}  // namespace faceswap
