// The work of doppel_step: synthetic faces, fixed pictures, and the cost of each phase.
#pragma once
#include <array>
#include <string>
#include <vector>

#include "faceswap/train/training_step.h"

namespace bench::step {

// Synthetic heads of both people in crop position, in device memory like a FaceSet's.
class SyntheticFaces {
 public:
  SyntheticFaces(kernels::Device device, int stored_size, int count);
  std::array<faceswap::FacesOnDevice, 2> on_device() const;
  std::size_t bytes() const { return memory_[0].bytes() + memory_[1].bytes(); }

 private:
  int stored_size_, count_;
  std::array<kernels::Buffer, 2> memory_;
};

constexpr std::size_t kPhases = 5;  // augmentation, forward, losses, backward, optimizer

// Puts fixed random pictures into a step that draws none, for a race on equal terms.
void set_random_pictures(faceswap::TrainingStep&, std::uint64_t seed);
// Writes the weights and the step's pictures as float32 safetensors, for a peer.
void dump(const std::string& path, const faceswap::Model&, faceswap::TrainingStep&);

nn::DType dtype_of(const std::string& precision);  // Error(usage) for an unknown one

// The launches of a step, by phase, as the meta device counts them.
struct CountedPhase {
  std::string name;
  std::vector<kernels::CountedLaunch> launches;
};
std::vector<CountedPhase> count_step(const std::string& model, nn::DType, const faceswap::StepPlan&,
                                     bool augments);
// Convolutions, products and Adam: work that could ride along with nothing else. A step's
// floor is theirs alone.
bool counts_for_floor(const kernels::CountedLaunch&);
}  // namespace bench::step
