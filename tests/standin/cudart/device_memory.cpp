#include "tests/standin/cudart/device_memory.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstring>
#include <stdexcept>

#include "tests/standin/cudart/card.h"

namespace standin {
namespace {

// An address that no loader uses.
constexpr std::uintptr_t kBase = 0x2a5d'8000'0000;
// Blocks lie in the upper half of each 4 GiB. A count in a kernel's argument is smaller, so
// beside unset padding that held half an address it is not taken for one.
constexpr std::uintptr_t kHalf = 0x8000'0000;
constexpr std::size_t kSpace = std::size_t{1} << 40;  // addresses, more than memory
constexpr std::size_t kUnit = 512, kAlignment = 256;  // blocks begin at an odd multiple of 256
constexpr std::size_t kZeroByHole = std::size_t{1} << 16;
}  // namespace

DeviceMemory& DeviceMemory::get() {
  static auto* const memory = new DeviceMemory;  // never destroyed: programs free at exit
  return *memory;
}

DeviceMemory::DeviceMemory() : size_(card().totalGlobalMem) {
  void* const base = mmap(reinterpret_cast<void*>(kBase), kSpace, PROT_NONE,
                          MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED_NOREPLACE, -1, 0);
  file_ = memfd_create("card", MFD_CLOEXEC);
  if (base == MAP_FAILED || file_ < 0 || ftruncate(file_, static_cast<off_t>(kSpace)) != 0)
    throw std::runtime_error("stand-in card: no address space for its memory");
  void* const view =
      mmap(nullptr, kSpace, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, file_, 0);
  if (view == MAP_FAILED) throw std::runtime_error("stand-in card: cannot map its memory");
  base_ = next_ = reinterpret_cast<std::uintptr_t>(base);
  view_ = static_cast<std::byte*>(view);
}

void* DeviceMemory::allocate(std::size_t bytes) {
  const std::lock_guard lock(mutex_);
  const std::size_t taken = (bytes + kUnit - 1) / kUnit * kUnit + kUnit;
  if (taken < bytes || live_bytes_ + taken > size_) return nullptr;
  if (next_ + taken > base_ + kSpace) next_ = base_;  // the free addresses, from the beginning
  for (auto after = live_.lower_bound(next_); after != live_.end() && after->first < next_ + taken;
       after = live_.lower_bound(next_))
    next_ = (after->first + after->second) / kUnit * kUnit + kUnit;
  if (!(next_ & kHalf) || !((next_ + taken) & kHalf))
    next_ = (next_ + kHalf) / (2 * kHalf) * 2 * kHalf + kHalf;
  const std::uintptr_t address = next_ + kAlignment;
  next_ += taken;
  live_.emplace(address, bytes);
  live_bytes_ += bytes;
  return reinterpret_cast<void*>(address);
}

bool DeviceMemory::release(const void* block) {
  const std::lock_guard lock(mutex_);
  const auto found = live_.find(reinterpret_cast<std::uintptr_t>(block));
  if (found == live_.end()) return false;
  // Whole pages go back to the system.
  fallocate(file_, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
            static_cast<off_t>(found->first - base_), static_cast<off_t>(found->second));
  live_bytes_ -= found->second;
  live_.erase(found);
  return true;
}

bool DeviceMemory::contains(const void* address) const {
  const auto at = reinterpret_cast<std::uintptr_t>(address);
  return at >= base_ && at < base_ + kSpace && (at & kHalf);
}

bool DeviceMemory::in_block(const void* address, std::size_t bytes) const {
  const std::lock_guard lock(mutex_);
  const auto at = reinterpret_cast<std::uintptr_t>(address);
  auto after = live_.upper_bound(at);
  if (after == live_.begin()) return false;
  const auto& [begin, size] = *--after;
  return at - begin <= size && bytes <= size - (at - begin);
}

std::size_t DeviceMemory::live_bytes() const {
  const std::lock_guard lock(mutex_);
  return live_bytes_;
}

void* DeviceMemory::view(const void* address) const {
  return view_ + (reinterpret_cast<std::uintptr_t>(address) - base_);
}

void DeviceMemory::fill(void* address, int value, std::size_t bytes) const {
  if (value != 0 || bytes < kZeroByHole) {
    std::memset(view(address), value, bytes);
    return;
  }
  // A hole reads as zeros and costs no memory.
  fallocate(file_, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
            static_cast<off_t>(reinterpret_cast<std::uintptr_t>(address) - base_),
            static_cast<off_t>(bytes));
}
}  // namespace standin
