// Device memory and copies on the CUDA runtime.
#include <cuda_runtime.h>

#include "kernels/cuda_backend.h"
#include "kernels/cuda_check.h"

namespace kernels::cuda {

void* allocate(std::size_t bytes) {
  Stream::of(Device::cuda);   // throws with the reason where there is no GPU
  void* block = nullptr;
  const cudaError_t error = cudaMalloc(&block, bytes);
  if (error == cudaErrorMemoryAllocation) {
    cudaGetLastError();   // the caller frees what it can and asks again
    return nullptr;
  }
  check(error, "cudaMalloc");
  return block;
}

// At exit the runtime may be gone already, and the memory with it: nothing to report then.
void free(void* block) noexcept { cudaFree(block); }

std::size_t free_memory() {
  Stream::of(Device::cuda);   // the context takes its part first
  std::size_t free_bytes = 0, total = 0;
  check(cudaMemGetInfo(&free_bytes, &total), "cudaMemGetInfo");
  return free_bytes;
}

void* allocate_pinned(std::size_t bytes) {
  Stream::of(Device::cuda);
  void* block = nullptr;
  const cudaError_t error = cudaHostAlloc(&block, bytes, cudaHostAllocMapped | cudaHostAllocPortable);
  if (error == cudaErrorMemoryAllocation) {
    cudaGetLastError();
    return nullptr;
  }
  check(error, "cudaHostAlloc");
  return block;
}
void free_pinned(void* block) noexcept { cudaFreeHost(block); }

void copy(void* destination, const void* source, std::size_t bytes, Direction direction) {
  Stream& stream = Stream::of(Device::cuda);
  const cudaMemcpyKind kind = direction == Direction::to_device ? cudaMemcpyHostToDevice
                              : direction == Direction::to_host ? cudaMemcpyDeviceToHost : cudaMemcpyDeviceToDevice;
  check(cudaMemcpyAsync(destination, source, bytes, kind, static_cast<cudaStream_t>(stream.raw())), "cudaMemcpyAsync");
  if (direction == Direction::to_host) stream.synchronize();
}

void fill_zero(void* stream, void* block, std::size_t bytes) {
  check(cudaMemsetAsync(block, 0, bytes, static_cast<cudaStream_t>(stream)), "cudaMemsetAsync");
}

}  // namespace kernels::cuda
