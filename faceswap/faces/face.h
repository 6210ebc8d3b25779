// A face: its place in the frame, and the similarity from the frame to the canonical
// crop (256 x 256) with the eyes at (88,100) and (168,100).
#pragma once
#include <cstdint>
#include <string>

#include "faceswap/faces/similarity.h"
#include "faceswap/image.h"

namespace faceswap {

inline constexpr double kCanonicalSize = 256;
inline constexpr Point kCanonicalEyes[2] = {{88, 100}, {168, 100}};  // image-left, image-right

Similarity similarity_from_eyes(Point left, Point right);  // frame -> canonical
Similarity canonical_to_crop(int size);                    // canonical (256) -> size x size

struct Face {
  std::string source;      // file name of the clip or image
  std::int64_t frame = 0;  // index in the source
  std::int64_t pts = 0;
  double seconds = 0;
  int track = 0;                              // shared by the faces of one person in one shot
  Similarity to_canonical;                    // frame -> canonical 256
  Point eyes[2];                              // in the frame: image-left, image-right
  double box_x = 0, box_y = 0, box_side = 0;  // the detector's square, top-left and side, upright
  // Cascades: windows + 2 x eye votes (sure from 80). YuNet: its score (sure from 0.7).
  // 0: filled in by the tracker.
  double confidence = 0;
  double sharpness = 0;  // variance of the Laplacian of the crop's grey values
  int crop_size = 256;   // of the picture with this metadata
};

// The aligned crop of a frame, supersampled where it shrinks.
Image crop_face(const Image& frame, const Similarity& to_canonical, int size);

// The egg-shaped face region in canonical coordinates: radius 74 sideways, 62 up, 92
// down round (128,128), narrowing to the chin, grown by `growth`. 1 inside, 0 outside,
// one pixel of smooth edge.
FloatImage egg_mask(int size, double growth);
}  // namespace faceswap
