// The devices work can run on, and the choice of one.
#pragma once
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <string>

#include "kernels/core/error.h"

namespace kernels {

// meta: tensors with a shape and a place in the memory statistics, but no data; nothing
// is launched. A training step run on it measures how much memory the real one needs.
enum class Device : std::uint8_t { host, cuda, meta };
const char* name(Device device);

// The GPU found at run time, or the reason for none. Never throws, never loads cuDNN.
struct CudaReport {
  bool built = false;          // this binary carries GPU code
  bool available = false;      // a driver and a supported device answer
  std::string reason;          // for available = false; else the card's name
  int compute_capability = 0;  // 90 for sm_90
  std::size_t memory_bytes = 0;
  std::string driver, runtime;  // versions
};
CudaReport probe_cuda();

// The GPU of this process, counted as nvidia-smi does and among those that
// CUDA_VISIBLE_DEVICES shows. Call it before anything else of CUDA, and once: it sets
// that variable. Error(usage) for a number that is not in its list.
void select_gpu(int number);

// "auto" is the GPU if one is available, else the host. "cuda" without one throws
// Error(device) with the probe's reason.
Device choose_device(const std::string& name);  // "auto", "cpu" or "cuda"

// true: float operands of conv and GEMM may be rounded to TF32 (10 bits of mantissa) on
// the GPU's tensor cores, which is faster. false: strict float. Read when a plan is
// looked up.
inline std::atomic<bool> allow_tf32{false};
}  // namespace kernels
