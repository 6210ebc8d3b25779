// Training: steps repeated for days, with losses, previews, saving, resuming, and
// recovery where memory runs out.
#pragma once
#include <memory>
#include <vector>

#include "faceswap/train/face_set.h"
#include "faceswap/train/training_plan.h"
#include "nn/step_graph.h"

namespace faceswap {

struct StepLosses {
  std::int64_t step = 0;
  float a = 0, b = 0;
};

class Trainer {
 public:
  // Begins a model, or resumes the plan's checkpoint, and reads the faces.
  explicit Trainer(TrainingPlan);

  void run();  // until done, stopped by a signal, or the NaN guard throws Error(not_finite)
  void save();
  void write_preview();  // preview.png: A, A->A, A->B | B, B->B, B->A

  bool resumed() const { return resumed_; }
  const Model& model() const { return *model_; }
  nn::StepState state() const { return state_->read(); }
  const std::vector<StepLosses>& history() const { return history_; }
  const MemoryForecast& forecast() const { return forecast_; }
  const nn::StepGraph& graph() const { return *graph_; }

 private:
  void begin_or_resume(std::optional<Checkpoint>);
  void build_step();  // and again with more micro-batches, until there is memory enough
  bool use_less_memory(const std::string& why);
  void step();               // queues one training step
  void collect();            // waits for the queued steps and appends their losses to the history
  void report_lost_graph();  // once
  float learning_rate() const;  // of the next step
  void write_losses() const;

  TrainOptions options_;
  nn::Device device_;
  nn::DType dtype_;
  MemoryForecast forecast_;
  double seconds_before_;  // of earlier sessions
  bool resumed_ = false;
  std::unique_ptr<Model> model_;
  std::unique_ptr<FaceSet> faces_[2];
  std::unique_ptr<nn::StepStateBlock> state_;
  std::unique_ptr<TrainingStep> step_work_;
  std::unique_ptr<nn::StepGraph> graph_;
  bool lost_graph_reported_ = false;
  std::vector<StepLosses> history_;        // thinned to some thousands of entries
  std::int64_t step_ = 0, collected_ = 0;  // queued so far; of these, in the history
};
}  // namespace faceswap
