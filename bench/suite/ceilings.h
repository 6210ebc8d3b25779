// What a device gives at most, measured by this process with the simplest kernels (streams.h) and the best matrix products at hand.
#pragma once
#include <functional>
#include <map>
#include <string>

#include "bench/suite/peers.h"
#include "kernels/core/memory.h"

namespace bench {

using kernels::Device;

enum class Bound { copy, read, write, f32, tf32, bf16, launch };
const char* name(Bound bound);

struct Ceilings {
  double copy = 0, read = 0, write = 0;  // bytes/s, read plus written
  double f32 = 0, tf32 = 0, bf16 = 0;    // FLOP/s of the best GEMM at hand; 0 where there is none
  double launch = 0;                     // seconds of an empty launch in a row of many
  std::map<std::string, double> candidates;  // what each way reached, in the same units
};
// Takes the arena's memory. About half a second on a host.
Ceilings measure_ceilings(Device device, const Peers& peers);
// The better of two measurements, one by one: on a shared machine a single one may fall into a bad moment.
Ceilings best_of(const Ceilings& a, const Ceilings& b);

// Seconds that `work` takes on the stream's device.
double time_of(kernels::Stream& stream, const std::function<void()>& work);

// Memory that a device's measurements share: operands of the row in hand, streams, matrices. Grows; never given back.
kernels::Buffer& arena(Device device, std::size_t bytes);

}  // namespace bench
