// Records each request to the pool of device memory. The linker calls these functions
// in place of kernels::allocate and kernels::release.
#include <fmt/format.h>

#include "kernels/core/memory.h"
#include "tests/standin/promises.h"

using kernels::Device;

// The names that the linker's --wrap gives.
void* pool_allocate(Device, std::size_t) asm("__real__ZN7kernels8allocateENS_6DeviceEm");
void pool_release(Device, void*, std::size_t) noexcept
    asm("__real__ZN7kernels7releaseENS_6DeviceEPvm");
void* watched_allocate(Device, std::size_t) asm("__wrap__ZN7kernels8allocateENS_6DeviceEm");
void watched_release(Device, void*, std::size_t) noexcept
    asm("__wrap__ZN7kernels7releaseENS_6DeviceEPvm");

void* watched_allocate(Device device, std::size_t bytes) {
  void* const block = pool_allocate(device, bytes);
  if (block && device == Device::cuda)
    standin::note({.call = standin::kPoolTakes,
                   .text = fmt::format("{} bytes", bytes),
                   .operands = {{"block", block, bytes}}});
  return block;
}

void watched_release(Device device, void* block, std::size_t bytes) noexcept {
  if (block && device == Device::cuda)
    standin::note({.call = standin::kPoolGives, .operands = {{"block", block, bytes}}});
  pool_release(device, block, bytes);
}
