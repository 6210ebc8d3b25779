// The caching pool. A request is rounded up to its size class (multiples of 512 bytes
// up to 1 MiB, then of 2 MiB); a freed block waits for the next request of its class.
// Requests repeat exactly, so splitting or best fit would find no more hits.
//
// The GPU's pool needs no events: all work is in one stream, so a block's next user
// runs after its last one.
#include "kernels/core/memory.h"

#include <fmt/format.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <limits>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "kernels/core/cuda/backend.h"
#include "kernels/simt/config.h"

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#define POISON(p, bytes) __asan_poison_memory_region(p, bytes)
#define UNPOISON(p, bytes) __asan_unpoison_memory_region(p, bytes)
#else
#define POISON(p, bytes) static_cast<void>(0)
#define UNPOISON(p, bytes) static_cast<void>(0)
#endif

namespace kernels {
namespace {

constexpr std::size_t alignment = 256;
std::atomic<std::int64_t> requests_to_failure{0};  // the test seam of fail_allocation_after()

std::size_t size_class(std::size_t bytes) {
  const std::size_t step = bytes <= std::size_t{1} << 20 ? 512 : std::size_t{2} << 20;
  const std::size_t rounded = (bytes + step - 1) / step * step;
  return rounded < bytes ? 0 : rounded;  // 0: beyond the address space
}

class Pool {
 public:
  explicit Pool(Device device) : device_(device) {}

  void* allocate(std::size_t bytes) {
    const std::size_t size = size_class(bytes);
    const std::lock_guard lock(mutex_);
    if (requests_to_failure > 0 && --requests_to_failure == 0)
      fail(bytes, "out of memory (injected by a test)");
    if (size == 0) fail(bytes, "no machine has that much");
    const bool captured = open_ && opener_ == std::this_thread::get_id();
    void* block = take_cached(size, captured);
    if (!block) {
      if (captured)
        fail(bytes,
             "a graph is being captured, which may not allocate; run the step once before "
             "capturing it");
      block = take_fresh(size);
      if (!block) {  // free blocks of other sizes may hold the missing memory
        release_cached_locked();
        block = take_fresh(size);
      }
      if (!block)
        fail(bytes, "out of memory; use a smaller batch or model, or close other programs");
      ++stats_.misses;
    }
    if (captured) reserved_[block] = {open_};
    stats_.live_bytes += size;
    stats_.peak_bytes = std::max(stats_.peak_bytes, stats_.live_bytes);
    if (device_ == Device::host) {
      UNPOISON(block, bytes);  // the rest of the size class stays poisoned
      if (simt::config().poison) std::memset(block, 0xff, bytes);
    }
    return block;
  }

  void release(void* block, std::size_t bytes) noexcept {
    const std::size_t size = size_class(bytes);
    const std::lock_guard lock(mutex_);
    stats_.live_bytes -= size;
    if (device_ == Device::host) POISON(block, size);
    const auto reserved = reserved_.find(block);
    if (reserved != reserved_.end() && reserved->second.owner != open_)
      return hold(reserved->second, size);
    try {
      circulate(block, size);
    } catch (...) {  // no memory for the list: the block itself goes back to the system
      reserved_.erase(block);
      give_back(block, size);
    }
  }

  void open(const GraphMemory* owner) {
    const std::lock_guard lock(mutex_);
    if (open_)
      throw Error(
          ErrorKind::failure,
          fmt::format("{} memory: another graph is being captured; close it first", name(device_)));
    open_ = owner;
    opener_ = std::this_thread::get_id();
  }
  // Takes the capture's blocks out of the free lists.
  void close(const GraphMemory* owner) {
    const std::lock_guard lock(mutex_);
    if (open_ != owner) return;
    open_ = nullptr;
    for (auto& [size, blocks] : free_) {
      std::erase_if(blocks, [&, bytes = size](void* block) {
        const auto reserved = reserved_.find(block);
        if (reserved == reserved_.end() || reserved->second.owner != owner) return false;
        stats_.cached_bytes -= bytes;
        hold(reserved->second, bytes);
        return true;
      });
    }
  }
  void forget(const GraphMemory* owner) {
    close(owner);
    const std::lock_guard lock(mutex_);
    std::erase_if(reserved_, [&](const auto& entry) {
      const auto& [block, reserved] = entry;
      if (reserved.owner != owner) return false;
      if (reserved.idle_bytes > 0) circulate(block, reserved.idle_bytes);
      stats_.reserved_bytes -= reserved.idle_bytes;
      return true;
    });
  }

