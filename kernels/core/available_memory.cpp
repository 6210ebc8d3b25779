#include "kernels/core/available_memory.h"

#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <limits>
#include <string>

#include "kernels/core/cuda/backend.h"
#include "kernels/core/memory.h"

namespace kernels {
namespace {

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

}  // namespace kernels
