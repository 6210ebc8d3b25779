// The shapes that blend_mask starts from, before erosion and feathering. All are [size,size,1], 1 inside and 0 outside.
#pragma once
#include "faceswap/faces/view.h"

namespace faceswap {

// The egg of faces/face.h, grown by `growth`, as far as the view shows it.
FloatImage egg_in_view(int size, const kernels::Region& view, double growth);

// What has the colour of this face's own cheeks and nose, inside a wide egg; always the middle of the face. It follows the hair and leaves out hands
// and collars where their colour differs. `picture` [size,size,3] is the face in the view.
FloatImage skin_in_view(const FloatImage& picture, const kernels::Region& view);

// A rounded rectangle `inset` shares of the side away from the border.
FloatImage rounded_box(int size, double inset);

}  // namespace faceswap