  void open_scratch() {
    const std::lock_guard lock(mutex_);
    if (scratch_)
      throw Error(ErrorKind::failure,
                  fmt::format("{} memory: two scratch scopes at a time", name(device_)));
    scratch_.emplace();
  }
  void close_scratch() noexcept {
    const std::lock_guard lock(mutex_);
    give_back_if([&](void* block) { return scratch_->contains(block); });
    scratch_.reset();
  }

  PoolStats stats() {
    const std::lock_guard lock(mutex_);
    return stats_;
  }
  void release_cached() {
    const std::lock_guard lock(mutex_);
    release_cached_locked();
  }

 private:
  // A block of a captured graph, which does not circulate.
  struct Reserved {
    const GraphMemory* owner;
    std::size_t idle_bytes = 0;  // its size class while it is free
  };
  void hold(Reserved& reserved, std::size_t size) {
    reserved.idle_bytes = size;
    stats_.reserved_bytes += size;
  }
  void circulate(void* block, std::size_t size) {
    free_[size].push_back(block);
    stats_.cached_bytes += size;
  }
  // The latest freed. Another thread gets none of the blocks that a capture has used.
  void* take_cached(std::size_t size, bool captured) {
    const auto found = free_.find(size);
    if (found == free_.end()) return nullptr;
    std::vector<void*>& blocks = found->second;
    const auto last = std::find_if(blocks.rbegin(), blocks.rend(), [&](void* block) {
      return !open_ || captured || !reserved_.contains(block);
    });
    if (last == blocks.rend()) return nullptr;
    void* const block = *last;
    blocks.erase(std::next(last).base());
    stats_.cached_bytes -= size;
    return block;
  }
  void* take_fresh(std::size_t size) {
    void* const block = take_from_system(size);
    if (block && scratch_) scratch_->insert(block);
    return block;
  }
  void* take_from_system(std::size_t size) {
    if (device_ == Device::cuda) return cuda::allocate(size);
    if (device_ == Device::meta)  // a unique address, never read
      return reinterpret_cast<void*>(next_meta_ += size);
    void* const block = std::aligned_alloc(alignment, size);
    if (block) POISON(block, size);
    return block;
  }
  void give_back(void* block, [[maybe_unused]] std::size_t size) noexcept {
    if (device_ == Device::cuda) return cuda::free(block);
    if (device_ == Device::meta) return;
    UNPOISON(block, size);
    std::free(block);
  }
  // All but the blocks of an open capture, whose graph will write to them.
  void release_cached_locked() {
    give_back_if([&](void* block) { return !open_ || !reserved_.contains(block); });
  }
  template <class F> void give_back_if(const F& wanted) {
    for (auto& [size, blocks] : free_)
      std::erase_if(blocks, [&, bytes = size](void* block) {
        if (!wanted(block)) return false;
        stats_.cached_bytes -= bytes;
        give_back(block, bytes);
        return true;
      });
  }
  [[noreturn]] void fail(std::size_t bytes, const char* why) const {
    throw Error(ErrorKind::memory,
                fmt::format("{} memory: no block of {} bytes: {} (in use {:.1f} MiB, peak {:.1f} "
                            "MiB, cached {:.1f} MiB)",
                            name(device_), bytes, why, mib(stats_.live_bytes),
                            mib(stats_.peak_bytes), mib(stats_.cached_bytes)));
  }
  static double mib(std::size_t bytes) { return static_cast<double>(bytes) / (1 << 20); }

