// Finding faces in one frame, and following them through a clip.
#pragma once
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "faceswap/faces/face.h"
#include "faceswap/media/media.h"

namespace faceswap {

struct DetectorOptions {
  std::string detector = "cascade";  // or "yunet=FILE"
  double min_face = 0.12;            // smallest face side, share of the frame's short side
  int threads = 0;                   // 0: all cores
};

// Detects and tracks. Feed frames in order (gaps are fine: gap = frames skipped since the last one). Tracks are smoothed
// over time when finish() is called, so results come at the end of each shot. Frames in which a face is lost for a moment
// are filled in between its detections; such a face has confidence 0.
class FaceTracker {
 public:
  virtual ~FaceTracker() = default;
  virtual void push(const Frame& frame) = 0;
  // All faces of the shots that have ended (a cut, or finish() was called), in frame order, with track numbers from 0.
  // Within a frame the largest comes first.
  virtual std::vector<Face> take_finished() = 0;
  virtual void finish() = 0;
  virtual double good_confidence() const = 0;  // from here a face is clear enough to learn from
};
std::unique_ptr<FaceTracker> make_tracker(
    const DetectorOptions&,
    const SourceInfo& source);  // Error(input) for a bad model file, Error(usage)

}  // namespace faceswap
