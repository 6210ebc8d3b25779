// The precision of float products on the GPU's tensor cores.
#pragma once
#include <atomic>

namespace kernels {

// true: float operands of conv and GEMM may be rounded to TF32 (10 bits of mantissa),
// which is faster. false: strict float. Read when a plan is looked up.
inline std::atomic<bool> allow_tf32{false};

}  // namespace kernels
