// One row of the step suite: a model, a batch, a precision; and what the machine can do at best.
#pragma once
#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>

namespace bench::step {

struct StepOptions {
  std::string
      model = "original",
      device = "auto",
      dtype =
          "f32";  // f32, bf16, f16 (with a scaled loss), or tf32: float32 whose products a GPU may round
  std::string mode =
      "real";  // "real": sampling and augmentation of synthetic faces; "fixed": the same random pictures each step
  int batch = 16;  // faces a side
  int warmup = 3;
  int steps = 0;  // timed steps; 0: as many as fit into `seconds`, at least three samples
  double seconds = 10;
  int block =
      0;  // steps per sample: one wait for the device for so many. 0: 10 on a GPU, 1 on the host
  std::uint64_t seed = 1;
  bool parts = true;  // time the parts of a step too
  std::string dump;   // fixed: the start is written here
};

// What this build reaches on this device, right now: a large matrix product, and a sum of long vectors. The best of several.
struct Ceilings {
  double flops_per_second = 0, bytes_per_second = 0;
};

// Both throw kernels::Error. Times in milliseconds, memory in bytes; a figure that cannot be had here is null.
nlohmann::ordered_json describe_machine(const std::string& device);
nlohmann::ordered_json measure_step(const StepOptions&);

double percentile(std::vector<double> values,
                  double share);  // linear between neighbours; values not empty

}  // namespace bench::step
