// One training step as work on a device: sample, augment, both sides through the shared encoder, their decoders, losses,
// backward, clipping, Adam. It always works on the same memory; what differs from step to step lives in the StepState on the
// device. So it can be captured as a CUDA graph, and on the meta device it tells how much memory it takes.
#pragma once
#include <array>

#include "faceswap/models/model.h"
#include "kernels/image/augment.h"
#include "nn/optimizer.h"

namespace faceswap {

using kernels::LossWeights;

struct StepPlan {
  int batch = 16;         // faces a side
  int micro_batches = 1;  // in which they go through the network; gradients add up, memory shrinks
  float clip_norm = 0.f;  // 0: no clipping
  LossWeights loss;
  kernels::AugmentOptions augment;
};

struct FacesOnDevice {
  const std::uint8_t* data = nullptr;  // [count, stored_size, stored_size, 4]
  int count = 1, stored_size = 0;
  kernels::ImageSource source(Side side) const {
    return {data, count, stored_size, side == Side::a ? 0u : 1u};
  }
};

class TrainingStep {
 public:
  static constexpr int kLossRows = 256;

  // The model's arena is allocated; everything lives on its device. Error(memory) where that has too little.
  TrainingStep(Model&, nn::DType, const std::array<FacesOnDevice, 2>&, nn::StepStateBlock&,
               const StepPlan&);
  void run();
  // Mean losses of the latest kLossRows steps: row (step - 1) % kLossRows holds A's and B's. On the device.
  const nn::Tensor& losses() const { return losses_; }

 private:
  void draw(int first, int count);
  std::array<nn::Tensor, 2> forward(int first, int count);

  Model* model_;
  nn::DType dtype_;
  std::array<FacesOnDevice, 2> faces_;
  nn::StepStateBlock* state_;
  StepPlan plan_;
  nn::Adam adam_;
  nn::Tensor input_, target_,
      mask_;  // [2n,S,S,3], [2n,S,S,3], [2n,S,S]: n faces of A, then n of B; n is the largest part's
  nn::Tensor losses_;  // [kLossRows,2]
};

}  // namespace faceswap
