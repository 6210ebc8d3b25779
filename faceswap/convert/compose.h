// Putting a decoded face back into its frame: colour match, mask, blend, only inside the face's box.
#pragma once
#include <string>

#include "faceswap/faces/face.h"
#include "kernels/image/augment.h"

namespace faceswap {

enum class MaskKind : std::uint8_t { egg, skin, box };  // spelled so on the command line
enum class ColorKind : std::uint8_t {
  none,
  mean,
  lab
};                                       // mean: shift; lab: Reinhard transfer in LAB
MaskKind mask_kind(const std::string&);  // Error(usage)
ColorKind color_kind(const std::string&);

struct ComposeOptions {
  MaskKind mask = MaskKind::egg;
  ColorKind color = ColorKind::lab;
  double erode = 0.0;     // share of the crop's side; negative grows
  double feather = 0.06;  // deviation-like width of the edge, share of the crop's side
};

// `decoded` [size,size,3] is the model's picture of the part of the canonical crop given by `view`; `original` is the same part of
// the frame as the model saw it. Changes frame inside the returned box only; pixels outside it are untouched, and the box
// covers every pixel where the mask is above zero. Empty box: nothing changed.
Box compose(Image& frame, const Similarity& to_canonical, const kernels::Region& view,
            const FloatImage& decoded, const FloatImage& original, const ComposeOptions&);

// The blending mask over the view, [size,size] in [0,1], already eroded and feathered. `original` is needed for skin.
FloatImage blend_mask(int size, const kernels::Region& view, const FloatImage& original,
                      const ComposeOptions&);

}  // namespace faceswap
