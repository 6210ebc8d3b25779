// The interface between the tracker and its detectors: networks (opencv/centerface.h,
// opencv/yunet.h), cascades (opencv/cascade.h), and the mesh that follows what one of them
// found (mesh_detector.h).
#pragma once
#include <cmath>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "faceswap/faces/similarity.h"
#include "faceswap/image.h"

namespace faceswap {

struct Mesh;

inline constexpr double kLeastFace = 24;  // pixels of the working picture

struct DetectorOptions {
  // "centerface", "cascade", "yunet=FILE", or "auto": centerface where its network is
  // installed, else the cascades.
  std::string detector = "auto";
  // Eyes by the detector ("eyes"), by the face mesh ("mesh"), or by the mesh where its
  // network is installed ("auto"). They lie up to 5 % of the eye distance apart, so
  // extract both people and convert with the same.
  std::string landmarks = "auto";
  // Smallest face side, share of the frame's short side. 0: networks find faces from 24
  // pixels, cascades from 12 % of the short side.
  double min_face = 0;
  int threads = 0;  // 0: all cores
};

// One face in one frame, in pixels of the tracker's working picture.
struct Detection {
  Point center;               // of the detector's square
  double side = 0, roll = 0;  // of the square: pixels, radians
  double confidence = 0;
  double eye_votes = 0;          // of the last eye search, included in the confidence
  std::optional<Point> eyes[2];  // image-left, image-right
  double eye_sigma[2]{};         // of these eyes, share of their distance; 0: as in DetectorTraits
  std::shared_ptr<const Mesh> mesh;  // in the working picture; null where none was found
};

// A place in the square: shares of its side from the upper left corner before rotation.
inline Point point_in_square(const Detection& d, Point share) {
  const double c = std::cos(d.roll), s = std::sin(d.roll), x = (share.x - 0.5) * d.side,
               y = (share.y - 0.5) * d.side;
  return {d.center.x + c * x - s * y, d.center.y + s * x + c * y};
}

// From the picture to a size x size patch of the square, grown by `zoom` and upright.
inline Similarity square_to_patch(const Detection& d, double zoom, int size) {
  const double scale = size / (zoom * d.side), a = scale * std::cos(d.roll),
               b = -scale * std::sin(d.roll), middle = 0.5 * (size - 1);
  return {a, b, middle - (a * d.center.x - b * d.center.y),
          middle - (b * d.center.x + a * d.center.y)};
}

struct DetectorTraits {
  double start_confidence = 0;   // least confidence of a detection that starts a track
  double accept_confidence = 0;  // least median confidence of a track that is a face
  double eyes_per_side = 0.4;    // eye distance, share of the square's side
  double eye_sigma = 0;          // of a measured eye, share of the eye distance
  double box_sigma = 0;          // of an eye guessed from the square; 0: no guess from it
  Point eye_in_box[2];           // places of the guessed eyes in the square
  int scan_interval = 1;         // frames between two scans for new faces
  int rescan_interval = 3;       // the same while a face is missing
  int quick_interval = 0;        // between two quick scans; 0: there are none
  int least_length = 12;         // frames of a track, unless its shot is shorter
};

enum class Scan : std::uint8_t {
  quick,   // large faces only; of detectors with a DetectorTraits::quick_interval
  whole,   // upright heads of all sizes
  tilted,  // other ones
};

class FaceDetector {
 public:
  virtual ~FaceDetector() = default;
  virtual const DetectorTraits& traits() const = 0;
  // gray: [h,w,1]; rgb: the same size or larger by a whole factor. Both must outlive
  // the calls of scan() and follow() for this frame.
  virtual void next_frame(const Image& gray, const Image& rgb) = 0;
  // Candidates in the whole picture, best first. Confirm each with follow().
  virtual std::vector<Detection> scan(Scan) = 0;
  // The face near its expected place; none: lost. with_eyes: search for the eyes too,
  // the cascades' most expensive step.
  virtual std::optional<Detection> follow(const Detection& expected, bool with_eyes) = 0;
};
}  // namespace faceswap
