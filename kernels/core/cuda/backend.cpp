// The CUDA runtime is linked statically and loads the driver at its first call, so the
// program starts on a machine without one.
#include <cuda_runtime.h>
#include <fmt/format.h>

#include <cstdlib>
#include <cstring>

#include "kernels/core/cuda/backend.h"
#include "kernels/core/cuda/check.h"
#include "kernels/core/environment.h"

namespace kernels::cuda {
namespace {

std::string version(int v) {
  return v > 0 ? fmt::format("{}.{}", v / 1000, v % 1000 / 10) : "none";
}
cudaStream_t raw(void* stream) { return static_cast<cudaStream_t>(stream); }

CudaReport query() {
  CudaReport report;
  report.built = true;
  int driver = 0, runtime = 0, devices = 0;
  cudaRuntimeGetVersion(&runtime);
  cudaDriverGetVersion(&driver);  // 0 where there is no driver
  report.runtime = version(runtime);
  report.driver = version(driver);
  if (driver == 0) {
    report.reason = "no NVIDIA driver is installed";
    return report;
  }
  cudaDeviceProp card;
  cudaError_t error = cudaGetDeviceCount(&devices);
  if (error == cudaSuccess && devices > 0) error = cudaGetDeviceProperties(&card, 0);
  cudaGetLastError();  // clears the probe's error, which no later call shall report
  if (error == cudaErrorInsufficientDriver) {
    report.reason =
        fmt::format("the NVIDIA driver is too old: it supports CUDA {}, this program needs {}",
                    report.driver, report.runtime);
  } else if (error == cudaErrorNoDevice || (error == cudaSuccess && devices == 0)) {
    report.reason =
        "a driver is installed, but it shows no GPU (--gpu or CUDA_VISIBLE_DEVICES may name one "
        "that is not there)";
  } else if (error != cudaSuccess) {
    report.reason = fmt::format("the CUDA driver reports: {}", cudaGetErrorString(error));
  } else {
    report.reason = card.name;
    report.compute_capability = card.major * 10 + card.minor;
    report.memory_bytes = card.totalGlobalMem;
    report.available = report.compute_capability >= 75;
    if (!report.available)
      report.reason +=
          fmt::format(" has compute capability {}.{}; 7.5 is the oldest this program supports",
                      card.major, card.minor);
  }
  return report;
}
}  // namespace

bool is_sticky(cudaError_t error) {
  switch (error) {
    case cudaErrorIllegalAddress:
    case cudaErrorMisalignedAddress:
    case cudaErrorInvalidAddressSpace:
    case cudaErrorIllegalInstruction:
    case cudaErrorInvalidPc:
    case cudaErrorHardwareStackError:
    case cudaErrorAssert:
    case cudaErrorLaunchFailure:
    case cudaErrorLaunchTimeout: return true;
    default: return false;
  }
}

void fail(cudaError_t error, const std::string& what) {
  const ErrorKind kind =
      error == cudaErrorMemoryAllocation ? ErrorKind::memory : ErrorKind::failure;
  std::string text =
      fmt::format("{}: {} ({})", what, cudaGetErrorString(error), cudaGetErrorName(error));
  if (error == cudaErrorNoKernelImageForDevice)
    text += ". Build for this card's compute capability, with -DCMAKE_CUDA_ARCHITECTURES";
  if (is_sticky(error) && !sync_launches())
    text +=
        ". A kernel launched earlier may be at fault: run again with DOPPEL_SYNC_LAUNCHES=1 "
        "in the environment, which waits for each launch and names it";
  throw Error(kind, text);
}

bool sync_launches() {
  static const bool on = switched_on("DOPPEL_SYNC_LAUNCHES");
  return on;
}

void finish_launch(void* stream, const char* what) {
  if (!sync_launches() || capturing(stream)) return;
  if (const cudaError_t error = cudaStreamSynchronize(raw(stream)); error != cudaSuccess)
    fail(error, fmt::format("{} failed on the GPU", what));
}

CudaReport probe() {
  static const CudaReport report = query();
  return report;
}

void* create_stream() {
  const CudaReport report = probe();
  if (!report.available) throw Error(ErrorKind::device, "no GPU to run on: " + report.reason);
  // NVIDIA's libraries read it when they are opened, and would round strict float too.
  if (switched_on("NVIDIA_TF32_OVERRIDE")) {
    fmt::print(stderr, "doppel: NVIDIA_TF32_OVERRIDE is ignored; --precision tf32 asks for TF32\n");
    unsetenv("NVIDIA_TF32_OVERRIDE");
  }
  cudaStream_t stream;
  check(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking), "cudaStreamCreate");
  return stream;
}

void synchronize(void* stream) { check(cudaStreamSynchronize(raw(stream)), "waiting for the GPU"); }

bool capturing(void* stream) {
  cudaStreamCaptureStatus status;
  check(cudaStreamIsCapturing(raw(stream), &status), "cudaStreamIsCapturing");
  return status != cudaStreamCaptureStatusNone;
}

void begin_capture(void* stream) {
  check(cudaStreamBeginCapture(raw(stream), cudaStreamCaptureModeThreadLocal),
        "beginning a graph capture");
}

