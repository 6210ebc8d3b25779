// The CUDA runtime's side of the suite: device clocks, launch statistics, peers from
// the toolkit. Built by nvcc; callers stand under #if DOPPEL_HAS_CUDA.
#pragma once
#include <cstdint>
#include <functional>
#include <string>

#include "kernels/core/stream.h"

namespace bench::gpu {

// Seconds between two events around the launches of `work`. A gate kernel holds the
// stream until all are queued, so the host's launch overhead does not count. The gate
// opens by itself after 2 s, in case `work` waits for the stream.
double time_behind_gate(kernels::Stream& stream, const std::function<void()>& work);

// The kernels in a capture of `work`, without those of libraries that bypass the
// runtime. All but the count are of the kernel with the most blocks.
struct Launches {
  int kernels = 0, registers = 0;
  std::size_t shared_bytes = 0;
  double occupancy = 0;
};
Launches inspect(kernels::Stream& stream, const std::function<void()>& work);

std::size_t cache_bytes();  // of the L2

// cudaMemcpy2DAsync
void copy_rows(kernels::Stream& stream, const void* from, std::size_t from_pitch, void* to,
               std::size_t to_pitch, std::size_t bytes, std::size_t rows);
// cub::DeviceReduce::Sum
void cub_sum(kernels::Stream& stream, const float* x, float* out, std::int64_t n);
}  // namespace bench::gpu
