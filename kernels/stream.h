// A stream: an ordered queue of work on one device. The host's stream runs each piece at once, before the call returns.
#pragma once
#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "kernels/error.h"
#include "kernels/types.h"

namespace kernels {

// meta: tensors with a shape and a place in the memory statistics, but no data; nothing is launched there. A training step
// run on it costs next to nothing and tells how much memory the real one needs.
enum class Device : std::uint8_t { host, cuda, meta };
const char* name(Device device);

struct CountedLaunch {
  std::string name;
  double flops, bytes;  // of a convolution or matrix product: 2 per multiply-add; each operand read once, the result written once. Else 0
};

class Stream {
 public:
  static Stream& of(Device device);        // the compute stream of that device; throws Error(device) where there is none
  Device device() const { return device_; }
  void* raw() const { return raw_; }       // cudaStream_t, null on the host
  void synchronize();                      // waits for all work queued so far; throws what it met
  bool capturing() const;                  // inside a CUDA graph capture

  // On the meta device a launch is only counted: by this call, and told apart by its name. Convolutions and matrix products also
  // say what they cost at least: the floor under a step's time is made of these.
  bool only_counts(const char* launch, double flops = 0, double bytes = 0) {
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

// What was found at run time and why. Never throws, never loads cuDNN.
struct CudaReport {
  bool built = false;       // this binary carries GPU code
  bool available = false;   // a driver and a device answer
  std::string reason;       // why not, or the card's name
  int compute_capability = 0;  // 90 for sm_90
  std::size_t memory_bytes = 0;
  std::string driver, runtime;
};
CudaReport probe_cuda();

// "auto" takes the GPU where one answers, else the host. "cuda" throws Error(device) with the reason where it does not.
Device choose_device(const std::string& name);  // "auto", "cpu" or "cuda"

// A training step recorded once and replayed with one launch. On the host there is nothing to capture.
class Graph {
 public:
  Graph() = default;
  ~Graph();
  Graph(const Graph&) = delete;
  Graph& operator=(const Graph&) = delete;
  void begin(Stream& stream);   // throws if the stream is the host's
  void end(Stream& stream);     // instantiates
  void abandon(Stream& stream) noexcept;  // ends a capture that failed
  void launch(Stream& stream);
  bool ready() const { return exec_ != nullptr; }
  std::size_t node_count() const { return nodes_; }

 private:
  void* exec_ = nullptr;
  std::size_t nodes_ = 0;
};

}  // namespace kernels