  const Device device_;
  std::mutex mutex_;
  std::unordered_map<std::size_t, std::vector<void*>> free_;
  PoolStats stats_{};
  std::uintptr_t next_meta_ = 0;
  const GraphMemory* open_ = nullptr;  // the graph being captured
  std::thread::id opener_;             // by this thread
  std::unordered_map<void*, Reserved> reserved_;
  std::optional<std::unordered_set<void*>> scratch_;  // taken from the system in a scratch scope
};

// Never destroyed: a Buffer with static lifetime may be released after everything else.
Pool& pool(Device device) {
  static Pool* const host = new Pool(Device::host);
  static Pool* const cuda = new Pool(Device::cuda);
  static Pool* const meta = new Pool(Device::meta);
  return device == Device::host ? *host : device == Device::cuda ? *cuda : *meta;
}

constexpr std::size_t no_limit = std::numeric_limits<std::size_t>::max();

std::size_t left(std::size_t limit, std::size_t used) { return limit > used ? limit - used : 0; }

std::size_t system_leaves() {
  std::ifstream info("/proc/meminfo");
  for (std::string line; std::getline(info, line);)
    if (line.starts_with("MemAvailable:")) return std::stoull(line.substr(13)) * 1024;
  return no_limit;
}

// "max" or a missing file is no limit. Page cache counts as used in a group, so the
// result may be too small, never too large.
std::size_t group_leaves() {
  std::size_t limit = 0, used = 0;
  if (!(std::ifstream("/sys/fs/cgroup/memory.max") >> limit) ||
      !(std::ifstream("/sys/fs/cgroup/memory.current") >> used))
    return no_limit;
  return left(limit, used);
}

std::size_t address_space_leaves() {
  rlimit limit{};
  std::size_t pages = 0;
  if (getrlimit(RLIMIT_AS, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY ||
      !(std::ifstream("/proc/self/statm") >> pages))
    return no_limit;
  return left(limit.rlim_cur, pages * static_cast<std::size_t>(sysconf(_SC_PAGESIZE)));
}
}  // namespace

void* allocate(Device device, std::size_t bytes) {
  return bytes == 0 ? nullptr : pool(device).allocate(bytes);
}

void release(Device device, void* block, std::size_t bytes) noexcept {
  if (block) pool(device).release(block, bytes);
}

PoolStats pool_stats(Device device) { return pool(device).stats(); }
void release_cached(Device device) { pool(device).release_cached(); }

std::size_t available_memory(Device device) {
  const std::size_t cached = pool_stats(device).cached_bytes;  // ours already
  switch (device) {
    case Device::host:
      return std::min({system_leaves(), group_leaves(), address_space_leaves()}) + cached;
    case Device::cuda: return cuda::free_memory() + cached;
    case Device::meta: break;
  }
  return no_limit;
}

GraphMemory::GraphMemory(Device device) : device_(device) { pool(device).open(this); }
GraphMemory::~GraphMemory() { pool(device_).forget(this); }
void GraphMemory::close() noexcept { pool(device_).close(this); }
ScratchMemory::ScratchMemory(Device device) : device_(device) { pool(device).open_scratch(); }
ScratchMemory::~ScratchMemory() { pool(device_).close_scratch(); }
void fail_allocation_after(std::size_t n) { requests_to_failure = static_cast<std::int64_t>(n); }

PinnedBuffer::PinnedBuffer(std::size_t bytes)
    : block_(bytes ? cuda::allocate_pinned(bytes) : nullptr) {
  if (bytes && !block_)
    throw Error(ErrorKind::memory,
                fmt::format("host memory: cannot pin {} bytes; use fewer faces", bytes));
}
void PinnedBuffer::Unpin::operator()(void* block) const noexcept { cuda::free_pinned(block); }

void copy(void* destination, Device destination_device, const void* source, Device source_device,
          std::size_t bytes) {
  if (bytes == 0 || destination_device == Device::meta) return;
  if (source_device == Device::meta)
    throw Error(ErrorKind::failure,
                fmt::format("copy: {} bytes from the meta device, which holds no data", bytes));
  if (destination_device == Device::host && source_device == Device::host) {
    std::memcpy(destination, source, bytes);
    return;
  }
  cuda::copy(destination, source, bytes,
             source_device == Device::host        ? cuda::CopyKind::to_device
             : destination_device == Device::host ? cuda::CopyKind::to_host
                                                  : cuda::CopyKind::on_device);
}

void fill_zero(Stream& stream, void* block, std::size_t bytes) {
  if (bytes == 0) return;
  if (stream.device() == Device::cuda) cuda::fill_zero(stream.raw(), block, bytes);
  stream.moves(bytes);
  if (!stream.dry_run("fill_zero") && stream.device() == Device::host) std::memset(block, 0, bytes);
}
}  // namespace kernels