void* end_capture(void* stream, std::size_t& nodes) {
  cudaGraph_t graph = nullptr;
  check(cudaStreamEndCapture(raw(stream), &graph), "ending a graph capture");
  cudaGraphExec_t exec = nullptr;
  const cudaError_t counted = cudaGraphGetNodes(graph, nullptr, &nodes);
  const cudaError_t error = cudaGraphInstantiate(&exec, graph, 0);
  cudaGraphDestroy(graph);
  check(counted, "counting a graph's nodes");
  check(error, "instantiating a graph");
  return exec;
}

void abandon_capture(void* stream) noexcept {
  cudaGraph_t graph = nullptr;
  cudaStreamEndCapture(raw(stream), &graph);
  if (graph) cudaGraphDestroy(graph);
  cudaGetLastError();
}

void launch_graph(void* graph, void* stream) {
  check(cudaGraphLaunch(static_cast<cudaGraphExec_t>(graph), raw(stream)), "launching a graph");
}
void destroy_graph(void* graph) noexcept {
  cudaGraphExecDestroy(static_cast<cudaGraphExec_t>(graph));
}

// --- memory and copies

namespace {
// False if memory is out: the caller frees cached blocks and tries again, or reports it.
bool allocated(cudaError_t error, const char* what) {
  if (error != cudaErrorMemoryAllocation) check(error, what);
  else cudaGetLastError();  // clears it
  return error == cudaSuccess;
}
}  // namespace

void* allocate(std::size_t bytes) {
  Stream::of(Device::cuda);  // throws with the reason where there is no GPU
  void* block = nullptr;
  return allocated(cudaMalloc(&block, bytes), "cudaMalloc") ? block : nullptr;
}

// Errors are ignored: at exit the runtime may be gone already, and the memory with it.
void free(void* block) noexcept { cudaFree(block); }

std::size_t free_memory() {
  Stream::of(Device::cuda);  // creates the context, which takes memory too
  std::size_t free_bytes = 0, total = 0;
  check(cudaMemGetInfo(&free_bytes, &total), "cudaMemGetInfo");
  return free_bytes;
}

void* allocate_pinned(std::size_t bytes) {
  Stream::of(Device::cuda);
  void* block = nullptr;
  const unsigned flags = cudaHostAllocMapped | cudaHostAllocPortable;
  return allocated(cudaHostAlloc(&block, bytes, flags), "cudaHostAlloc") ? block : nullptr;
}
void free_pinned(void* block) noexcept { cudaFreeHost(block); }

void copy(void* destination, const void* source, std::size_t bytes, CopyKind kind) {
  Stream& stream = Stream::of(Device::cuda);
  if (kind != CopyKind::on_device && stream.capturing())
    throw Error(
        ErrorKind::failure,
        fmt::format("a copy of {} bytes {} inside a graph capture: the graph would read the "
                    "host's memory of that moment at every launch",
                    bytes, kind == CopyKind::to_host ? "to the host" : "from the host"));
  static constexpr cudaMemcpyKind kinds[] = {cudaMemcpyHostToDevice, cudaMemcpyDeviceToHost,
                                             cudaMemcpyDeviceToDevice};
  const cudaMemcpyKind direction = kinds[static_cast<int>(kind)];
  check(cudaMemcpyAsync(destination, source, bytes, direction, raw(stream.raw())),
        "cudaMemcpyAsync");
  if (kind != CopyKind::on_device) stream.synchronize();
}

void fill_zero(void* stream, void* block, std::size_t bytes) {
  check(cudaMemsetAsync(block, 0, bytes, raw(stream)), "cudaMemsetAsync");
}
}  // namespace kernels::cuda

namespace simt::runtime {

void check_launch(cudaError_t error, const char* kernel, dim3 grid, dim3 block, void* stream) {
  if (error != cudaSuccess)
    kernels::cuda::fail(
        error, fmt::format("cannot launch {}: grid ({}, {}, {}), block ({}, {}, {})", kernel,
                           grid.x, grid.y, grid.z, block.x, block.y, block.z));
  kernels::cuda::finish_launch(stream, kernel);
}

int resident_blocks(const void* kernel, int threads) {
  int device = 0, multiprocessors = 0, blocks = 0;
  kernels::cuda::check(cudaGetDevice(&device), "cudaGetDevice");
  kernels::cuda::check(
      cudaDeviceGetAttribute(&multiprocessors, cudaDevAttrMultiProcessorCount, device),
      "counting the GPU's multiprocessors");
  kernels::cuda::check(cudaOccupancyMaxActiveBlocksPerMultiprocessor(&blocks, kernel, threads, 0),
                       "counting a kernel's resident blocks");
  return multiprocessors * (blocks > 0 ? blocks : 1);
}

bool may_overlap(const void* kernel) {
  const char* const wish = std::getenv("DOPPEL_PDL");
  if (wish != nullptr && std::strcmp(wish, "0") == 0) return false;
  int driver = 0;
  kernels::cuda::check(cudaDriverGetVersion(&driver), "cudaDriverGetVersion");
  cudaFuncAttributes attributes;
  kernels::cuda::check(cudaFuncGetAttributes(&attributes, kernel), "asking for a kernel");
  // Code translated from older PTX has no instruction to wait. Graphs take such launches
  // from CUDA 12.3 on.
  return kernels::cuda::probe().compute_capability >= 90 && attributes.ptxVersion >= 90 &&
         driver >= 12030;
}
}  // namespace simt::runtime
