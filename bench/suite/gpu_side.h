// What the suite needs of the CUDA runtime itself: clocks on the device, what a launch is made of, peers that come with the toolkit.
// Built where nvcc is; callers stand under #if DOPPEL_HAS_CUDA.
#pragma once
#include <cstdint>
#include <functional>
#include <string>

#include "kernels/core/stream.h"

namespace bench::gpu {

// Seconds between two events around what `work` queues. A gate kernel holds the stream until all of it is queued, so that the host's
// own time to launch does not count. The gate opens by itself after two seconds, in case `work` waits for the stream.
double time_behind_gate(kernels::Stream& stream, const std::function<void()>& work);

// The kernels that `work` launches, from a capture: those of the runtime only; a library's own may not show.
struct Launches {
  int kernels = 0, registers = 0;
  std::size_t shared_bytes = 0;
  double occupancy = 0;
};  // of the one with the most blocks
Launches inspect(kernels::Stream& stream, const std::function<void()>& work);

std::size_t cache_bytes();  // the card's L2

// cudaMemcpy2DAsync
void copy_rows(kernels::Stream& stream, const void* from, std::size_t from_pitch, void* to,
               std::size_t to_pitch, std::size_t bytes, std::size_t rows);
// cub::DeviceReduce::Sum
void cub_sum(kernels::Stream& stream, const float* x, float* out, std::int64_t n);

}  // namespace bench::gpu
