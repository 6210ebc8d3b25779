// One training step as work on a device: sample, augment, both people through the
// shared encoder, their decoders, losses, backward, clipping, Adam. A step always works
// on the same memory, and all that differs from step to step lives in the StepState on
// the device. So a CUDA graph can record it, and on the meta device it shows how much
// memory it takes.
#pragma once
#include <array>
#include <functional>

#include "faceswap/faces/view.h"
#include "faceswap/models/model.h"
#include "nn/optimizer.h"

namespace faceswap {

using kernels::LossWeights;

struct StepPlan {
  int batch = 16;         // per person
  int micro_batches = 1;  // per batch; their gradients add up, and memory shrinks
  float clip_norm = 0.f;  // 0: no clipping
  LossWeights loss = {};
  kernels::AugmentOptions augment = {};
};

struct FacesOnDevice {
  const std::uint8_t* data = nullptr;  // [count,stored_size,stored_size,4]
  int count = 1, stored_size = 0;      // no faces: a step trains on pictures() as they are
  kernels::ImageSource source(Side side) const {
    return {data, count, stored_size, side == Side::a ? 0u : 1u};
  }
};

class TrainingStep {
 public:
  static constexpr int kLossRows = 256;

  // The model's arena is allocated; the step lives on its device. Error(memory) where
  // that has too little.
  TrainingStep(Model&, nn::DType, const std::array<FacesOnDevice, 2>&, nn::StepStateBlock&,
               const StepPlan&);
  // `after` is called at the end of each phase, to time or count it: "augmentation",
  // "forward", "losses" and "backward" of every micro-batch, then "optimizer".
  using AfterPhase = std::function<void(const char* phase)>;
  void run(const AfterPhase& after = [](const char*) {});
  // Mean losses of the latest kLossRows steps, on the device: row (step - 1) %
  // kLossRows holds A's and B's.
  const nn::Tensor& losses() const { return losses_; }
  // n faces of A, then n of B, n being the largest micro-batch's.
  struct Pictures {
    nn::Tensor input, target;  // [2n,S,S,3]
    nn::Tensor mask;           // [2n,S,S]
  };
  Pictures& pictures() { return pictures_; }

 private:
  void draw(int first, int count);
  nn::SharedLoss forward(int count, const AfterPhase& after);

  Model* model_;
  nn::DType dtype_;
  std::array<FacesOnDevice, 2> faces_;
  nn::StepStateBlock* state_;
  StepPlan plan_;
  nn::Adam adam_;
  Pictures pictures_;
  nn::Tensor losses_;  // [kLossRows,2]
  // Sum of 16-bit gradients over the micro-batches, [arena's size] in f32; else undefined.
  nn::Tensor gradient_sum_;
};
}  // namespace faceswap
