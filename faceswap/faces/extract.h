// The extract command: aligned face crops from clips, folders and images.
#pragma once
#include <cstdint>
#include <filesystem>
#include <utility>
#include <vector>

#include "faceswap/faces/detector.h"

namespace faceswap {

struct ExtractOptions {
  std::vector<std::filesystem::path> inputs;
  std::filesystem::path out;
  int every = 6;   // every Nth frame of videos and folders is kept
  int size = 256;  // crop side, pixels
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

// Writes OUT/<clip>_<frame>_<face>.png. Every video is read twice: first to track the
// faces, then to cut the crops. A stop signal ends the tracking; the faces found by
// then are still written. Of a truncated clip the readable frames are used.
// Throws Error(usage) if OUT holds faces already (without force) or is an input,
// Error(input), Error(disk), and Error(nothing_found) without a face in any input.
ExtractReport extract(const ExtractOptions&);
}  // namespace faceswap
