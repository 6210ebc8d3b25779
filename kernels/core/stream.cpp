#include "kernels/core/stream.h"

#include "kernels/core/cuda/backend.h"

namespace kernels {

Stream& Stream::of(Device device) {
  if (device == Device::cuda) {
    static Stream gpu(Device::cuda, cuda::create_stream());  // throws each time until there is one
    return gpu;
  }
  static Stream host(Device::host, nullptr), meta(Device::meta, nullptr);
  return device == Device::host ? host : meta;
}

void Stream::synchronize() {
  if (device_ == Device::cuda) cuda::synchronize(raw_);
}

bool Stream::capturing() const { return device_ == Device::cuda && cuda::capturing(raw_); }
}  // namespace kernels
