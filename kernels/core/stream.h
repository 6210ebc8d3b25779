// A stream: an ordered queue of work on one device. The host's stream runs each piece at once, before the call returns.
#pragma once
#include <string>
#include <utility>
#include <vector>

#include "kernels/core/device.h"
#include "kernels/core/types.h"

namespace kernels {

struct CountedLaunch {
  std::string name;
  double flops,
      bytes;  // of a convolution or matrix product: 2 per multiply-add; each operand read once, the result written once. Else 0
};

class Stream {
 public:
  static Stream&
  of(Device device);  // the compute stream of that device; throws Error(device) where there is none
  Device device() const { return device_; }
  void* raw() const { return raw_; }  // cudaStream_t, null on the host
  void synchronize();                 // waits for all work queued so far; throws what it met
  bool capturing() const;             // inside a CUDA graph capture

  // On the meta device a launch is only counted: by this call, and told apart by its name. Convolutions and matrix products also
  // say what they cost at least: the floor under a step's time is made of these.
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
