// The devices that work can run on, and how one is chosen.
#pragma once
#include <cstddef>
#include <cstdint>
#include <string>

#include "kernels/core/error.h"

namespace kernels {

// meta: tensors with a shape and a place in the memory statistics, but no data; nothing is launched there. A training step
// run on it costs next to nothing and tells how much memory the real one needs.
enum class Device : std::uint8_t { host, cuda, meta };
const char* name(Device device);

// What was found at run time and why. Never throws, never loads cuDNN.
struct CudaReport {
  bool built = false;          // this binary carries GPU code
  bool available = false;      // a driver and a device answer
  std::string reason;          // why not, or the card's name
  int compute_capability = 0;  // 90 for sm_90
  std::size_t memory_bytes = 0;
  std::string driver, runtime;
};
CudaReport probe_cuda();

// "auto" takes the GPU where one answers, else the host. "cuda" throws Error(device) with the reason where it does not.
Device choose_device(const std::string& name);  // "auto", "cpu" or "cuda"

}  // namespace kernels
