// The runtime's launches, captures and graphs.
#include <cuda_runtime_api.h>
#include <fmt/format.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>

#include "tests/standin/cudart/card.h"
#include "tests/standin/cudart/kernel_registry.h"
#include "tests/standin/cudart/stream_state.h"

using namespace standin;

namespace {

std::string str(dim3 d) {
  return d.z > 1   ? fmt::format("{}x{}x{}", d.x, d.y, d.z)
         : d.y > 1 ? fmt::format("{}x{}", d.x, d.y)
                   : fmt::format("{}", d.x);
}

// In memory of this process other than the card's.
bool on_host(std::uintptr_t word) {
  const auto page = static_cast<std::uintptr_t>(sysconf(_SC_PAGESIZE));
  if (word < 0x1000'0000'0000 || word >> 47) return false;
  return msync(reinterpret_cast<void*>(word / page * page), page, MS_ASYNC) == 0;
}

// An argument in words. Addresses become operands. Of a struct only the card's addresses
// are told: any other word may hold padding, which can look like everything else.
std::string describe(const std::byte* value, std::size_t bytes, const std::string& name,
                     std::vector<Operand>& operands) {
  std::string words;
  for (std::size_t at = 0; at + 8 <= bytes; at += 8) {
    std::uintptr_t word = 0;
    std::memcpy(&word, value + at, 8);
    const void* const address = reinterpret_cast<const void*>(word);
    if (!on_device(address) && (bytes > 8 || !on_host(word))) continue;
    operands.push_back({name, address, 0});
    words.append(words.empty() ? "@" : " @");
  }
  if (bytes > 8) return fmt::format("{{{} bytes: {}}}", bytes, words);
  if (!words.empty()) return words;
  std::int64_t integer = 0;
  std::memcpy(&integer, value, bytes);
  if (bytes != 4) return fmt::format("{}", integer);
  float real = 0;
  std::memcpy(&real, value, 4);
  const bool looks_real = std::abs(real) > 1e-12f && std::abs(real) < 1e12f;
  return looks_real ? fmt::format("{}f", real)
                    : fmt::format("{}", static_cast<std::int32_t>(integer));
}

cudaError_t refuse(const std::string& name, cudaError_t error) {
  note({.call = "launch", .text = name, .work = true, .error = error});
  return result(error);
}

cudaError_t launch(const void* function, dim3 grid, dim3 block, void** arguments,
                   std::size_t shared, cudaStream_t stream, const std::string& attributes = "") {
  const Kernel* const kernel = KernelRegistry::get().find(function);
  if (!kernel) return refuse("an unknown kernel", cudaErrorInvalidDeviceFunction);
  if (!KernelRegistry::get().runs_on_card(*kernel))
    return refuse(kernel->name, cudaErrorNoKernelImageForDevice);
  const cudaDeviceProp& c = card();
  const auto within = [](dim3 d, const int* most) {
    return d.x > 0 && d.y > 0 && d.z > 0 && d.x <= static_cast<unsigned>(most[0]) &&
           d.y <= static_cast<unsigned>(most[1]) && d.z <= static_cast<unsigned>(most[2]);
  };
  if (!within(grid, c.maxGridSize) || !within(block, c.maxThreadsDim) ||
      block.x * block.y * block.z > static_cast<unsigned>(c.maxThreadsPerBlock))
    return refuse(kernel->name, cudaErrorInvalidConfiguration);
  if (shared > c.sharedMemPerBlock) return refuse(kernel->name, cudaErrorInvalidValue);

  CUgraphNode_st node{{.call = "launch"}, {}};
  std::string list;
  const std::vector<Parameter>& parameters = KernelRegistry::get().parameters(*kernel);
  for (std::size_t i = 0; i < parameters.size(); ++i)
    list +=
        (i ? ", " : "") + describe(static_cast<const std::byte*>(arguments[i]), parameters[i].bytes,
                                   fmt::format("argument {}", i), node.event.operands);
  node.event.text = fmt::format("{} <<<{}, {}{}{}>>> ({})", kernel->name, str(grid), str(block),
                                shared ? fmt::format(", {} bytes", shared) : "", attributes, list);
  node.microseconds = 3;
  node.launch.func = const_cast<void*>(function);
  node.launch.gridDim = grid;
  node.launch.blockDim = block;
  node.launch.sharedMemBytes = static_cast<unsigned>(shared);
  return queue(stream, std::move(node));
}

struct Configuration {
  dim3 grid, block;
  std::size_t shared;
  cudaStream_t stream;
};
thread_local Configuration pushed;  // between <<<>>> and the call of the kernel's stub
}  // namespace

