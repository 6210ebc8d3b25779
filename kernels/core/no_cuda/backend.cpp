// The CUDA backend of a build without nvcc: every call throws.
#include "kernels/core/cuda/backend.h"

namespace kernels::cuda {
namespace {
constexpr const char* reason =
    "this build of doppel has no GPU code (it was compiled without nvcc)";
[[noreturn]] void refuse() { throw Error(ErrorKind::device, reason); }
}  // namespace

CudaReport probe() { return {.reason = reason}; }
void* create_stream() { refuse(); }
void synchronize(void*) { refuse(); }
bool capturing(void*) { refuse(); }
bool sync_launches() { return false; }
void finish_launch(void*, const char*) {}
void begin_capture(void*) { refuse(); }
void* end_capture(void*, std::size_t&) { refuse(); }
void abandon_capture(void*) noexcept {}
void launch_graph(void*, void*) { refuse(); }
void destroy_graph(void*) noexcept {}
void* allocate(std::size_t) { refuse(); }
void free(void*) noexcept {}
std::size_t free_memory() { refuse(); }
void* allocate_pinned(std::size_t) { refuse(); }
void free_pinned(void*) noexcept {}
void copy(void*, const void*, std::size_t, CopyKind) { refuse(); }
void fill_zero(void*, void*, std::size_t) { refuse(); }
}  // namespace kernels::cuda
