// How kernels run on the host. Tests change these settings; production code does not.
#pragma once
#include <cstddef>
#include <cstdint>

namespace simt {

// The order of blocks, and of the threads of a block between two barriers. A correct
// kernel gives the same bits in each; forward and reverse together expose a missing
// barrier.
enum class Order : std::uint8_t { forward, reverse, shuffle };

// The compiled copy of a kernel's loop that runs: the best one the CPU has, or a lesser
// one.
enum class InstructionSet : std::uint8_t { best, baseline, avx2 };

struct Config {
  unsigned workers = 0;  // OS threads per grid; 0: all cores, or DOPPEL_THREADS if set
  Order order = Order::forward;
  std::uint64_t seed = 1;  // of Order::shuffle
  bool poison = false;     // shared memory and fresh pool blocks start as NaN
  InstructionSet instructions = InstructionSet::best;
  std::size_t stack_bytes = 64 << 10;   // of a fiber; read when the fiber is made
  std::size_t shared_limit = 48 << 10;  // per block, as on every CUDA device
};
inline constinit Config process_config;
// Change it between launches only.
inline Config& config() noexcept { return process_config; }

unsigned worker_count() noexcept;           // config().workers on this machine
InstructionSet instruction_set() noexcept;  // config().instructions, likewise

// Runs block kernels as the GPU does, one fiber per thread, instead of as loops. For
// tests.
inline constinit bool block_on_fibers = false;
}  // namespace simt
