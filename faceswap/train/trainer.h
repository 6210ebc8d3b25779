// Training: both sides per step through the shared encoder, a loss for each side, previews, saving and resuming.
#pragma once
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "faceswap/models/model_file.h"
#include "faceswap/train/face_set.h"
#include "nn/step_graph.h"

namespace faceswap {

struct LossWeights { float dssim = 1.f, mse = 1.f, mae = 0.f; };

struct TrainOptions {
  std::filesystem::path faces_a, faces_b, model_dir;
  std::string model = "original";
  std::int64_t steps = 0;            // train until this step; 0: until stopped
  double hours = 0;                  // stop after this long (0: no limit)
  int batch = 16;                    // faces a side
  std::uint64_t seed = 1;
  std::string device = "auto";       // auto, cpu, cuda
  std::string precision = "auto";    // auto (bf16 on the GPU, f32 on the host), f32, bf16
  float learning_rate = 0.f;         // 0: what suits the model
  float final_learning_rate = 0.f;   // 0: constant; else the rate falls to this along half a cosine over `steps`
  float clip_norm = 0.f;             // 0: no clipping
  LossWeights loss;
  kernels::AugmentOptions augment;
  double save_every_seconds = 300;
  std::int64_t preview_every = 100;  // steps; 0: only at the end
  bool force = false;                // begin anew where a model exists
  bool quiet = false;
};

struct StepLosses { std::int64_t step = 0; float a = 0, b = 0; };

class Trainer {
 public:
  // Reads the faces and either begins a model or resumes the one in model_dir. On resuming, what shaped the run so far
  // (model, seed, batch, loss) comes from the checkpoint; asking for another model is an Error(usage).
  explicit Trainer(const TrainOptions&);

  StepLosses step();                 // one training step
  void run();                        // until done, stopped by a signal, or the NaN guard throws Error(not_finite)
  void save();
  void write_preview();              // preview.png: A, A->A, A->B | B, B->B, B->A

  bool resumed() const { return resumed_; }
  const Model& model() const { return *model_; }
  nn::StepState state() const { return state_->read(); }
  const std::vector<StepLosses>& history() const { return history_; }
  const nn::StepGraph& graph() const { return *graph_; }

 private:
  void begin_or_resume();
  void train_on_batch();
  float learning_rate_at(std::int64_t step) const;
  void write_losses() const;

  TrainOptions options_;
  nn::Device device_;
  nn::DType dtype_;
  bool resumed_ = false;
  std::unique_ptr<Model> model_;
  std::unique_ptr<FaceSet> faces_[2];
  std::unique_ptr<nn::StepStateBlock> state_;
  std::unique_ptr<nn::Adam> adam_;
  std::unique_ptr<nn::StepGraph> graph_;
  nn::Tensor input_, target_, mask_, losses_;  // [2N,S,S,3], [2N,S,S,3], [2N,S,S], [2]
  std::vector<StepLosses> history_;            // thinned to some thousands of entries
  std::int64_t step_ = 0;
  int skipped_in_a_row_ = 0;
  std::uint32_t skipped_ = 0;
  double seconds_before_ = 0;                  // of earlier sessions
};

}  // namespace faceswap
