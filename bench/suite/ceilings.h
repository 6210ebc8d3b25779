// The roofline of a device: bandwidths of the simplest kernels (bandwidth.h) and the
// speed of the best matrix products at hand, measured in this process. `doppel bench`
// and doppel_step share it.
#pragma once
#include <functional>
#include <map>
#include <string>

#include "bench/suite/host_variants.h"
#include "kernels/core/memory.h"

namespace bench {

using kernels::Device;

enum class Bound { copy, read, write, f32, tf32, bf16, f16, launch };
const char* name(Bound bound);

struct Ceilings {
  double copy = 0, read = 0, write = 0;         // bytes/s, read plus written
  double f32 = 0, tf32 = 0, bf16 = 0, f16 = 0;  // FLOP/s of GEMM; 0: no units of their own
  double launch = 0;                            // seconds per empty launch of a queue of many
  std::map<std::string, double> candidates;     // each kernel measured, in the same units
};
// Uses the arena's memory. Takes about half a second on a host.
Ceilings measure_ceilings(Device device, const OpenBlas& openblas);
// The better of each pair of values: one measurement may meet other work.
Ceilings best_of(const Ceilings& a, const Ceilings& b);

// Seconds of `work` on the stream's device.
double time_of(kernels::Stream& stream, const std::function<void()>& work);

// Memory shared by a device's measurements. It grows as needed and is never given back.
kernels::Buffer& arena(Device device, std::size_t bytes);
}  // namespace bench
