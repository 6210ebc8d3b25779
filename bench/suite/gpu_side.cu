// Computes: nothing; gate_kernel holds a stream until the host opens it.
// Parallel: one block of one thread.
// Bytes:    one int of mapped host memory, polled.
// Source:   globaltimer of the PTX ISA, as the time limit.
#include "bench/suite/gpu_side.h"

#include <cub/device/device_reduce.cuh>

#include <vector>

#include "kernels/core/cuda/check.h"
#include "kernels/core/memory.h"

namespace bench::gpu {
namespace {

using kernels::cuda::check;

cudaStream_t raw(kernels::Stream& stream) { return static_cast<cudaStream_t>(stream.raw()); }

// Spins until the host sets *open, or for 2 s of the card's clock.
__global__ void gate_kernel(const volatile int* open) {
  unsigned long long begin, now;
  asm volatile("mov.u64 %0, %%globaltimer;" : "=l"(begin));
  do {
    asm volatile("mov.u64 %0, %%globaltimer;" : "=l"(now));
  } while (*open == 0 && now - begin < 2000000000ull);
}

// A word in mapped host memory and two events, for one measuring thread.
struct Gate {
  volatile int* open = nullptr;
  int* open_on_device = nullptr;
  cudaEvent_t begin{}, end{};
  Gate() {
    void* word = nullptr;
    check(cudaHostAlloc(&word, sizeof(int), cudaHostAllocMapped), "cudaHostAlloc");
    open = static_cast<volatile int*>(word);
    void* seen = nullptr;
    check(cudaHostGetDevicePointer(&seen, word, 0), "cudaHostGetDevicePointer");
    open_on_device = static_cast<int*>(seen);
    check(cudaEventCreate(&begin), "cudaEventCreate");
    check(cudaEventCreate(&end), "cudaEventCreate");
  }
};
}  // namespace

double time_behind_gate(kernels::Stream& stream, const std::function<void()>& work) {
  static Gate* const gate = new Gate;  // never destroyed: at exit the driver may be gone
  *gate->open = 0;
  gate_kernel<<<1, 1, 0, raw(stream)>>>(gate->open_on_device);
  check(cudaGetLastError(), "launching the gate");
  check(cudaEventRecord(gate->begin, raw(stream)), "cudaEventRecord");
  try {
    work();
  } catch (...) {
    *gate->open = 1;
    throw;
  }
  check(cudaEventRecord(gate->end, raw(stream)), "cudaEventRecord");
  *gate->open = 1;
  stream.synchronize();
  float milliseconds = 0;
  check(cudaEventElapsedTime(&milliseconds, gate->begin, gate->end), "cudaEventElapsedTime");
  return 1e-3 * static_cast<double>(milliseconds);
}

Launches inspect(kernels::Stream& stream, const std::function<void()>& work) {
  Launches found;
  check(cudaStreamBeginCapture(raw(stream), cudaStreamCaptureModeThreadLocal),
        "beginning a capture");
  cudaGraph_t graph = nullptr;
  try {
    work();
  } catch (...) {
    cudaStreamEndCapture(raw(stream), &graph);
    if (graph) cudaGraphDestroy(graph);
    cudaGetLastError();
    return found;
  }
  if (cudaStreamEndCapture(raw(stream), &graph) != cudaSuccess || !graph) {
    cudaGetLastError();
    return found;
  }
  std::size_t count = 0;
  cudaGraphGetNodes(graph, nullptr, &count);
  std::vector<cudaGraphNode_t> nodes(count);
  cudaGraphGetNodes(graph, nodes.data(), &count);
  unsigned long long most_blocks = 0;
  int device = 0;
  cudaDeviceProp card{};
  cudaGetDevice(&device);
  cudaGetDeviceProperties(&card, device);
  for (const cudaGraphNode_t node : nodes) {
    cudaGraphNodeType type;
    if (cudaGraphNodeGetType(node, &type) != cudaSuccess || type != cudaGraphNodeTypeKernel)
      continue;
    ++found.kernels;
    cudaKernelNodeParams launch{};
    cudaFuncAttributes attributes{};
    if (cudaGraphKernelNodeGetParams(node, &launch) != cudaSuccess ||
        cudaFuncGetAttributes(&attributes, launch.func) != cudaSuccess)
      continue;
    const unsigned long long blocks = 1ull * launch.gridDim.x * launch.gridDim.y * launch.gridDim.z;
    if (blocks < most_blocks) continue;
    most_blocks = blocks;
    const unsigned threads = launch.blockDim.x * launch.blockDim.y * launch.blockDim.z;
    int resident = 0;
    cudaOccupancyMaxActiveBlocksPerMultiprocessor(&resident, launch.func, static_cast<int>(threads),
                                                  launch.sharedMemBytes);
    found.registers = attributes.numRegs;
    found.shared_bytes = attributes.sharedSizeBytes + launch.sharedMemBytes;
    found.occupancy = static_cast<double>(resident) * threads / card.maxThreadsPerMultiProcessor;
  }
  cudaGraphDestroy(graph);
  cudaGetLastError();
  return found;
}

std::size_t cache_bytes() {
  int bytes = 0, device = 0;
  check(cudaGetDevice(&device), "cudaGetDevice");
  check(cudaDeviceGetAttribute(&bytes, cudaDevAttrL2CacheSize, device), "cudaDeviceGetAttribute");
  return static_cast<std::size_t>(bytes);
}

void copy_rows(kernels::Stream& stream, const void* from, std::size_t from_pitch, void* to,
               std::size_t to_pitch, std::size_t bytes, std::size_t rows) {
  check(cudaMemcpy2DAsync(to, to_pitch, from, from_pitch, bytes, rows, cudaMemcpyDeviceToDevice,
                          raw(stream)),
        "cudaMemcpy2DAsync");
}

void cub_sum(kernels::Stream& stream, const float* x, float* out, std::int64_t n) {
  std::size_t bytes = 0;
  check(cub::DeviceReduce::Sum(nullptr, bytes, x, out, n, raw(stream)), "cub::DeviceReduce::Sum");
  const kernels::Buffer scratch(kernels::Device::cuda, bytes);
  check(cub::DeviceReduce::Sum(scratch.data(), bytes, x, out, n, raw(stream)),
        "cub::DeviceReduce::Sum");
}
}  // namespace bench::gpu
