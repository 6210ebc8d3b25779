// One row of doppel_step: a training step of one model, batch and precision.
#pragma once
#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>

namespace bench::step {

struct StepOptions {
  std::string model = "original", device = "auto";
  std::string dtype = "f32";  // f32, bf16, f16 (with a scaled loss), tf32 (GPU products only)
  std::string mode = "real";  // real: sampled, augmented synthetic faces; fixed: random pictures
  int batch = 16;             // per person
  int warmup = 3;
  int steps = 0;        // timed steps; 0: as many as fit into `seconds`, at least three samples
  double seconds = 10;  // of the timed steps
  int block = 0;        // steps per sample, with one wait; 0: 10 on a GPU, 1 on the host
  std::uint64_t seed = 1;
  bool phases = true;  // time the phases of a step too
  std::string dump;    // fixed: file for the initial weights and the pictures
};

// Both throw kernels::Error. Times in milliseconds, memory in bytes, null for
// unavailable figures.
nlohmann::ordered_json context(const std::string& device);
nlohmann::ordered_json measure_step(const StepOptions&);
}  // namespace bench::step
