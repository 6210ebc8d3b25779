// What doppel_step times: the pictures it trains on, and a training step taken apart.
#pragma once
#include <array>
#include <functional>
#include <string>

#include "faceswap/train/training_step.h"

namespace bench::step {

// Synthetic heads of both people, drawn in the crop's place, in the device's memory as a FaceSet would keep them.
class SyntheticFaces {
 public:
  SyntheticFaces(kernels::Device device, int stored_size, int count);
  std::array<faceswap::FacesOnDevice, 2> on_device() const;

 private:
  int stored_size_, count_;
  std::array<kernels::Buffer, 2> memory_;
};

// The work of faceswap::TrainingStep in parts, so that each can be timed, or counted on the meta device. Without faces there is no
// augmentation: it works on fixed random pictures, which a peer can load and train on as well.
class PartedStep {
 public:
  using AfterPart = std::function<void(const char* part)>;
  static constexpr std::array<const char*, 5> kParts{"augmentation", "forward", "losses",
                                                     "backward", "optimizer"};

  // seed: of the fixed pictures. loss_rows: how many steps' losses are kept.
  PartedStep(faceswap::Model&, nn::DType, int batch,
             const std::array<faceswap::FacesOnDevice, 2>* faces, std::uint64_t seed,
             std::int64_t loss_rows, nn::StepStateBlock&);
  void run(const AfterPart& after = [](const char*) {});

  const nn::Tensor& losses() const { return losses_; }  // [loss_rows,2], row (step - 1) % loss_rows
  // The start, for a peer: the weights and the pictures. float32, as safetensors.
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
  nn::Tensor input_, target_,
      mask_;  // [2n,S,S,3], [2n,S,S,3], [2n,S,S]: n pictures of A, then n of B
  nn::Tensor losses_;
};

// What one part costs at least, counted on the meta device. The floor of a launch is the longer of its arithmetic and its traffic.
struct PartCost {
  std::string name;
  int launches = 0;
  double
      flops = 0,
      bytes =
          0;  // convolutions, matrix products and the optimizer; what could be fused into them counts as nothing
  double floor_seconds = 0;
};
std::array<PartCost, 5> count_costs(const std::string& model, nn::DType, int batch, bool augments,
                                    double flops_per_second, double bytes_per_second);

}  // namespace bench::step
