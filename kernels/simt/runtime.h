// What the host side of simt.h is built on: the grid that pool.cpp spreads over OS threads, and the fibers of fibers.cpp
// that stand for CUDA threads. Kernels never include this; simt.h does.
#pragma once
#include <cstddef>
#include <cstdint>

#include "kernels/simt/config.h"
#include "kernels/simt/vector_types.h"

namespace simt {

// Variables, not macros: in gdb, `break warp.cu:40 if threadIdx.x == 5` works. constinit saves the check on every access
// that a thread_local with a run-time initialiser costs.
inline thread_local constinit uint3 threadIdx{0, 0, 0}, blockIdx{0, 0, 0};
inline thread_local constinit dim3 blockDim{1, 1, 1}, gridDim{1, 1, 1};

namespace runtime {

// One launch.
struct Job {
  dim3 grid, block;
  std::size_t dynamic_shared_bytes;
  const void* arguments;                      // a tuple that only the two functions below can read
  void (*run_thread)(const void* arguments);  // the kernel for one logical thread (fibers only)
  void (*run_blocks)(const Job&, std::size_t first,
                     std::size_t last);  // a run of blocks [first, last) of the launch order
  const char* kernel;                    // __PRETTY_FUNCTION__ of something that names the kernel
  bool reverse = false;                  // filled in by run_grid

  std::size_t block_count() const { return static_cast<std::size_t>(grid.x) * grid.y * grid.z; }
};

inline thread_local constinit const Job* current_job = nullptr;  // what this OS thread is running

// Block number i of the launch order.
inline void enter_block(const Job& job, std::size_t i) {
  const std::size_t b = job.reverse ? job.block_count() - 1 - i : i;
  blockIdx = {static_cast<unsigned>(b % job.grid.x),
              static_cast<unsigned>(b / job.grid.x % job.grid.y),
              static_cast<unsigned>(b / job.grid.x / job.grid.y)};
}

// Runs the whole grid and returns when it is done. Throws Error for a launch that no CUDA device would accept, and
// rethrows the first exception that left the kernel.
void run_grid(const Job&);

// A Job's run_blocks for kernels with barriers: every logical thread gets a fiber as soon as it has to wait. Each OS thread
// calls the other two before its first and after its last run of a launch.
void run_blocks_on_fibers(const Job&, std::size_t first, std::size_t last);
void begin_fibers();
void end_fibers();

// Where in the source a thread waits. The line, not the return address: compilers clone calls.
struct Site {
  const char* file;
  int line;
};

// What a lane brings to a warp collective: an operand, room for the result, and a number (source lane, or vote).
struct LaneExchange {
  const void* operand;
  void* result;
  unsigned number;
};
// Works out the results of all lanes of the mask; the last lane to arrive runs it.
using Combine = void (*)(LaneExchange* lanes /*[32]*/, unsigned mask);

struct Votes {
  bool any, all;
  int count;
};
void block_barrier(Site);
Votes block_barrier_with_vote(Site, bool vote);
void warp_collective(unsigned mask, LaneExchange, Combine, const char* name, Site);

// The block's storage for one SIMT_SHARED variable; the same for every thread of the block.
void* shared_slot(const void* key, std::size_t bytes, std::size_t alignment);
inline thread_local constinit std::byte* dynamic_shared = nullptr;

}  // namespace runtime
}  // namespace simt
