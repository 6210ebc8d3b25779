// The memory this process may still take.
#pragma once
#include <cstddef>

#include "kernels/core/device.h"

namespace kernels {

// In bytes, the pool's free blocks included. On the host: the smallest of what the
// system, the control group and the address-space limit leave.
std::size_t available_memory(Device device);

}  // namespace kernels
