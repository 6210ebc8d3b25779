// What can be said of one extracted face: how it looks, and why it may be bad to train on.
#pragma once
#include "faceswap/faces/face_mask.h"

namespace faceswap {

// Fills `measures` but for pose and presence, which the tracker knows, and `marks`. crop:
// of this face, square RGB. Without landmarks only brightness, contrast and the marks tiny,
// blurred and dark are judged, inside an egg. Eyes are open or shut by landmarks that
// EyeFinder refined; by the mesh alone none is shut.
void measure_face(Face&, const Image& crop, const FaceMask&);

// Height of the face in the frame, pixels, from above the brows to the chin.
double face_side(const Face&);

// The finest detail of a face, over the detail half as fine: the 98th percentile of the
// second differences at a scale of 64 pixels for the canonical square, over the one at 32
// pixels, in the direction where this is least (an object moved is blurred in one
// direction). 0.7 to 0.9 in focus, 0.35 without detail. Contrast and skin tone cancel out.
// A small face is judged at its own size in the frame, as it cannot have more detail.
// region: [128,128,1], over 127 where the face is.
double focus(const Image& crop, const Similarity& to_canonical, const Image& region);
}  // namespace faceswap
