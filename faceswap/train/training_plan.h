// All that is settled before a training is built: device, precision, batch, and whether
// it resumes a checkpoint.
#pragma once
#include <filesystem>
#include <optional>
#include <string>

#include "faceswap/models/model_file.h"
#include "faceswap/train/plan_memory.h"

namespace faceswap {

// Metadata key of the micro-batches in a model file: part of the format.
inline constexpr const char* kMicroBatchesKey = "parts";

struct TrainOptions {
  std::filesystem::path faces_a, faces_b, model_dir;
  std::string model = "original";
  std::int64_t steps = 0;  // train until this step; 0: until stopped
  double hours = 0;        // stop after this long; 0: no limit
  int batch = 16;          // per person; 0: the largest that fits, at most kLargestBatch
  int micro_batches = 1;   // per batch, at least; more where memory is short
  std::uint64_t seed = 1;
  std::string device = "auto";      // auto, cpu, cuda
  std::string precision = "auto";   // see choose_dtype
  float learning_rate = 0.f;        // 0: the model's default
  float final_learning_rate = 0.f;  // 0: constant; else the end of half a cosine over `steps`
  float clip_norm = 0.f;            // 0: no clipping
  LossWeights loss;
  kernels::AugmentOptions augment;
  double save_every_seconds = 300;
  std::int64_t preview_every = 100;  // steps; 0: only at the end
  bool force = false;                // begin anew where a model exists
  bool quiet = false;
};

struct TrainingPlan {
  TrainOptions options;  // a resumed run has the batch and the loss weights of its checkpoint
  nn::Device device = nn::Device::host;
  nn::DType dtype = nn::DType::f32;
  int faces[2] = {};          // of A, of B
  std::size_t available = 0;  // bytes
  int largest_batch = 0;      // without micro-batches; 0: not needed, so not searched for
  MemoryForecast forecast;    // of the batch, in as many micro-batches as it needs
  std::optional<Checkpoint> checkpoint;  // to resume; the Trainer frees it
  double seconds = 0;                    // of training before the checkpoint
};
// Error(usage) for options that make no sense, or another model than the checkpoint's;
// Error(memory) where the model does not fit even with batch 1. dry_run: a new
// training, its largest batch too, and no refusal. Writes nothing.
TrainingPlan make_plan(const TrainOptions&, bool dry_run = false);

// The step of a training with these options.
StepPlan step_plan(const TrainOptions&);
}  // namespace faceswap
