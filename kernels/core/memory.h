// Device memory from a caching pool. Training repeats its requests every step: they are
// hits from the second on, and addresses repeat, as a captured graph needs.
#pragma once
#include <cstddef>
#include <memory>

#include "kernels/core/stream.h"

namespace kernels {

// 256-byte aligned; null for 0 bytes. Throws Error(memory) with the pool's state.
void* allocate(Device device, std::size_t bytes);
void release(Device device, void* block, std::size_t bytes) noexcept;

struct PoolStats {
  std::size_t live_bytes, peak_bytes, cached_bytes, misses;
  std::size_t reserved_bytes;  // free blocks held for a captured graph
};
PoolStats pool_stats(Device device);
void release_cached(Device device);  // gives free blocks back to the system
// The bytes this process may still take, the pool's free blocks included. On the host:
// the smallest of what the system, the control group and the address-space limit leave.
std::size_t available_memory(Device device);

// The blocks of a captured graph. Until close(), a request of this thread that misses
// the pool throws (a capture cannot allocate), and every block handed out is noted. From
// then on these blocks do not circulate, because the graph writes to them at every
// launch; they do again once they are free and the GraphMemory is gone. Other threads
// get other blocks meanwhile.
class GraphMemory {
 public:
  explicit GraphMemory(Device device);  // throws if another one is open on this device
  ~GraphMemory();
  void close() noexcept;
  GraphMemory(const GraphMemory&) = delete;
  GraphMemory& operator=(const GraphMemory&) = delete;

 private:
  Device device_;
};

// Blocks that the pool takes from the system in this scope go back to it at its end, if
// they are free by then: large scratch of a job that is not repeated. One at a time.
class ScratchMemory {
 public:
  explicit ScratchMemory(Device device);
  ~ScratchMemory();
  ScratchMemory(const ScratchMemory&) = delete;
  ScratchMemory& operator=(const ScratchMemory&) = delete;

 private:
  Device device_;
};

// Test seam: the n-th request from now fails as if memory were out (0: off).
void fail_allocation_after(std::size_t n);

// Ordered on the GPU's stream; host to host is a plain copy. A copy between a GPU and the
// host waits, and throws in a graph capture.
void copy(void* destination, Device destination_device,  //
          const void* source, Device source_device,      //
          std::size_t bytes);
void fill_zero(Stream& stream, void* block, std::size_t bytes);

// Host memory that GPU kernels read over the bus: for data too large for the card.
class PinnedBuffer {
 public:
  PinnedBuffer() = default;
  explicit PinnedBuffer(std::size_t bytes);    // throws Error(device) without a GPU, Error(memory)
  void* data() const { return block_.get(); }  // the same address on both devices

 private:
  struct Unpin {
    void operator()(void* block) const noexcept;
  };
  std::unique_ptr<void, Unpin> block_;
};

// Owns one block.
struct Release {
  Device device = Device::host;
  std::size_t bytes = 0;
  void operator()(void* block) const noexcept { release(device, block, bytes); }
};
class Buffer {
 public:
  Buffer() = default;
  Buffer(Device device, std::size_t bytes)
      : block_(allocate(device, bytes), Release{device, bytes}) {}
  template <class T> T* as() const { return static_cast<T*>(data()); }
  void* data() const { return block_.get(); }
  std::size_t bytes() const { return data() ? block_.get_deleter().bytes : 0; }
  Device device() const { return block_.get_deleter().device; }

 private:
  std::unique_ptr<void, Release> block_;
};
}  // namespace kernels
