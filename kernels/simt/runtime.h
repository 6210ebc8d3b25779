// The base of simt.h on the host: pool.cpp spreads a grid over OS threads;
// scheduler.cpp and fiber.cpp make CUDA threads of fibers. Kernels include simt.h
// instead.
#pragma once
#include <cstddef>
#include <cstdint>

#include "kernels/simt/config.h"

namespace simt {

// CUDA's vector types as far as kernels use them. In a namespace, so one binary may
// also hold the toolkit's own.
struct uint3 {
  unsigned x, y, z;
};
struct dim3 {
  unsigned x, y, z;
  constexpr dim3(unsigned x_ = 1, unsigned y_ = 1, unsigned z_ = 1) : x(x_), y(y_), z(z_) {}
};
struct alignas(16) float4 {
  float x, y, z, w;
};

// Variables, so that `break resample.cu:40 if threadIdx.x == 5` works in gdb;
// constinit, since a thread_local with a run-time initialiser is checked on every
// access.
inline thread_local constinit uint3 threadIdx{0, 0, 0}, blockIdx{0, 0, 0};
inline thread_local constinit dim3 blockDim{1, 1, 1}, gridDim{1, 1, 1};

namespace runtime {

// One launch.
struct Job {
  dim3 grid, block;
  std::size_t dynamic_shared_bytes;
  const void* arguments;                      // of a type known to the next two only
  void (*run_thread)(const void* arguments);  // one logical thread (fibers only)
  void (*run_blocks)(const Job&, std::size_t first, std::size_t last);  // [first, last)
  const char* kernel;    // __PRETTY_FUNCTION__ of a template on the kernel
  bool reverse = false;  // set by run_grid

  std::size_t block_count() const { return static_cast<std::size_t>(grid.x) * grid.y * grid.z; }
};

inline thread_local constinit const Job* current_job = nullptr;  // of this OS thread

// Sets blockIdx to block number i of the launch order.
inline void enter_block(const Job& job, std::size_t i) {
  const std::size_t b = job.reverse ? job.block_count() - 1 - i : i;
  blockIdx = {static_cast<unsigned>(b % job.grid.x),
              static_cast<unsigned>(b / job.grid.x % job.grid.y),
              static_cast<unsigned>(b / job.grid.x / job.grid.y)};
}

// Runs the whole grid before it returns. Throws Error for a launch that no CUDA device
// accepts, and rethrows the first exception of the kernel.
void run_grid(const Job&);

// A Job's run_blocks for kernels with barriers. Each OS thread calls begin_fibers
// before its first blocks of a launch and end_fibers after its last.
void run_blocks_on_fibers(const Job&, std::size_t first, std::size_t last);
void begin_fibers();
void end_fibers();

// The source line of a waiting thread. Not its return address: compilers clone calls.
struct Site {
  const char* file;
  int line;
};

// A lane's contribution to a warp collective.
struct LaneExchange {
  const void* operand;
  void* result;
  unsigned number;  // source lane, or vote
};
// Computes the results of all lanes of the mask; the last lane to arrive calls it.
using Combine = void (*)(LaneExchange* lanes /*[32]*/, unsigned mask);

struct Votes {
  bool any, all;
  int count;
};
void block_barrier(Site);
Votes block_barrier_with_vote(Site, bool vote);
void warp_collective(unsigned mask, LaneExchange, Combine, const char* name, Site);

// The block's storage for one SIMT_SHARED variable, the same for all its threads.
void* shared_slot(const void* key, std::size_t bytes, std::size_t alignment);
inline thread_local constinit std::byte* dynamic_shared = nullptr;
}  // namespace runtime
}  // namespace simt
