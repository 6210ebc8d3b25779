// The runtime's memory: allocation, copies, fills.
#include <cuda_runtime_api.h>
#include <fmt/format.h>

#include <cstdlib>
#include <cstring>
#include <map>

#include "tests/standin/cudart/card.h"
#include "tests/standin/cudart/device_memory.h"
#include "tests/standin/cudart/stream_state.h"

namespace standin {
namespace {

std::map<std::uintptr_t, std::size_t>& pinned_blocks() {
  static auto* const blocks = new std::map<std::uintptr_t, std::size_t>;
  return *blocks;
}

void* reachable(const void* address) {
  return on_device(address) ? DeviceMemory::get().view(address) : const_cast<void*>(address);
}

const char* place(const void* address) {
  return on_device(address) ? "device" : pinned(address) ? "pinned" : "host";
}

bool is_there(const void* address, std::size_t bytes) {
  return !on_device(address) || DeviceMemory::get().in_block(address, bytes);
}

cudaError_t copy(const char* call, void* to, std::size_t to_pitch, const void* from,
                 std::size_t from_pitch, std::size_t bytes, std::size_t rows, cudaStream_t stream) {
  const std::size_t to_span = rows ? (rows - 1) * to_pitch + bytes : 0,
                    from_span = rows ? (rows - 1) * from_pitch + bytes : 0;
  Event event{.call = call,
              .text = fmt::format("{} to {}, {} bytes", place(from), place(to), rows * bytes),
              .operands = {{"to", to, to_span}, {"from", from, from_span}}};
  if (!is_there(to, to_span) || !is_there(from, from_span)) {
    event.error = cudaErrorInvalidValue;
    note(std::move(event));
    return result(cudaErrorInvalidValue);
  }
  CUgraphNode_st node{
      std::move(event), [=] {
        for (std::size_t row = 0; row < rows; ++row)
          std::memmove(static_cast<std::byte*>(reachable(to)) + row * to_pitch,
                       static_cast<const std::byte*>(reachable(from)) + row * from_pitch, bytes);
      }};
  node.microseconds = 2 + static_cast<double>(rows * bytes) / 2e6;
  node.type = cudaGraphNodeTypeMemcpy;
  return queue(stream, std::move(node));
}

cudaError_t fill(void* block, int value, std::size_t bytes, cudaStream_t stream) {
  Event event{.call = "cudaMemset",
              .text = fmt::format("{} with {}, {} bytes", place(block), value, bytes),
              .operands = {{"to", block, bytes}}};
  if (!on_device(block) || !is_there(block, bytes)) {
    event.error = cudaErrorInvalidValue;
    note(std::move(event));
    return result(cudaErrorInvalidValue);
  }
  CUgraphNode_st node{std::move(event), [=] { DeviceMemory::get().fill(block, value, bytes); }};
  node.microseconds = 2 + static_cast<double>(bytes) / 4e6;
  node.type = cudaGraphNodeTypeMemset;
  return queue(stream, std::move(node));
}
}  // namespace

bool pinned(const void* address) {
  const std::lock_guard lock(states());
  const auto at = reinterpret_cast<std::uintptr_t>(address);
  auto after = pinned_blocks().upper_bound(at);
  return after != pinned_blocks().begin() &&
         at - std::prev(after)->first < std::prev(after)->second;
}
}  // namespace standin

using namespace standin;

extern "C" {
cudaError_t cudaMalloc(void** block, std::size_t bytes) {
  cudaError_t status = unsafe_in_capture();
  *block = nullptr;
  if (status == cudaSuccess && bytes > 0 && !(*block = DeviceMemory::get().allocate(bytes)))
    status = cudaErrorMemoryAllocation;
  note({.call = "cudaMalloc",
        .text = fmt::format("{} bytes", bytes),
        .error = status,
        .operands = {{"block", *block, bytes}}});
  return result(status);
}

cudaError_t cudaFree(void* block) {
  cudaError_t status = unsafe_in_capture();
  if (status == cudaSuccess && block && !DeviceMemory::get().release(block))
    status = cudaErrorInvalidValue;
  note({.call = "cudaFree", .error = status, .operands = {{"block", block, 0}}});
  return result(status);
}

cudaError_t cudaHostAlloc(void** block, std::size_t bytes, unsigned) {
  const cudaError_t status = unsafe_in_capture();
  *block = status == cudaSuccess ? std::aligned_alloc(4096, (bytes + 4095) / 4096 * 4096) : nullptr;
  if (*block) {
    const std::lock_guard lock(states());
    pinned_blocks()[reinterpret_cast<std::uintptr_t>(*block)] = bytes;
  }
  return noted("cudaHostAlloc", fmt::format("{} bytes", bytes),
               *block || status != cudaSuccess ? status : cudaErrorMemoryAllocation);
}
cudaError_t cudaMallocHost(void** block, std::size_t bytes) {
  return cudaHostAlloc(block, bytes, 0);
}
cudaError_t cudaFreeHost(void* block) {
  const cudaError_t status = unsafe_in_capture();
  if (status == cudaSuccess) {
    const std::lock_guard lock(states());
    pinned_blocks().erase(reinterpret_cast<std::uintptr_t>(block));
    std::free(block);
  }
  return noted("cudaFreeHost", "", status);
}
cudaError_t cudaHostGetDevicePointer(void** seen, void* block, unsigned) {
  *seen = block;
  return result(pinned(block) ? cudaSuccess : cudaErrorInvalidValue);
}

cudaError_t cudaMemGetInfo(std::size_t* free_bytes, std::size_t* total) {
  *total = card().totalGlobalMem;
  *free_bytes = *total - live_device_bytes();
  return cudaSuccess;
}

cudaError_t cudaPointerGetAttributes(cudaPointerAttributes* attributes, const void* address) {
  *attributes = {};
  attributes->type = on_device(address) ? cudaMemoryTypeDevice
                     : pinned(address)  ? cudaMemoryTypeHost
                                        : cudaMemoryTypeUnregistered;
  attributes->devicePointer = attributes->type ? const_cast<void*>(address) : nullptr;
  attributes->hostPointer = on_device(address) ? nullptr : const_cast<void*>(address);
  return cudaSuccess;
}

cudaError_t cudaMemcpyAsync(void* to, const void* from, std::size_t bytes, cudaMemcpyKind,
                            cudaStream_t stream) {
  return copy("cudaMemcpy", to, bytes, from, bytes, bytes, 1, stream);
}
cudaError_t cudaMemcpy2DAsync(void* to, std::size_t to_pitch, const void* from,
                              std::size_t from_pitch, std::size_t bytes, std::size_t rows,
                              cudaMemcpyKind, cudaStream_t stream) {
  return copy("cudaMemcpy", to, to_pitch, from, from_pitch, bytes, rows, stream);
}
cudaError_t cudaMemcpy(void* to, const void* from, std::size_t bytes, cudaMemcpyKind kind) {
  if (const cudaError_t status = unsafe_in_capture(); status != cudaSuccess)
    return noted("cudaMemcpy", "on the legacy stream, waiting", status);
  return cudaMemcpyAsync(to, from, bytes, kind, nullptr);
}
cudaError_t cudaMemsetAsync(void* block, int value, std::size_t bytes, cudaStream_t stream) {
  return fill(block, value, bytes, stream);
}
cudaError_t cudaMemset(void* block, int value, std::size_t bytes) {
  if (const cudaError_t status = unsafe_in_capture(); status != cudaSuccess)
    return noted("cudaMemset", "on the legacy stream, waiting", status);
  return fill(block, value, bytes, nullptr);
}
}
