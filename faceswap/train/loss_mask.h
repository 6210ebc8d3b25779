// The part of a face that training must draw well, by the masks in the faces' files.
#pragma once
#include <vector>

#include "faceswap/faces/face_file.h"

namespace faceswap {

// One face of a set: [128,128,1] each, over the canonical square.
struct MaskedFace {
  Image mask;    // of the file; empty: it has none
  Image region;  // of face_region()
};
MaskedFace masked_face(const FaceFile&);

// [128,128,1]: 255 where the masks of more than half of the faces cut something out of
// their region. A full beard is cut away in every picture of a man, a hand or a microphone
// in some: only the former belongs to the face. Empty where no face has a mask.
Image always_cut(const std::vector<MaskedFace>&);

// Weight 1 on the face and a margin round it, falling softly to 0: [size,size,1] over the
// canonical square. The face is its mask, and what is always cut of its region.
FloatImage loss_mask(const MaskedFace&, const Image& always_cut, int size);
}  // namespace faceswap
