// The card's memory: one range of addresses that the program cannot touch, and behind it
// a sparse file that the stand-in's copies read and write.
#pragma once
#include <cstddef>
#include <cstdint>
#include <map>
#include <mutex>
#include <optional>

namespace standin {

class DeviceMemory {
 public:
  static DeviceMemory& get();

  // Aligned to 256 bytes and no more, which is all that CUDA promises. Null if memory is
  // out. A freed address is not given again soon, so a late use of it is seen.
  void* allocate(std::size_t bytes);
  bool release(const void* block);  // false if no block begins there
  bool contains(const void* address) const;
  bool in_block(const void* address, std::size_t bytes) const;
  std::size_t live_bytes() const;

  void* view(const void* address) const;  // where the stand-in itself finds these bytes
  void fill(void* address, int value, std::size_t bytes) const;

 private:
  DeviceMemory();
  std::uintptr_t base_ = 0;
  std::size_t size_ = 0;
  std::byte* view_ = nullptr;
  int file_ = -1;
  mutable std::mutex mutex_;
  std::map<std::uintptr_t, std::size_t> live_;  // address -> bytes
  std::uintptr_t next_ = 0;
  std::size_t live_bytes_ = 0;
};
}  // namespace standin
