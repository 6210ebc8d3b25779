// The faces of one person that are worth keeping: without near-duplicates, or the N
// that differ most.
#pragma once
#include <cstddef>
#include <vector>

#include "faceswap/faces/face.h"

namespace faceswap {

// How one face looks, as numbers whose Euclidean distance says how much two faces
// differ: 1 for 8 degrees of yaw or pitch; for the mouth opened by 0.15 or widened by
// 0.06 of the face's width; for eyes opened by 0.12; for brightness or its sideways
// difference changed by 0.08, contrast by 0.05; for a grey thumbnail of equal mean and
// contrast changed by 0.4 of that contrast.
struct FaceLook {
  std::vector<float> values;
  double side_light = 0;  // brightness of the picture's right half of the face less its left's
  double sharpness = 0;   // of the face: of two that look alike, the sharper one stays
  bool poor = false;      // marked, other than for shut eyes or a profile
};
FaceLook look_of(const Face&, const Image& crop);  // crop: of this face, square RGB
double difference(const FaceLook&, const FaceLook&);

// Pairs that far apart look the same to a person; a blink or a syllable is 1. Of every
// sixth frame of three talking heads 32 of 34, 31 of 34 and 25 of 30 faces stay, of
// every frame 118 of 200, 78 of 200 and 48 of 180.
inline constexpr double kNearDuplicate = 0.5;

// The faces, ascending, none of which is nearer than `least` to another. Poor and soft
// ones leave before others.
std::vector<std::size_t> without_near_duplicates(const std::vector<FaceLook>&,
                                                 double least = kNearDuplicate);

// `count` faces, ascending, as far from each other as a greedy choice gets (Gonzalez,
// Theoretical Computer Science 38, 1985: at worst half the best distance). Poor faces
// are taken when the others are used up. All, where there are no more.
std::vector<std::size_t> choose_diverse(const std::vector<FaceLook>&, std::size_t count);
}  // namespace faceswap
