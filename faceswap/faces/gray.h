// Grey pictures: Images of one channel.
#pragma once
#include "faceswap/faces/similarity.h"
#include "faceswap/image.h"

namespace faceswap {

Image to_gray(const Image& rgb);  // Rec. 601 weights
// Mean of factor x factor blocks; an incomplete block at the edge is dropped.
Image shrink_gray(const Image& gray, int factor);
// Mean over areas, to an exact smaller size.
Image shrink_to(const Image& gray, int width, int height);
// Bilinear, with the nearest edge pixel outside the picture. A patch coarser than its
// source averages several positions per pixel.
Image gray_patch(const Image& gray, const Similarity& to_patch, int width, int height);
double laplacian_variance(const Image& gray);  // a measure of sharpness
}  // namespace faceswap
