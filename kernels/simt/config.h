// How kernels run on the host. Production code leaves this alone; tests turn the knobs.
#pragma once
#include <cstddef>
#include <cstdint>

namespace simt {

// The order in which the host runs blocks, and the threads of a block between two barriers. A correct kernel gives the
// same bits in every order. Two runs, one forward and one reverse, expose a missing barrier: of two threads that touch
// the same word in one phase, each order lets another one go first.
enum class Order : std::uint8_t { forward, reverse, shuffle };

// Which compilation of a kernel's loop runs. `best` asks the CPU; a set that the CPU lacks is never used.
enum class InstructionSet : std::uint8_t { best, baseline, avx2 };

struct Config {
  unsigned workers = 0;  // OS threads that share a grid; 0: all cores, or DOPPEL_THREADS where set
  Order order = Order::forward;
  std::uint64_t seed = 1;  // of Order::shuffle
  bool poison = false;     // shared memory and fresh pool blocks start as NaN
  InstructionSet instructions = InstructionSet::best;
  std::size_t stack_bytes = 64 << 10;   // of a fiber; read when a fiber is first made
  std::size_t shared_limit = 48 << 10;  // per block, as on every CUDA device
};
inline constinit Config process_config;
inline Config& config() noexcept { return process_config; }  // change it only while no kernel runs

unsigned worker_count() noexcept;           // what config().workers comes to on this machine
InstructionSet instruction_set() noexcept;  // what config().instructions comes to on this machine

// Runs structured kernels (launch_block) the way the GPU does, a fiber per thread, instead of as loops. For tests.
inline constinit bool block_on_fibers = false;

}  // namespace simt