extern "C" {
// Called by the code that the compiler generates. A binary's handle is never freed: exit
// handlers of other files may still launch.
void** __cudaRegisterFatBinary(void* wrapper) {
  return reinterpret_cast<void**>(
      new std::shared_ptr<Binary>(KernelRegistry::get().add_binary(wrapper)));
}
void __cudaRegisterFatBinaryEnd(void**) {}
void __cudaUnregisterFatBinary(void**) {}
void __cudaRegisterFunction(void** binary, const char* host_function, char*, const char* symbol,
                            int, uint3*, uint3*, dim3*, dim3*, int*) {
  KernelRegistry::get().add_kernel(host_function,
                                   *reinterpret_cast<std::shared_ptr<Binary>*>(binary), symbol);
}
void __cudaRegisterVar(void**, char*, char*, const char*, int, std::size_t, int, int) {}
char __cudaInitModule(void**) { return 1; }
unsigned __cudaPushCallConfiguration(dim3 grid, dim3 block, std::size_t shared,
                                     CUstream_st* stream) {
  pushed = {grid, block, shared, stream};
  return 0;
}
cudaError_t __cudaPopCallConfiguration(dim3* grid, dim3* block, std::size_t* shared, void* stream) {
  *grid = pushed.grid;
  *block = pushed.block;
  *shared = pushed.shared;
  *static_cast<cudaStream_t*>(stream) = pushed.stream;
  return cudaSuccess;
}
cudaError_t __cudaGetKernel(cudaKernel_t* kernel, const void* function) {
  *kernel = static_cast<cudaKernel_t>(const_cast<void*>(function));
  return cudaSuccess;
}
cudaError_t __cudaLaunchKernel(cudaKernel_t kernel, dim3 grid, dim3 block, void** arguments,
                               std::size_t shared, cudaStream_t stream) {
  return launch(kernel, grid, block, arguments, shared, stream);
}

cudaError_t cudaLaunchKernel(const void* function, dim3 grid, dim3 block, void** arguments,
                             std::size_t shared, cudaStream_t stream) {
  return launch(function, grid, block, arguments, shared, stream);
}
cudaError_t cudaLaunchKernelExC(const cudaLaunchConfig_t* config, const void* function,
                                void** arguments) {
  std::string attributes;
  for (unsigned i = 0; i < config->numAttrs; ++i) {
    const cudaLaunchAttribute& a = config->attrs[i];
    attributes += a.id == cudaLaunchAttributeProgrammaticStreamSerialization
                      ? fmt::format(", overlaps: {}", a.val.programmaticStreamSerializationAllowed)
                      : fmt::format(", attribute {}", static_cast<int>(a.id));
  }
  return launch(function, config->gridDim, config->blockDim, arguments, config->dynamicSmemBytes,
                config->stream, attributes);
}
cudaError_t cudaFuncGetAttributes(cudaFuncAttributes* attributes, const void* function) {
  if (!KernelRegistry::get().find(function)) return result(cudaErrorInvalidDeviceFunction);
  *attributes = {};
  attributes->numRegs = 32;
  attributes->maxThreadsPerBlock = card().maxThreadsPerBlock;
  return cudaSuccess;
}
cudaError_t cudaFuncSetAttribute(const void*, cudaFuncAttribute, int) { return cudaSuccess; }
cudaError_t cudaOccupancyMaxActiveBlocksPerMultiprocessor(int* blocks, const void*, int threads,
                                                          std::size_t) {
  *blocks = std::min(card().maxThreadsPerMultiProcessor / std::max(threads, 1),
                     card().maxBlocksPerMultiProcessor);
  return cudaSuccess;
}

cudaError_t cudaStreamBeginCapture(cudaStream_t stream, cudaStreamCaptureMode mode) {
  const std::lock_guard lock(states());
  cudaError_t status = cudaSuccess;
  if (!stream_of(stream)) status = cudaErrorStreamCaptureUnsupported;
  else if (stream->capture) status = cudaErrorIllegalState;
  else stream->capture.reset(new Capture{std::this_thread::get_id(), mode});
  static constexpr const char* modes[] = {"global", "thread local", "relaxed"};
  return noted("cudaStreamBeginCapture", modes[mode], status);
}
cudaError_t cudaStreamEndCapture(cudaStream_t stream, cudaGraph_t* graph) {
  const std::lock_guard lock(states());
  *graph = nullptr;
  cudaError_t status = cudaSuccess;
  if (!stream_of(stream) || !stream->capture) {
    status = cudaErrorStreamCaptureUnmatched;
  } else if (stream->capture->thread != std::this_thread::get_id() &&
             stream->capture->mode != cudaStreamCaptureModeRelaxed) {
    stream->capture->broken = true;
    status = cudaErrorStreamCaptureWrongThread;
  } else {
    const std::unique_ptr<Capture> ended = std::move(stream->capture);
    if (ended->broken) status = cudaErrorStreamCaptureInvalidated;
    else *graph = new CUgraph_st(std::move(ended->graph));
  }
  return noted("cudaStreamEndCapture", "", status);
}
cudaError_t cudaStreamIsCapturing(cudaStream_t stream, cudaStreamCaptureStatus* status) {
  const std::lock_guard lock(states());
  const Capture* const c = state_of(stream).capture.get();
  *status = !c          ? cudaStreamCaptureStatusNone
            : c->broken ? cudaStreamCaptureStatusInvalidated
                        : cudaStreamCaptureStatusActive;
  return cudaSuccess;
}

cudaError_t cudaGraphGetNodes(cudaGraph_t graph, cudaGraphNode_t* nodes, std::size_t* count) {
  const std::size_t most = nodes ? std::min(*count, graph->nodes.size()) : 0;
  for (std::size_t i = 0; i < most; ++i) nodes[i] = &graph->nodes[i];
  *count = nodes ? most : graph->nodes.size();
  return cudaSuccess;
}
cudaError_t cudaGraphNodeGetType(cudaGraphNode_t node, cudaGraphNodeType* type) {
  return *type = node->type, cudaSuccess;
}
cudaError_t cudaGraphKernelNodeGetParams(cudaGraphNode_t node, cudaKernelNodeParams* params) {
  if (node->type != cudaGraphNodeTypeKernel || !node->launch.func)
    return result(cudaErrorInvalidValue);
  return *params = node->launch, cudaSuccess;
}
cudaError_t cudaGraphInstantiate(cudaGraphExec_t* exec, cudaGraph_t graph, unsigned long long) {
  *exec = new CUgraphExec_st{graph->nodes};
  return noted("cudaGraphInstantiate", fmt::format("{} nodes", graph->nodes.size()));
}
cudaError_t cudaGraphDestroy(cudaGraph_t graph) { return delete graph, cudaSuccess; }
cudaError_t cudaGraphLaunch(cudaGraphExec_t exec, cudaStream_t stream) {
  const std::lock_guard lock(states());
  noted("cudaGraphLaunch", stream_of(stream) ? "" : "legacy stream");
  for (CUgraphNode_st node : exec->nodes) {
    node.event.graph = exec;
    queue(stream, std::move(node));
  }
  return cudaSuccess;
}
cudaError_t cudaGraphExecDestroy(cudaGraphExec_t exec) {
  note({.call = "cudaGraphExecDestroy", .graph = exec});
  delete exec;
  return cudaSuccess;
}
}
