// How float products run on the GPU's matrix units.
#pragma once
#include <atomic>

namespace kernels {

// true: float operands of conv and GEMM may be rounded to TF32 (10 bits of mantissa) for the tensor cores, several times
// faster. false: strict float. Host results never change. Read when a plan is looked up.
inline std::atomic<bool> allow_tf32{false};

}  // namespace kernels
