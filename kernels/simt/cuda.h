// The GPU side of simt.h: CUDA's words are the compiler's own; these are the launches.
#pragma once
#include <cuda_runtime.h>

#include <cstdint>

#define SIMT_CUDA 1
#define SIMT_BACKEND on_cuda
#define SIMT_DEVICE __device__ __forceinline__
#define SIMT_UNROLL _Pragma("unroll")
#define SIMT_NO_UNROLL _Pragma("unroll 1")
#define SIMT_SIMD
#define SIMT_SHARED(T, name, dims) __shared__ __align__(16) T name dims
#define SIMT_DYNAMIC_SHARED(T, name)                                   \
  extern __shared__ __align__(16) unsigned char simt_dynamic_shared[]; \
  T* const name = reinterpret_cast<T*>(simt_dynamic_shared)

namespace simt {
using ThisDevice = kernels::Cuda;

namespace runtime {
// Throws Error with the kernel's name and the launch's shape if CUDA refused it. `error`
// is the launch's own: cudaGetLastError() may hold what another library left behind.
void check_launch(cudaError_t error, const char* kernel, dim3 grid, dim3 block, void* stream);
// Blocks of a kernel that the whole card runs at the same time.
int resident_blocks(const void* kernel, int threads);
// The card and the kernel's code know programmatic dependent launch: sm_90 and newer.
// DOPPEL_PDL=0 in the environment turns it off.
bool may_overlap(const void* kernel);
}  // namespace runtime

inline namespace SIMT_BACKEND {

template <auto K> const char* kernel_name() { return __PRETTY_FUNCTION__; }

// Raw kernels. The three differ on the host only.
template <auto K, class... A>
void launch_with_shared(kernels::Stream& stream, dim3 grid, dim3 block,
                        std::size_t dynamic_shared_bytes, A... arguments) {
  cudaLaunchConfig_t launch{};
  launch.gridDim = grid;
  launch.blockDim = block;
  launch.dynamicSmemBytes = dynamic_shared_bytes;
  launch.stream = static_cast<cudaStream_t>(stream.raw());
  runtime::check_launch(cudaLaunchKernelEx(&launch, K, arguments...), kernel_name<K>(), grid, block,
                        stream.raw());
}
template <auto K, class... A>
void launch(kernels::Stream& stream, dim3 grid, dim3 block, A... arguments) {
  launch_with_shared<K>(stream, grid, block, 0, arguments...);
}
template <auto K, class... A>
void launch_with_barriers(kernels::Stream& stream, dim3 grid, dim3 block, A... arguments) {
  launch_with_shared<K>(stream, grid, block, 0, arguments...);
}

// As above; asked once per kernel. More blocks would wait, and each would begin anew.
template <auto K> int resident_blocks(int threads) {
  static const int blocks = runtime::resident_blocks(reinterpret_cast<const void*>(K), threads);
  return blocks;
}

// Programmatic dependent launch: a kernel launched by launch_overlapped may begin when all
// blocks of the kernel before it have begun, which hides its launch. The first statement
// of such a kernel, in every thread, is wait_for_predecessor(): it returns when the kernel
// before is complete and its writes are visible. That kernel has itself waited for its own
// predecessor, so all earlier work is complete too. Kernels launched otherwise, cuDNN's
// and cuBLAS's among them, begin after all earlier work as ever.
SIMT_DEVICE void wait_for_predecessor() {
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 900
  asm volatile("griddepcontrol.launch_dependents;" ::: "memory");
  asm volatile("griddepcontrol.wait;" ::: "memory");
#endif
}
template <auto K, class A>
void launch_overlapped(kernels::Stream& stream, dim3 grid, dim3 block, const A& argument) {
  static const bool overlaps = runtime::may_overlap(reinterpret_cast<const void*>(K));
  cudaLaunchAttribute overlap{};
  overlap.id = cudaLaunchAttributeProgrammaticStreamSerialization;
  overlap.val.programmaticStreamSerializationAllowed = 1;
  cudaLaunchConfig_t config{};
  config.gridDim = grid;
  config.blockDim = block;
  config.stream = static_cast<cudaStream_t>(stream.raw());
  config.attrs = &overlap;
  config.numAttrs = overlaps ? 1 : 0;
  runtime::check_launch(cudaLaunchKernelEx(&config, K, argument), kernel_name<K>(), grid, block,
                        stream.raw());
}

// Range kernels: 256 threads per block, and as many blocks as run at once.
template <auto K, std::int64_t piece = 16384, class... A>
void launch_range(kernels::Stream& stream, std::int64_t n, A... arguments) {
  if (n <= 0) return;
  const std::int64_t blocks = (n + 255) / 256;
  const int most = resident_blocks<K>(256);
  launch<K>(stream, dim3(static_cast<unsigned>(blocks < most ? blocks : most)), dim3(256),
            arguments...);
}

struct GridRange {
  struct Iterator {
    std::int64_t i, step;
    SIMT_DEVICE std::int64_t operator*() const { return i; }
    SIMT_DEVICE void operator++() { i += step; }
    SIMT_DEVICE bool operator!=(std::int64_t end) const { return i < end; }
  };
  std::int64_t first, n, step;
  SIMT_DEVICE Iterator begin() const { return {first, step}; }
  SIMT_DEVICE std::int64_t end() const { return n; }
};
SIMT_DEVICE GridRange grid_range(std::int64_t n) {
  return {static_cast<std::int64_t>(blockIdx.x) * blockDim.x + threadIdx.x, n,
          static_cast<std::int64_t>(gridDim.x) * blockDim.x};
}
}  // namespace SIMT_BACKEND
}  // namespace simt
