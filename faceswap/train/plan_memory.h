// How much memory a training takes, before it takes any: one step is run on the meta device, where tensors have a size and a
// place in the pool's books but no data.
#pragma once
#include <string>

#include "faceswap/train/training_step.h"

namespace faceswap {

struct MemoryForecast {  // bytes
  int batch = 0,
      micro_batches = 1;  // faces a side, and in how many micro-batches they go through the network
  std::int64_t parameter_count = 0;
  std::size_t parameters = 0;  // master weights, and the bf16 copy where there is one
  std::size_t gradients = 0;
  std::size_t optimizer = 0;  // Adam's two moments
  std::size_t activations =
      0;  // of one part: what backward needs, gradients on the way, the batch itself, scratch
  std::size_t workspace = 0;  // of the convolution and matrix libraries, at most
  std::size_t data_set = 0;   // the faces of both sides
  int launches = 0;           // of a step: kernels, convolutions, matrix products
  std::size_t total() const {
    return parameters + gradients + optimizer + activations + workspace + data_set;
  }
};

// device: where it will run. face_bytes: of both sides together, 0 where they stay off the device. Error(usage) for an unknown model.
MemoryForecast forecast_memory(const std::string& model, nn::Device device, nn::DType dtype,
                               const StepPlan& plan, std::size_t face_bytes);

// The same for the least that trains at all: one face a side. Without faces.
MemoryForecast forecast_least_memory(const std::string& model, nn::Device device, nn::DType dtype);

// The fewest micro-batches (a power of two) with which the plan fits into `available` bytes; with one face a part if nothing does.
MemoryForecast forecast_that_fits(const std::string& model, nn::Device device, nn::DType dtype,
                                  StepPlan plan, std::size_t face_bytes, std::size_t available);

// The largest batch, at most kLargestBatch, that fits in one part; 1 where none does.
inline constexpr int kLargestBatch =
    64;  // faces a side: beyond that a step takes longer and teaches no more
int largest_batch(const std::string& model, nn::Device device, nn::DType dtype,
                  const StepPlan& plan, std::size_t face_bytes, std::size_t available);

// Of what is available, the part that a forecast may use: the rest is for previews, saving and whatever else runs.
inline constexpr double kUsableShare = 0.9;

}  // namespace faceswap
