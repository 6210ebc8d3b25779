// The extract command: aligned face crops from clips, folders and images.
#pragma once
#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "faceswap/faces/detector.h"
#include "faceswap/faces/extract_inputs.h"
#include "faceswap/faces/face.h"

namespace faceswap {

struct ExtractOptions {
  std::vector<std::filesystem::path> inputs;
  std::filesystem::path out;
  int every = 6;   // every Nth frame of videos and of folders of frames is kept
  int size = 256;  // crop side, pixels
  DetectorOptions detection;
  PictureFolders pictures = PictureFolders::automatic;
  int max_faces = 0;   // per frame, largest first; 0: all
  bool force = false;  // write into a folder that already holds faces
  bool quiet = false;
  bool sheet = true;  // writes sheet.png, a contact sheet by track
  int threads = 0;    // that write pictures; 0: all cores
  // Frames are kept until their shot ends and its faces are known. A clip with a shot that
  // needs more is decoded a second time.
  std::size_t kept_bytes = std::size_t{512} << 20;
  // Called for each face before it is written, in the order of the frames, in one thread
  // beside the tracking. It may change the face and set `refused`. Not part of what
  // decides whether a clip is done again.
  std::function<void(const Image& frame, const Image& crop, Face&)> examine;
  // Of the whole folder, at the end: see CleaningOptions.
  std::vector<std::filesystem::path> people, not_people;  // pictures of them
  double least_difference = 0.25;
  int diverse = 0;
};

// Seconds of work, summed over the threads of each stage; they run side by side.
struct StageTimes {
  double decode = 0, convert = 0, detect = 0, align = 0, write = 0, wall = 0;
};

struct ExtractReport {
  // Of all inputs, also of those that an earlier run has done:
  std::int64_t frames_read = 0, frames_used = 0, frames_without_face = 0, faces = 0,
               damaged_frames = 0;
  int tracks = 0;  // with faces
  std::vector<std::pair<int, std::int64_t>> faces_per_track;
  std::vector<std::pair<int, std::int64_t>> faces_per_person;
  std::map<std::string, std::int64_t> refused;  // faces in OUT/refused, by reason
  int sources = 0, done_before = 0;             // clips and photos; done by an earlier run
  bool stopped = false;                         // by a signal: the same options go on
  std::vector<SkippedFile> skipped;             // files of folders, and photos that cannot be read
  std::vector<SkippedFile> failed;              // clips and folders of frames that cannot be read
  std::vector<std::string> notes;
  StageTimes times;             // of this run
  std::int64_t frames_now = 0;  // read in this run
};

// Writes OUT/<source>_<frame>_<face>.png, and faces that are not good to train on to
// OUT/refused. No file of another source is touched. A source that lies in OUT already
// with the same settings is left as it is, with others it is replaced. A run that was
// stopped or killed is continued by the same options; the result is that of one run.
// A stop signal ends the tracking; the faces found by then are still written.
// Throws Error(usage) if OUT holds faces already (without force) or is an input;
// Error(input) if an input is not there, or none can be read; Error(disk); and
// Error(nothing_found) without a face in any input.
ExtractReport extract(const ExtractOptions&);
}  // namespace faceswap
