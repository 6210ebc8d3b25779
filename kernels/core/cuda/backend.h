// What streams, memory and graphs need of the CUDA runtime. stream_cuda.cpp and memory_cuda.cpp implement it; builds without
// nvcc get cuda_absent.cpp, where every function says that this build has no GPU code. Private to kernels/.
#pragma once
#include <cstddef>

#include "kernels/core/stream.h"

namespace kernels::cuda {

CudaReport probe();

void* create_stream();  // throws Error(device) with probe()'s reason where there is no GPU
void synchronize(void* stream);
bool capturing(void* stream);

void begin_capture(void* stream);
void* end_capture(void* stream, std::size_t& nodes);  // the instantiated graph
void abandon_capture(void* stream) noexcept;
void launch_graph(void* graph, void* stream);
void destroy_graph(void* graph) noexcept;

void* allocate(std::size_t bytes);  // null where memory is out
void free(void* block) noexcept;
std::size_t free_memory();
void* allocate_pinned(std::size_t bytes);  // null where memory is out
void free_pinned(void* block) noexcept;
enum class Direction { to_device, to_host, on_device };
void copy(void* destination, const void* source, std::size_t bytes,
          Direction);  // on the compute stream; to the host it waits
void fill_zero(void* stream, void* block, std::size_t bytes);

}  // namespace kernels::cuda
