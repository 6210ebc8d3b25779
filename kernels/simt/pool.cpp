// Spreads the blocks of a grid over OS threads. A block's result depends on its index
// alone, so any number of workers gives the same bits.
#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <cstdlib>
#include <exception>
#include <mutex>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "kernels/core/error.h"
#include "kernels/simt/runtime.h"
#include "kernels/simt/single_threaded.h"

#if SIMT_OPENMP
#include <omp.h>
#endif

namespace simt {
namespace {
thread_local bool single_threaded = false;
}

SingleThreaded::SingleThreaded() noexcept : previous_(std::exchange(single_threaded, true)) {}
SingleThreaded::~SingleThreaded() { single_threaded = previous_; }

unsigned worker_count() noexcept {
  static const unsigned available = [] {
    unsigned n = std::max(1u, std::thread::hardware_concurrency());
#if SIMT_OPENMP
    n = std::min(n, static_cast<unsigned>(omp_get_max_threads()));  // OMP_NUM_THREADS
#endif
    if (const char* limit = std::getenv("DOPPEL_THREADS")) {
      const int value = std::atoi(limit);
      if (value > 0) n = std::min(n, static_cast<unsigned>(value));
    }
    return n;
  }();
  if (single_threaded) return 1;
  return config().workers != 0 ? config().workers : available;
}

InstructionSet instruction_set() noexcept {
#if defined(__x86_64__)
  static const bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") &&
                           __builtin_cpu_supports("bmi") && __builtin_cpu_supports("bmi2");
  if (avx2 && config().instructions != InstructionSet::baseline) return InstructionSet::avx2;
#endif
  return InstructionSet::baseline;
}

namespace runtime {
namespace {

// The blocks of one launch, handed out in pieces.
class Blocks {
 public:
  Blocks(const Job& job, unsigned workers)
      : job_(job),
        count_(job.block_count()),
        piece_(std::max<std::size_t>(1, count_ / (workers * std::size_t{8}))) {}

  void work() noexcept {
    const bool fibers = job_.run_blocks == &run_blocks_on_fibers;
    current_job = &job_;
    if (fibers) begin_fibers();
    try {
      for (;;) {
        const std::size_t first = next_.fetch_add(piece_, std::memory_order_relaxed);
        if (first >= count_) break;
        job_.run_blocks(job_, first, std::min(first + piece_, count_));
      }
    } catch (...) {
      const std::lock_guard lock(mutex_);
      if (!error_) error_ = std::current_exception();
      next_.store(count_, std::memory_order_relaxed);  // no further block starts
    }
    if (fibers) end_fibers();
    current_job = nullptr;
  }
  void rethrow() {
    if (error_) std::rethrow_exception(error_);
  }

 private:
  const Job& job_;
  std::size_t count_, piece_;
  std::atomic<std::size_t> next_{0};
  std::mutex mutex_;
  std::exception_ptr error_;
};

#if SIMT_OPENMP

// oneDNN's libgomp threads spin for a while after each of its loops. Kernels use the
// same team and find it awake; a second team would compete for the cores. On two cores
// a kernel over 40000 floats takes 4 us with it, 30 us with the sleeping threads below.
// Always the whole team: libgomp ends the threads that a smaller one leaves over.
unsigned workers_for(const Job&) { return worker_count(); }

void run_parallel(Blocks& blocks, unsigned workers) {
#pragma omp parallel num_threads(static_cast <int>(workers))
  blocks.work();
}

#else

// Threads that sleep between launches. For builds without OpenMP, and for
// ThreadSanitizer, which does not see libgomp's barriers and would report every launch
// as a race.
class Team {
 public:
  void run(Blocks& blocks, unsigned workers) {
    {
      const std::lock_guard lock(mutex_);
      while (threads_.size() + 1 < workers) threads_.emplace_back([this] { serve(); });
      blocks_ = &blocks;
      wanted_ = workers - 1;
      running_ = workers - 1;
    }
    for (unsigned i = 1; i < workers; ++i) wake_.notify_one();
    blocks.work();
    std::unique_lock lock(mutex_);
    done_.wait(lock, [this] { return running_ == 0; });
  }
  ~Team() {
    {
      const std::lock_guard lock(mutex_);
      stop_ = true;
    }
    wake_.notify_all();
    for (std::thread& thread : threads_) thread.join();
  }

