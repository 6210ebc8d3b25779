// Pictures of how training goes.
#pragma once
#include "faceswap/models/model.h"
#include "faceswap/train/face_set.h"

namespace faceswap {

// Converts between tensors [N,S,S,3] and pictures.
Image tensor_picture(const nn::Tensor& images, std::int64_t index);

// A grid: each row holds A, A->A, A->B and then B, B->B, B->A, drawn from faces spread evenly over both sets.
Image preview_grid(const Model& model, const FaceSet& a, const FaceSet& b, int rows);

// The same faces as tensors, for the comparison with other implementations: input_a, a_to_a, a_to_b, input_b, b_to_b, b_to_a.
struct SwapSamples {
  nn::Tensor input[2], same[2], swapped[2];
};  // f32 on the host, [N,S,S,3]
SwapSamples swap_samples(const Model& model, const FaceSet& a, const FaceSet& b, int count);

}  // namespace faceswap
