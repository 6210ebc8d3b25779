// Memory of a training before it takes any: one step runs on the meta device, where
// tensors have a size but no data, and the pool counts them.
#pragma once
#include <map>
#include <string>

#include "faceswap/train/training_step.h"

namespace faceswap {

struct MemoryForecast {              // bytes
  int batch = 0, micro_batches = 1;  // per person; per batch
  std::int64_t parameter_count = 0;
  std::size_t parameters = 0;   // master weights, and the working copy where there is one
  std::size_t gradients = 0;    // of the parameters
  std::size_t optimizer = 0;    // Adam's two moments
  std::size_t activations = 0;  // of one micro-batch: saved for backward, gradients, scratch
  std::size_t workspace = 0;    // of the convolution and matrix libraries, at most
  std::size_t data_set = 0;     // the faces of both people
  int launches = 0;             // of a step: kernels, convolutions, matrix products
  std::size_t total() const {
    return parameters + gradients + optimizer + activations + workspace + data_set;
  }
};

// device: of the training. face_bytes: of both people's faces on it. Error(usage) for
// an unknown model.
MemoryForecast forecast_memory(const std::string& model, nn::Device device, nn::DType dtype,
                               const StepPlan& plan, std::size_t face_bytes);

inline double gibibytes(std::size_t bytes) { return static_cast<double>(bytes) / (1 << 30); }

// Per person. A larger batch makes a step longer and teaches no more.
inline constexpr int kLargestBatch = 64;
// Share of the available memory for a forecast; previews and saving need the rest.
inline constexpr double kUsableShare = 0.9;

// Finds the batch and the micro-batches that fit. Every forecast runs a step on the
// meta device, so the planner keeps each one and needs few.
struct MemoryPlanner {
  std::string model;
  nn::Device device;
  nn::DType dtype;
  StepPlan plan;  // the step, but for batch and micro-batches
  std::size_t face_bytes, available;
  std::map<std::pair<int, int>, MemoryForecast> forecasts = {};  // by batch, micro-batches

  // The largest batch up to kLargestBatch that fits as a whole; 1 if none does.
  int largest_batch();
  // The fewest micro-batches that fit, doubling from `least`; one face each if none do.
  const MemoryForecast& fitting(int batch, int least);

  const MemoryForecast& forecast(int batch, int micro_batches);
  double left(int batch, int micro_batches);  // bytes of the usable share; negative: too much
};
}  // namespace faceswap
