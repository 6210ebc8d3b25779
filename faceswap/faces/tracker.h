// Tracks of faces through a clip: detections in single frames, joined and smoothed.
#pragma once
#include <memory>
#include <vector>

#include "faceswap/faces/detector.h"
#include "faceswap/faces/face.h"
#include "faceswap/media/media.h"

namespace faceswap {

// Push frames in order; gaps are allowed. A track is smoothed when its shot ends, so
// results come at the end of each shot. Where a face is lost for a moment, the frames
// between its detections are filled in with confidence 0.
class FaceTracker {
 public:
  virtual ~FaceTracker() = default;
  virtual void push(const Frame& frame) = 0;
  // All faces of the shots ended by a cut or by finish(), in frame order, with track
  // numbers from 0. Within a frame the largest comes first. Face::refused says why a
  // track is no face's; its number is -1.
  virtual std::vector<Face> take_finished() = 0;
  virtual void finish() = 0;
  virtual double good_confidence() const = 0;  // least confidence of a face to train on
};

// Error(input) for a bad model file, Error(usage) for bad options.
std::unique_ptr<FaceTracker> make_tracker(const DetectorOptions&, const SourceInfo& source);

// For the user: that "auto" means the cascades, as networks are not installed; or nothing.
std::string missing_networks(const DetectorOptions&);
// For the user: the faces that these options can find, and what finds more.
std::string detection_limits(const DetectorOptions&);
}  // namespace faceswap
