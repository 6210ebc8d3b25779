// Grey pictures (Image with one channel) as the tracker uses them.
#pragma once
#include "faceswap/faces/face.h"

namespace faceswap {

Image to_gray(const Image& rgb);  // Rec. 601 weights
Image shrink_gray(const Image& gray,
                  int factor);  // mean of factor x factor blocks; a ragged edge is dropped
Image shrink_to(const Image& gray, int width,
                int height);  // mean over areas, to an exact smaller size
// Bilinear, the nearest edge pixel outside; averages several positions per pixel where the patch is coarser than the source.
Image gray_patch(const Image& gray, const Similarity& to_patch, int width, int height);
double laplacian_variance(const Image& gray);  // the usual measure of sharpness

}  // namespace faceswap
