// A stream: an ordered queue of work on one device. The host's stream runs each piece
// at once, before the call returns.
#pragma once
#include <string>
#include <utility>
#include <vector>

#include "kernels/core/device.h"
#include "kernels/core/types.h"

namespace kernels {

// The product behind a convolution or dense layer as a GPU computes it, [m,k] x [k,n].
// Channels are padded to 16 bytes, by copies.
struct CountedProduct {
  double m = 0, n = 0, k = 0;
  double copied_bytes = 0;
  int copies = 0;
};

// A launch as the GPU would make it, counted on the meta device: a kernel of ours, or a
// call of cuDNN or cuBLAS, which may be more than one kernel. Its cost is the least: 2
// flops per multiply-add, each array read or written once.
struct CountedLaunch {
  std::string name;
  double flops = 0, bytes = 0;
  CountedProduct product = {};  // m is 0 for other kernels
};

class Stream {
 public:
  // The compute stream of a device. Throws Error(device) without one.
  static Stream& of(Device device);
  Device device() const { return device_; }
  void* raw() const { return raw_; }  // cudaStream_t, null on the host
  void synchronize();                 // waits for all queued work; throws its errors
  bool capturing() const;             // inside a CUDA graph capture

  // The cost of the next launch, for the meta device's count; free elsewhere:
  //   simt::launch_range<add_kernel<T>>(stream.moves(3 * n * sizeof(T)), n, a, b, out, n);
  Stream& moves(std::size_t bytes) {
    if (device_ == Device::meta) next_.bytes = static_cast<double>(bytes);
    return *this;
  }
  Stream& computes(double flops, const CountedProduct& product = {}) {
    if (device_ == Device::meta) next_.flops = flops, next_.product = product;
    return *this;
  }
  // True on the meta device: the launch is counted, and the caller returns.
  bool dry_run(const char* launch) {
    if (device_ != Device::meta) return false;
    next_.name = launch;
    counted_.push_back(std::exchange(next_, {}));
    return true;
  }
  std::vector<CountedLaunch> take_counted() { return std::exchange(counted_, {}); }

  Stream(const Stream&) = delete;
  Stream& operator=(const Stream&) = delete;

 private:
  Stream(Device device, void* raw) : device_(device), raw_(raw) {}
  Device device_;
  void* raw_;
  CountedLaunch next_;
  std::vector<CountedLaunch> counted_;
};
}  // namespace kernels
