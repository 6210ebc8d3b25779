// What the tracker asks of a detector. Two exist: cascades (opencv_cascade.cpp) and YuNet (opencv_yunet.cpp).
#pragma once
#include <cmath>
#include <memory>
#include <optional>
#include <vector>

#include "faceswap/faces/face.h"

namespace faceswap {

// One face seen in one frame, in pixels of the tracker's working picture.
struct Detection {
  Point center;               // of the detector's square, which is turned by roll
  double side = 0, roll = 0;  // pixels, radians
  double confidence = 0;
  double eye_votes = 0;          // of the last search for the eyes, part of the confidence
  std::optional<Point> eyes[2];  // image-left, image-right, where they were found
};

// A place of the square, in shares of its side from its upper left corner before it was turned.
inline Point place_in(const Detection& s, Point share) {
  const double c = std::cos(s.roll), sn = std::sin(s.roll), x = (share.x - 0.5) * s.side,
               y = (share.y - 0.5) * s.side;
  return {s.center.x + c * x - sn * y, s.center.y + sn * x + c * y};
}

// The map from the picture to a size x size patch that shows the square (grown by `zoom`) upright.
inline Similarity square_to_patch(const Detection& s, double zoom, int size) {
  const double scale = size / (zoom * s.side), a = scale * std::cos(s.roll),
               b = -scale * std::sin(s.roll), middle = 0.5 * (size - 1);
  return {a, b, middle - (a * s.center.x - b * s.center.y),
          middle - (b * s.center.x + a * s.center.y)};
}

struct FinderTraits {
  double start = 0;            // confidence from which a track starts
  double accept = 0;           // median confidence of a track that is a face
  double eyes_per_side = 0.4;  // eye distance, share of the square's side
  double eye_sigma = 0;        // of a measured eye, as a share of the eye distance
  double box_sigma = 0;        // of an eye guessed from the square; 0: the square says nothing
  Point eye_in_box[2];         // where that guess puts the eyes
  int scan_interval = 1;       // look for new faces every so many frames
};

class FaceFinder {
 public:
  virtual ~FaceFinder() = default;
  virtual const FinderTraits& traits() const = 0;
  // Shows the finder the next picture. gray: [h,w,1], rgb of the same size or larger (an even multiple).
  virtual void next_frame(const Image& gray, const Image& rgb) = 0;
  // Candidates in the whole picture, best first, not yet checked: follow() is the check. turned: heads that lie 25 degrees
  // to either side instead of upright ones.
  virtual std::vector<Detection> scan(bool turned) = 0;
  // The face close to where it is expected, with its confidence; none: lost. with_eyes: look for the eyes too (the cascades' dearest step).
  virtual std::optional<Detection> follow(const Detection& expected, bool with_eyes) = 0;
};

}  // namespace faceswap
