// What a file of doppel's, or a media file, holds: for `doppel inspect`.
#pragma once
#include <filesystem>
#include <string>

namespace faceswap {

// A JSON object with "kind": "model", "face", "image", "video", "folder" or "safetensors", and what there is to say about it.
// A model folder stands for its checkpoint. Error(input), Error(damaged).
std::string inspect_json(const std::filesystem::path& path);

// Runs `count` faces of each person through the model on the host in f32 and writes input_a, a_to_a, a_to_b, input_b,
// b_to_b, b_to_a [count,S,S,3] as a safetensors file, so that another implementation can be compared with this one.
void dump_swap_samples(const std::filesystem::path& model_dir, const std::filesystem::path& faces_a,
                       const std::filesystem::path& faces_b, int count,
                       const std::filesystem::path& out);

}  // namespace faceswap
