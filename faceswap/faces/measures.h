// Measures of one extracted face, and the marks that say why it may be bad to train on.
#pragma once
#include "faceswap/faces/face_mask.h"

namespace faceswap {

// Fills `measures` but for pose and presence, which the tracker knows, and `marks`.
// crop: of this face, square RGB. Without landmarks only brightness, contrast and the
// marks tiny, blurred and dark are judged, inside an egg. Eyes are open or shut by
// landmarks that EyeFinder refined; by the mesh alone none is shut.
void measure_face(Face&, const Image& crop, const FaceMask&);

// Height of the face in the frame, pixels, from above the brows to the chin.
double face_side(const Face&);

// The finest detail of a face over the detail half as fine: the 98th percentile of
// second differences at 64 pixels for the canonical square over the one at 32 pixels,
// in the direction where this is least. 0.5 to 0.9 in focus, 0.35 out of it; contrast
// and skin tone cancel out. A small face is judged at its own size in the frame, as it
// cannot have more detail. A face that moved has 0.4 to 0.5, so that only some of these
// are noticed.
double focus(const Image& crop, const Similarity& to_canonical);
}  // namespace faceswap
