// A face's error under a trained model: how far the model's copy of it is from the face.
#pragma once
#include <filesystem>
#include <vector>

#include "faceswap/models/model.h"

namespace faceswap {

// Mean absolute difference, 0 to 1, of the middle of the view, through the encoder and
// this side's decoder: one value per face to train on, in the folder's order. High values
// are rare poses, wrong people and false faces. On the host. Error as load_model and
// FaceSet.
std::vector<double> reconstruction_errors(const std::filesystem::path& model_dir, Side side,
                                          const std::filesystem::path& faces, bool quiet);
}  // namespace faceswap
