// The CUDA runtime as streams, memory and graphs use it. Private to kernels/. Builds
// without nvcc get core/no_cuda/backend.cpp, where every function throws Error(device).
#pragma once
#include <cstddef>

#include "kernels/core/stream.h"

namespace kernels::cuda {

CudaReport probe();

void* create_stream();  // throws Error(device) with probe()'s reason without a GPU
void synchronize(void* stream);
bool capturing(void* stream);
// DOPPEL_SYNC_LAUNCHES=1 in the environment: each launch is waited for, and a fault names
// the launch. For finding a faulty kernel; training then runs without a CUDA graph.
bool sync_launches();
void finish_launch(void* stream, const char* what);  // after each launch

void begin_capture(void* stream);
void* end_capture(void* stream, std::size_t& nodes);  // the instantiated graph
void abandon_capture(void* stream) noexcept;
void launch_graph(void* graph, void* stream);
void destroy_graph(void* graph) noexcept;

void* allocate(std::size_t bytes);  // null if memory is out
void free(void* block) noexcept;
std::size_t free_memory();
void* allocate_pinned(std::size_t bytes);  // null if memory is out
void free_pinned(void* block) noexcept;
enum class CopyKind { to_device, to_host, on_device };
// On the compute stream. A copy from or to the host waits, and throws in a capture.
void copy(void* destination, const void* source, std::size_t bytes, CopyKind);
void fill_zero(void* stream, void* block, std::size_t bytes);
}  // namespace kernels::cuda
