// Pictures of how training goes.
#pragma once
#include "faceswap/models/model.h"
#include "faceswap/train/face_set.h"

namespace faceswap {

// The faces with these indices as the model sees them, not augmented: [N,S,S,3].
nn::Tensor plain_views(const Model& model, const FaceSet& set, const std::vector<int>& faces);

// Faces spread evenly over both sets; a row holds A, A->A, A->B, B, B->B, B->A.
Image preview_grid(const Model& model, const FaceSet& a, const FaceSet& b, int rows);

// The same faces as tensors [N,S,S,3] in f32 on the host, to compare implementations.
struct SwapSamples {
  nn::Tensor input[2], same[2], swapped[2];  // of A and of B
};
SwapSamples swap_samples(const Model& model, const FaceSet& a, const FaceSet& b, int count);
}  // namespace faceswap
