// Training: steps repeated for days, with losses, previews, saving, resuming, and what happens when memory is out.
#pragma once
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "faceswap/models/model_file.h"
#include "faceswap/train/face_set.h"
#include "faceswap/train/plan_memory.h"
#include "nn/step_graph.h"

namespace faceswap {

struct TrainOptions {
  std::filesystem::path faces_a, faces_b, model_dir;
  std::string model = "original";
  std::int64_t steps = 0;  // train until this step; 0: until stopped
  double hours = 0;        // stop after this long (0: no limit)
  int batch = 16;          // faces a side; 0: the largest that fits, at most kLargestBatch
  int micro_batches =
      1;  // in which a batch goes through the network, at least; more where memory asks for it
  std::uint64_t seed = 1;
  std::string device = "auto";  // auto, cpu, cuda
  std::string precision =
      "auto";  // auto (bf16 on the GPU, f16 on an old one, f32 on the host), f32, tf32 (float, products on a GPU rounded), bf16, f16
  float learning_rate = 0.f;  // 0: what suits the model
  float final_learning_rate =
      0.f;  // 0: constant; else the rate falls to this along half a cosine over `steps`
  float clip_norm = 0.f;  // 0: no clipping
  LossWeights loss;
  kernels::AugmentOptions augment;
  double save_every_seconds = 300;
  std::int64_t preview_every = 100;  // steps; 0: only at the end
  bool force = false;                // begin anew where a model exists
  bool quiet = false;
};

struct StepLosses {
  std::int64_t step = 0;
  float a = 0, b = 0;
};

// What a training with these options would take, without beginning it. Looks at the face folders; writes nothing.
struct MemoryReport {
  nn::Device device = nn::Device::host;
  nn::DType dtype = nn::DType::f32;
  int faces[2] = {};
  std::size_t available = 0;  // bytes
  int largest_batch = 1;      // faces a side that fit in one part
  MemoryForecast forecast;  // of the batch that was asked for, in as many micro-batches as it needs
};
MemoryReport report_memory(const TrainOptions&);

class Trainer {
 public:
  // Reads the faces and either begins a model or resumes the one in model_dir. On resuming, what shaped the run so far
  // (model, seed, batch, loss) comes from the checkpoint; asking for another model is an Error(usage). Error(memory) where the
  // model does not fit even with one face at a time.
  explicit Trainer(const TrainOptions&);

  void run();  // until done, stopped by a signal, or the NaN guard throws Error(not_finite)
  void save();
  void write_preview();  // preview.png: A, A->A, A->B | B, B->B, B->A

  bool resumed() const { return resumed_; }
  const Model& model() const { return *model_; }
  nn::StepState state() const { return state_->read(); }
  const std::vector<StepLosses>& history() const { return history_; }
  const nn::StepGraph& graph() const { return *graph_; }
  const MemoryForecast& forecast() const { return forecast_; }

 private:
  void begin_or_resume();
  StepPlan plan() const;
  void plan_memory();
  void build_step();  // and again with more micro-batches, until there is memory enough
  bool use_less_memory(const std::string& why);
  void step();     // queues one training step
  void collect();  // waits for the queued steps and takes their losses into the history
  float learning_rate_at(std::int64_t step) const;
  void write_losses() const;

  TrainOptions options_;
  nn::Device device_;
  nn::DType dtype_;
  bool resumed_ = false;
  std::unique_ptr<Model> model_;
  std::unique_ptr<FaceSet> faces_[2];
  std::unique_ptr<nn::StepStateBlock> state_;
  std::unique_ptr<TrainingStep> step_work_;
  std::unique_ptr<nn::StepGraph> graph_;
  MemoryForecast forecast_;
  std::vector<StepLosses> history_;        // thinned to some thousands of entries
  std::int64_t step_ = 0, collected_ = 0;  // queued so far; of these, in the history
  double seconds_before_ = 0;              // of earlier sessions
};

}  // namespace faceswap
