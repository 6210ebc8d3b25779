// A stream: an ordered queue of work on one device. The host's stream runs each piece
// at once, before the call returns.
#pragma once
#include <string>
#include <utility>
#include <vector>

#include "kernels/core/device.h"
#include "kernels/core/types.h"

namespace kernels {

// A launch as the GPU would make it, counted on the meta device: a kernel of ours, or a
// call of cuDNN or cuBLAS, which may be more than one kernel. Convolutions and matrix
// products carry their least cost: 2 flops per multiply-add, each operand read once, the
// result written once. Others: 0.
struct CountedLaunch {
  std::string name;
  double flops, bytes;
};

class Stream {
 public:
  // The compute stream of a device. Throws Error(device) without one.
  static Stream& of(Device device);
  Device device() const { return device_; }
  void* raw() const { return raw_; }  // cudaStream_t, null on the host
  void synchronize();                 // waits for all queued work; throws its errors
  bool capturing() const;             // inside a CUDA graph capture

  // True on the meta device: the launch is counted, and the caller returns.
  bool dry_run(const char* launch, double flops = 0, double bytes = 0) {
    if (device_ != Device::meta) return false;
    counted_.push_back({launch, flops, bytes});
    return true;
  }
  std::vector<CountedLaunch> take_counted() { return std::exchange(counted_, {}); }

  Stream(const Stream&) = delete;
  Stream& operator=(const Stream&) = delete;

 private:
  Stream(Device device, void* raw) : device_(device), raw_(raw) {}
  Device device_;
  void* raw_;
  std::vector<CountedLaunch> counted_;
};
}  // namespace kernels
