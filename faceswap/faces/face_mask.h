// The mask of one face: skin, eyes and mouth from jaw to forehead, without what is in
// front of them.
#pragma once
#include "faceswap/faces/face.h"

namespace faceswap {

inline constexpr int kMaskSize = 128;  // two canonical pixels each, finer than the soft edge

struct FaceMask {
  Image picture;       // [128,128,1] over the canonical square, 255 on the face; or empty
  double visible = 0;  // share of the face's region inside the frame
  double covered = 0;  // share of the visible region with something in front
};

// The region is the convex hull of the landmarks, raised over the brows by a quarter of
// the mesh's forehead. Something in front of it reaches in from outside and has not the
// colour of this face's cheeks and nose: hair, a microphone, a glove, the background
// beside a turned head. A bare hand has that colour and is not noticed; a full beard is
// cut away. crop: of this face, square RGB. All empty without landmarks.
FaceMask face_mask(const Face&, const Image& crop, int frame_width, int frame_height);

// The region alone, with all that is in front of it: [128,128,1], 255 inside. Empty without
// landmarks.
Image face_region(const Face&);
}  // namespace faceswap
