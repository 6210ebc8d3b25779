// The content of a model, a face or a media file as JSON, for `doppel inspect`.
#pragma once
#include <filesystem>
#include <string>

namespace faceswap {

// A JSON object with "kind": "model", "face", "image", "video", "folder" or
// "safetensors", and the facts of that kind. A model folder stands for its checkpoint.
// Error(input), Error(damaged).
std::string inspect_json(const std::filesystem::path& path);

// Runs `count` faces of each person through the model on the host in f32, to compare
// another implementation with this one. Writes a safetensors file with input_a, a_to_a,
// a_to_b, input_b, b_to_b and b_to_a [count,S,S,3].
void dump_swap_samples(const std::filesystem::path& model_dir, const std::filesystem::path& faces_a,
                       const std::filesystem::path& faces_b, int count,
                       const std::filesystem::path& out);
}  // namespace faceswap
