// Device memory from a caching pool. Training asks for the same blocks every step, so after the first step every request
// is a hit and addresses repeat, which is what a captured graph needs.
#pragma once
#include <cstddef>

#include "kernels/stream.h"

namespace kernels {

// 256-byte aligned. Throws Error(memory) with the size asked for and the pool's state. bytes = 0 gives null.
void* allocate(Device device, std::size_t bytes);
void release(Device device, void* block, std::size_t bytes) noexcept;

struct PoolStats {
  std::size_t live_bytes, peak_bytes, cached_bytes, misses;
};
PoolStats pool_stats(Device device);
void release_cached(Device device);               // gives free blocks back to the system
void freeze_pool(Device device, bool frozen);     // while frozen a miss throws: nothing may be allocated inside a capture

// Test seam: the n-th request from now fails as if memory were out (0: off).
void fail_allocation_after(std::size_t n);

// Ordered on the stream of the device side; host-to-host is a plain copy. From device to host it waits.
void copy(void* destination, Device destination_device, const void* source, Device source_device, std::size_t bytes);
void fill_zero(Stream& stream, void* block, std::size_t bytes);

// RAII for one block.
class Buffer {
 public:
  Buffer() = default;
  Buffer(Device device, std::size_t bytes) : data_(allocate(device, bytes)), bytes_(bytes), device_(device) {}
  ~Buffer() { release(device_, data_, bytes_); }
  Buffer(Buffer&& other) noexcept : data_(other.data_), bytes_(other.bytes_), device_(other.device_) { other.data_ = nullptr; other.bytes_ = 0; }
  Buffer& operator=(Buffer&& other) noexcept {
    if (this != &other) { release(device_, data_, bytes_); data_ = other.data_; bytes_ = other.bytes_; device_ = other.device_; other.data_ = nullptr; other.bytes_ = 0; }
    return *this;
  }
  template <class T> T* as() const { return static_cast<T*>(data_); }
  void* data() const { return data_; }
  std::size_t bytes() const { return bytes_; }
  Device device() const { return device_; }

 private:
  void* data_ = nullptr;
  std::size_t bytes_ = 0;
  Device device_ = Device::host;
};

}  // namespace kernels
