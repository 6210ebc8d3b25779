// The second half of an extraction: cuts the faces that the tracker found, examines and
// writes them, and keeps the folder's journal. Runs beside the tracking.
#pragma once
#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <vector>

#include "faceswap/faces/extract.h"
#include "faceswap/faces/extract_journal.h"
#include "faceswap/faces/face_examiner.h"
#include "faceswap/faces/selection.h"
#include "faceswap/media/media.h"
#include "faceswap/task_threads.h"

namespace faceswap {

// A video, a folder of frames, or photos: all that one tracker sees.
struct ExtractClip {
  std::vector<ExtractSource> sources;  // one; of photos, frame i is source i
  std::vector<std::size_t> records;    // of the sources, in the journal
  bool photos = false;
  int every = 1;     // frames that are kept
  int interval = 1;  // frames that the tracker sees

  std::size_t source_of(std::int64_t frame) const {
    return photos ? static_cast<std::size_t>(frame) : 0;
  }
  std::unique_ptr<FrameSource> open() const;  // Error(input)
};

// The counts of a clip's tracking.
struct ExtractReading {
  struct Counts {
    std::int64_t read = 0, used = 0, damaged = 0;
  };
  std::vector<Counts> frames;  // by source
  int tracks = 0;              // numbers that the tracker gave
  bool whole = false;          // not stopped, so later runs need not read the clip again
};

using FacesByFrame = std::map<std::int64_t, std::vector<Face>>;

class ExtractWriter {
 public:
  // Both outlive the writer; the journal is the writer's until wait() has returned.
  ExtractWriter(const ExtractOptions&, std::string settings, ExtractJournal&);

  // Calls of one clip: begin, any number of the two writes, end. They return before the
  // work is done, and wait while two shots are ahead. Each throws what went wrong so far.
  void begin(std::shared_ptr<const ExtractClip>);
  void write(std::shared_ptr<const ExtractClip>, std::vector<std::shared_ptr<const Frame>>,
             FacesByFrame);
  void write_decoded_again(std::shared_ptr<const ExtractClip>, FacesByFrame);
  void end(std::shared_ptr<const ExtractClip>, ExtractReading);

  void wait();               // until all is written
  StageTimes times() const;  // decode and convert: of second decodings
  // Of the good faces written, by file name; after wait().
  std::map<std::string, FaceLook> take_looks() { return std::move(looks_); }

 private:
  struct Written {
    std::int64_t frames_with_face = 0;
    std::map<int, std::int64_t> faces_per_track;
    std::map<std::string, std::int64_t> refused;
  };

  void write_frame(const ExtractClip&, const Frame&, std::vector<Face>);
  void write_picture(const std::filesystem::path&, Image crop, Face, Image mask);
  void end_clip(const ExtractClip&, const ExtractReading&);

  const ExtractOptions& options_;
  const std::string settings_;
  ExtractJournal& journal_;
  FaceExaminer examine_;
  std::map<std::string, FaceLook> looks_;
  // Of the clip that is being written:
  std::vector<Written> now_;  // by source
  int first_track_ = 0;
  bool cut_short_ = false;
  std::atomic<std::int64_t> faces_{0};  // of all clips
  mutable std::mutex mutex_;            // of the times
  StageTimes times_;
  TaskThreads pictures_, in_order_;  // the latter gives the former work, so it ends first
};
}  // namespace faceswap
