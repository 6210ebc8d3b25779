// The shapes that blend_mask erodes and feathers: [size,size,1], 1 inside, 0 outside.
#pragma once
#include "faceswap/faces/skin.h"
#include "faceswap/faces/view.h"

namespace faceswap {

// The egg of faces/face.h, grown by `growth`, as far as the view shows it.
FloatImage egg_in_view(int size, const View& view, double growth);

// All that has the colour of this face's cheeks and nose, inside a wide egg, and always
// the middle of the face. It follows the hair, and leaves out hands and collars of
// another colour. picture: the face in the view, [size,size,3].
FloatImage skin_in_view(const FloatImage& picture, const View& view);

// A rounded rectangle `inset` shares of the side away from the border.
FloatImage rounded_box(int size, double inset);

// The picture resampled; to_source: from its new coordinates to its old ones.
FloatImage warp(const FloatImage& picture, int width, int height, const Similarity& to_source,
                int supersample);
}  // namespace faceswap