 private:
  void serve() {
    std::unique_lock lock(mutex_);
    for (;;) {
      wake_.wait(lock, [this] { return stop_ || wanted_ > 0; });
      if (stop_) return;
      --wanted_;
      Blocks* const blocks = blocks_;
      lock.unlock();
      blocks->work();
      lock.lock();
      if (--running_ == 0) done_.notify_one();
    }
  }
  std::mutex mutex_;
  std::condition_variable wake_, done_;
  Blocks* blocks_ = nullptr;
  unsigned wanted_ = 0;   // places of the current launch still open
  unsigned running_ = 0;  // threads still at work on it
  bool stop_ = false;
  std::vector<std::thread> threads_;
};

// At most one per block: each costs a wake-up.
unsigned workers_for(const Job& job) {
  return static_cast<unsigned>(std::min<std::size_t>(worker_count(), job.block_count()));
}

void run_parallel(Blocks& blocks, unsigned workers) {
  static Team team;
  team.run(blocks, workers);
}

#endif

std::string describe(const Job& job) {
  return fmt::format("{}: grid ({}, {}, {}), block ({}, {}, {}), {} bytes of dynamic shared memory",
                     job.kernel, job.grid.x, job.grid.y, job.grid.z, job.block.x, job.block.y,
                     job.block.z, job.dynamic_shared_bytes);
}

// The limits of CUDA devices of compute capability 7.5 and above, enforced here too.
void check(const Job& job) {
  const std::size_t threads = static_cast<std::size_t>(job.block.x) * job.block.y * job.block.z;
  const char* problem = nullptr;
  if (job.block.x == 0 || job.block.y == 0 || job.block.z == 0)
    problem = "every side of a block must be at least 1";
  else if (threads > 1024 || job.block.x > 1024 || job.block.y > 1024)
    problem = "a block has at most 1024 threads";
  else if (job.block.z > 64) problem = "a block is at most 64 deep";
  else if (job.grid.x == 0 || job.grid.y == 0 || job.grid.z == 0)
    problem = "every side of a grid must be at least 1";
  else if (job.grid.x > 0x7fffffffu || job.grid.y > 65535 || job.grid.z > 65535)
    problem = "a grid has at most 2^31 - 1 by 65535 by 65535 blocks";
  else if (job.dynamic_shared_bytes > config().shared_limit)
    problem = "a block has 48 KB of shared memory";
  if (problem)
    throw kernels::Error(kernels::ErrorKind::failure,
                         fmt::format("cannot launch {}: {}", describe(job), problem));
}
}  // namespace

void run_grid(const Job& launched) {
  Job job = launched;
  check(job);
  if (current_job)
    throw kernels::Error(kernels::ErrorKind::failure,
                         fmt::format("cannot launch {} from inside a kernel", describe(job)));
  job.reverse = config().order == Order::reverse;

  unsigned workers = job.block_count() > 1 ? workers_for(job) : 1;
  // 16 workers of 1024 fibers, each of two mappings, stay below Linux's limit of 65530.
  if (job.run_blocks == &run_blocks_on_fibers) workers = std::min(workers, 16u);
  Blocks blocks(job, workers);
  if (workers <= 1) {
    blocks.work();
  } else {
    static std::mutex one_launch_at_a_time;
    const std::lock_guard lock(one_launch_at_a_time);
    run_parallel(blocks, workers);
  }
  blocks.rethrow();
}
}  // namespace runtime
}  // namespace simt
