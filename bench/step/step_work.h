// The work of doppel_step: synthetic faces, and a training step divided into phases.
#pragma once
#include <array>
#include <functional>
#include <string>

#include "faceswap/train/training_step.h"

namespace bench::step {

// Synthetic heads of both people in crop position, in device memory like a FaceSet's.
class SyntheticFaces {
 public:
  SyntheticFaces(kernels::Device device, int stored_size, int count);
  std::array<faceswap::FacesOnDevice, 2> on_device() const;

 private:
  int stored_size_, count_;
  std::array<kernels::Buffer, 2> memory_;
};

// faceswap::TrainingStep divided into phases, to time each or to count it on the meta
// device. Without faces it trains on fixed random pictures, which a peer can load.
class PhasedStep {
 public:
  using AfterPhase = std::function<void(const char* phase)>;
  static constexpr std::size_t kPhases = 5;  // augmentation, forward, losses, backward, optimizer

  // loss_rows: the number of latest steps whose losses are kept.
  PhasedStep(faceswap::Model&, nn::DType, int batch,
             const std::array<faceswap::FacesOnDevice, 2>* faces, std::uint64_t seed,
             std::int64_t loss_rows, nn::StepStateBlock&);
  void run(const AfterPhase& after = [](const char*) {});

  const nn::Tensor& losses() const { return losses_; }  // [loss_rows,2], row (step - 1) % loss_rows
  // Writes the weights and the pictures as float32 safetensors, for a peer.
  void dump(const std::string& path) const;

 private:
  void draw();
  faceswap::Model* model_;
  nn::DType dtype_;
  std::int64_t batch_;
  bool augments_;
  std::array<faceswap::FacesOnDevice, 2> faces_{};
  nn::StepStateBlock* state_;
  nn::Adam adam_;
  nn::Tensor input_, target_, mask_;  // [2n,S,S,3], [2n,S,S,3], [2n,S,S]: A's n pictures, then B's
  nn::Tensor losses_;
};

// The minimal cost of a phase, counted on the meta device: convolutions, matrix
// products and the optimizer. Operations that could be fused into them count as
// nothing.
struct PhaseCost {
  std::string name;
  int launches = 0;
  double flops = 0, bytes = 0;
  double floor_seconds = 0;  // per launch the longer of its arithmetic and its traffic
};
std::array<PhaseCost, PhasedStep::kPhases> count_costs(const std::string& model, nn::DType,
                                                       int batch, bool augments,
                                                       double flops_per_second,
                                                       double bytes_per_second);
}  // namespace bench::step
