// A model on disk: one safetensors file with the weights under their names, Adam's
// moments ("adam.m/<name>", "adam.v/<name>"), and the training state as metadata.
#pragma once
#include <filesystem>
#include <map>
#include <memory>
#include <string>

#include "faceswap/models/model.h"
#include "nn/checkpoint/checkpoint.h"
#include "nn/optimizer.h"

namespace faceswap {

inline constexpr const char* kModelFormat = "doppel-model/1";
inline constexpr const char* kModelFile = "model.safetensors";  // inside the model folder

using Metadata = std::map<std::string, std::string>;

// extra: the trainer's own entries. Atomic; the last file stays as <path>.prev.
void save_model(const std::filesystem::path& path, const Model& model, const nn::StepState& state,
                const Metadata& extra);

// A model file in memory, its checksum verified. Free it once the model is filled.
struct Checkpoint {
  nn::SafetensorsFile file;
  std::filesystem::path used;  // path, or path.prev where path was damaged
};
// Error(input) where there is no file, Error(damaged) where it is no whole model.
Checkpoint open_checkpoint(const std::filesystem::path& path);

struct LoadedModel {
  std::unique_ptr<Model> model;
  nn::StepState state;
  Metadata metadata;
  std::filesystem::path used;
};
// Builds the model named by the file and fills it. Without the optimizer there are no
// moments and no gradients. Error(damaged) where the file does not fit the model.
LoadedModel load_model(const Checkpoint&, nn::Device, nn::DType working, bool with_optimizer);
LoadedModel load_model(const std::filesystem::path& path, nn::Device, nn::DType working,
                       bool with_optimizer);
}  // namespace faceswap
