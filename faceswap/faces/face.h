// A face: its place in the frame, and the similarity from the frame to the canonical
// crop (256 x 256) with the eyes at (88,100) and (168,100).
#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "faceswap/faces/similarity.h"
#include "faceswap/image.h"

namespace faceswap {

inline constexpr double kCanonicalSize = 256;
inline constexpr Point kCanonicalEyes[2] = {{88, 100}, {168, 100}};  // image-left, image-right

Similarity similarity_from_eyes(Point left, Point right);  // frame -> canonical
Similarity canonical_to_crop(int size);                    // canonical (256) -> size x size

// Limits on what a face's file and a decision may say: they come from outside.
inline constexpr double kMaxCoordinate = 1e7;  // pixels
inline constexpr int kMaxPerson = 1 << 30;

// Reasons why a face may be bad to train on.
enum class FaceMark : std::uint8_t {
  tiny,       // fewer pixels than the crop is worth
  blurred,    // out of focus, or moved
  dark,       // or without contrast
  cut_off,    // by the frame's edge
  covered,    // by a hand, a microphone, hair
  eyes_shut,  // also in a blink
  profile,    // one eye is hidden
};
inline constexpr int kFaceMarks = 7;
const char* name(FaceMark);  // as written in files: "tiny", "cut-off", ...

// Measured on one face; all 0 without a mesh, but for brightness and contrast.
struct FaceMeasures {
  double presence = 0;    // is this a face? 0 to 1, by the mesh
  double yaw = 0;         // degrees; positive: towards the picture's right
  double pitch = 0;       // degrees; positive: up
  double roll = 0;        // degrees; positive: clockwise
  double eye_open[2]{};   // height over width of the image-left and -right eye
  double mouth_open = 0;  // gap between the lips over the mouth's width
  double brightness = 0;  // mean luma of the face, 0 to 1
  double contrast = 0;    // standard deviation of its luma
  double visible = 0;     // share of the face's region inside the frame, 0 to 1
  double covered = 0;     // share of it with something in front, 0 to 1
};

struct Face {
  std::string source;      // file name of the clip or image
  std::int64_t frame = 0;  // index in the source
  std::int64_t pts = 0;
  double seconds = 0;
  int track = 0;            // shared by the faces of one person in one shot
  int person = -1;          // shared by the tracks of one person in the folder; -1: not known
  Similarity to_canonical;  // frame -> canonical 256
  Point eyes[2];            // in the frame: image-left, image-right
  double box_x = 0, box_y = 0, box_side = 0;  // the detector's square, top-left and side, upright
  // Cascades: windows + 2 x eye votes (sure from 80). YuNet: its score (sure from 0.7).
  // 0: filled in by the tracker.
  double confidence = 0;
  double sharpness = 0;  // variance of the Laplacian of the crop's grey values
  int crop_size = 256;   // of the picture with this metadata
  // In the frame, numbered as in faces/mesh.h: 468, or none where the eyes came from the
  // detector. Eyes of the two kinds lie up to 5 % of their distance apart.
  std::vector<Point> landmarks;
  FaceMeasures measures;
  std::vector<FaceMark> marks;  // ascending
  // Why extraction did not take it, in a few words for the user; empty: it did. Such
  // pictures lie in the folder's `refused`.
  std::string refused;
  std::vector<float> identity;  // 128 numbers, or none; the same person lies within 0.6
};

// The aligned crop of a frame, supersampled where it shrinks.
Image crop_face(const Image& frame, const Similarity& to_canonical, int size);

// The egg-shaped face region in canonical coordinates: radius 74 sideways, 62 up, 92
// down round (128,128), narrowing to the chin, grown by `growth`. 1 inside, 0 outside,
// one pixel of smooth edge.
FloatImage egg_mask(int size, double growth);
}  // namespace faceswap
