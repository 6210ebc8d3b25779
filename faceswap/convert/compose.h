// Puts a decoded face back into its frame: colour match, mask and blend.
#pragma once
#include <string>

#include "faceswap/faces/view.h"

namespace faceswap {

enum class MaskKind : std::uint8_t { egg, skin, box };  // spelled so on the command line
// mean: shift; lab: Reinhard transfer in LAB.
enum class ColorKind : std::uint8_t { none, mean, lab };
MaskKind mask_kind(const std::string&);  // Error(usage)
ColorKind color_kind(const std::string&);

struct ComposeOptions {
  MaskKind mask = MaskKind::egg;
  ColorKind color = ColorKind::lab;
  double erode = 0.0;     // share of the crop's side; negative grows
  double feather = 0.06;  // deviation-like width of the edge, share of the crop's side
};

// `decoded` [size,size,3] is the model's picture of the view; `original` is the model's
// input, the same view of the frame. Every pixel with a mask above zero lies in the
// returned box, and no pixel outside it changes. Empty box: nothing changed. to_canonical
// holds between square pixels; pixels: those of the frame, if they are not square.
Box compose(Image& frame, const Similarity& to_canonical, const View& view,
            const FloatImage& decoded, const FloatImage& original, const ComposeOptions&,
            const PixelScale& pixels = {});

// The blending mask over the view, [size,size] in [0,1], eroded and feathered. Only the
// skin mask reads `original`.
FloatImage blend_mask(int size, const View& view, const FloatImage& original,
                      const ComposeOptions&);
}  // namespace faceswap
