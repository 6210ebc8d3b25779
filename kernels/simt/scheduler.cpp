// CUDA threads on the host: each logical thread is a fiber. One OS thread
// runs one block at a time, and its fibers never move to another OS thread, so the
// compiler may cache thread_local variables such as threadIdx.
//
// Fibers start late. A fiber runs logical threads one after another, as a loop would,
// until one of them has to wait. The fiber then belongs to that thread, and a fresh
// fiber goes on with the threads not yet started. A kernel whose threads never wait
// needs one fiber.
//
// ThreadSanitizer sees fibers as "contexts". This file is not instrumented; it
// announces the context that runs: one per logical thread, and the OS thread's for the
// scheduler. A switch orders nothing between contexts; barriers, __syncwarp and atomics
// do, as on the device. So a race report names two CUDA threads.
#include <sys/mman.h>

#include <bit>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "kernels/core/error.h"
#include "kernels/simt/fiber.h"
#include "kernels/simt/runtime.h"

namespace simt::runtime {
namespace {

// Reports a defect of a kernel and aborts, so a debugger or core file shows the very
// call.
[[noreturn]] void stop(const char* what, const char* name = "", Site site = {"", 0}) {
  std::fflush(stdout);
  std::fprintf(stderr, "simt: %s%s%s", what, *name ? ": " : "", name);
  if (site.line != 0) std::fprintf(stderr, " at %s:%d", site.file, site.line);
  std::fprintf(stderr, " (block %u,%u,%u thread %u,%u,%u)\n", blockIdx.x, blockIdx.y, blockIdx.z,
               threadIdx.x, threadIdx.y, threadIdx.z);
  if (current_job) std::fprintf(stderr, "simt: in kernel %s\n", current_job->kernel);
  std::abort();
}

bool same(Site a, Site b) {
  return a.line == b.line && (a.file == b.file || std::strcmp(a.file, b.file) == 0);
}

// The block's shared memory: one mapping, with a poisoned red zone before every
// variable.
class Arena {
 public:
  Arena()
      : base_(static_cast<std::byte*>(
            mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0))) {
    if (base_ == MAP_FAILED) stop("cannot map shared memory");
  }
  ~Arena() {
    asan_unpoison(base_, bytes);
    munmap(base_, bytes);
  }
  Arena(const Arena&) = delete;
  Arena& operator=(const Arena&) = delete;

  void reset() {
    slots_.clear();
    used_ = payload_ = 0;
    // A fresh mapping makes ThreadSanitizer forget the last block's accesses.
    if constexpr (with_tsan)
      mmap(base_, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
    asan_poison(base_, bytes);
  }
  std::byte* take(std::size_t n, std::size_t alignment) {
    used_ = (used_ + red_zone + alignment - 1) / alignment * alignment;
    payload_ += n;
    if (payload_ > config().shared_limit || used_ + n + red_zone > bytes)
      throw kernels::Error(kernels::ErrorKind::failure,
                           std::string("kernel ") + current_job->kernel +
                               " uses more shared memory than the 48 KB a block has");
    std::byte* const p = base_ + used_;
    used_ += n;
    asan_unpoison(p, n);
    // Under TSan the write would count as a logical thread's.
    if (config().poison && !with_tsan) std::memset(p, 0xff, n);
    return p;
  }
  std::byte* find_or_take(const void* key, std::size_t n, std::size_t alignment) {
    for (const Slot& slot : slots_)
      if (slot.key == key) return slot.data;
    std::byte* const p = take(n, alignment);
    slots_.push_back({key, p});
    return p;
  }

 private:
  static constexpr std::size_t bytes = 256 << 10, red_zone = 64;
  struct Slot {
    const void* key;
    std::byte* data;
  };
  std::byte* base_;
  std::size_t used_ = 0, payload_ = 0;
  std::vector<Slot> slots_;
};

enum class State : std::uint8_t { not_started, running, queued, at_barrier, at_warp, done };

struct Thread {
  Fiber* fiber;
  uint3 index;
  State state;
  void* context;  // ThreadSanitizer's
};

// The latest collective of a lane.
struct Arrival {
  const char* name;
  Site site;
  unsigned mask;
};

struct Warp {
  LaneExchange lanes[32];
  Arrival arrivals[32];
  unsigned arrived, phase;
  char sync[2];
};

// The threads that may run. Twice as long as the block, so pushes at both ends never
// collide.
struct Index {
  unsigned value;
};
class RunQueue {
 public:
  void reset(unsigned threads) {
    ring_.assign(std::bit_ceil(2 * threads), Index{0});
    head_ = tail_ = 0;
  }
  bool empty() const { return head_ == tail_; }
  void push_back(unsigned t) { ring_[tail_++ & (ring_.size() - 1)].value = t; }
  void push_front(unsigned t) { ring_[--head_ & (ring_.size() - 1)].value = t; }
  unsigned pop() { return ring_[head_++ & (ring_.size() - 1)].value; }

 private:
  std::vector<Index> ring_;
  unsigned head_ = 0, tail_ = 0;
};

// Runs blocks, one at a time, on one OS thread.
class Executor {
 public:
  void begin_launch();
  void run_block(const Job&);
  void end_launch();
  void barrier(Site);
  Votes barrier_with_vote(Site, bool vote);
  void warp_collective(unsigned mask, LaneExchange, Combine, const char* name, Site);

  bool active() const { return active_; }
  Arena arena;

 private:
  static void fiber_entry();
  void fiber_main();
  Fiber* take_fiber();
  void jump(Fiber* to);
  void run_next();
  void finish_thread();
  void release_barrier();
  bool join_collective(unsigned mask, LaneExchange, Combine, const char* name, Site);
  void prepare(const Job&);
  void choose_order();
  void make_contexts();
  void wake(unsigned t, bool front) {
    threads_[t].state = State::queued;
    if (front) queue_.push_front(t);
    else queue_.push_back(t);
  }
  void set_current(unsigned t) {
    current_ = t;
    threads_[t].state = State::running;
    threadIdx = threads_[t].index;
  }
  std::uint64_t random() {  // xorshift64
    random_ ^= random_ << 13;
    random_ ^= random_ >> 7;
    random_ ^= random_ << 17;
    return random_;
  }

  bool active_ = false;
  const Job* job_ = nullptr;
  dim3 shape_{0, 0, 0};  // of the block that threads_ and the rest are laid out for
  unsigned count_ = 0;   // threads of the block
  unsigned started_ = 0, live_ = 0, waiting_ = 0, current_ = 0;
  std::vector<Thread> threads_;
  std::vector<Warp> warps_;
  std::vector<Index> order_;
  RunQueue queue_;
  std::uint64_t random_ = 1;

  std::vector<std::unique_ptr<Fiber>> fibers_;
  std::vector<Fiber*> free_fibers_, used_fibers_;
  Fiber launcher_;          // the OS thread's own stack
  Fiber* fiber_ = nullptr;  // the one that runs

  Site barrier_site_{nullptr, 0};
  Votes votes_{false, true, 0}, released_votes_{false, true, 0};
  std::exception_ptr error_;

  // ThreadSanitizer contexts, and addresses for "all threads have ended" and "all
  // threads are at the barrier". The latter alternates between two: with one, a thread
  // slow to leave a barrier would seem ordered after threads that have reached the
  // next.
  void* scheduler_context_ = nullptr;
  void* grid_context_ = nullptr;  // parent of the logical threads'
  char end_sync_ = 0, barrier_sync_[2] = {};
  unsigned barrier_phase_ = 0, blocks_run_ = 0;
};

thread_local std::unique_ptr<Executor> executor_owner;
thread_local constinit Executor* executor_of_thread = nullptr;

// The executor of the calling fiber. No fiber means a plain launch: stops the program.
Executor& running(const char* what, const char* name, Site site) {
  Executor* const executor = executor_of_thread;
  if (!executor || !executor->active()) [[unlikely]]
    stop(what, name, site);
  return *executor;
}
constexpr const char* needs_fibers =
    "this kernel was launched without barriers, use launch_with_barriers";

// ---- fibers

Fiber* Executor::take_fiber() {
  if (free_fibers_.empty()) {
    fibers_.push_back(std::make_unique<Fiber>());
    Fiber& fiber = *fibers_.back();
    if (!map_stack(fiber, config().stack_bytes)) stop("cannot map the stack of a fiber");
    // Stacks at the same offset of a page share cache sets, and 1024 of them evict each
    // other. Different offsets make a switch four times as fast.
    reset_stack(fiber, fibers_.size() % 61 * 192, &fiber_entry);
    return &fiber;
  }
  Fiber* const fiber = free_fibers_.back();
  free_fibers_.pop_back();
  return fiber;
}

void Executor::jump(Fiber* to) {
  Fiber* const from = std::exchange(fiber_, to);
  switch_fiber(*from, *to);
}

void Executor::fiber_entry() {
  Executor& self = *executor_of_thread;
  fiber_started(self.launcher_);
  self.fiber_main();
}

void Executor::fiber_main() {
  for (;;) {
    while (started_ < count_ && queue_.empty()) {
      const unsigned t = order_[started_++].value;
      threads_[t].fiber = fiber_;
      set_current(t);
      enter_context(threads_[t].context);
      try {
        job_->run_thread(job_->arguments);
      } catch (...) {
        if (!error_) error_ = std::current_exception();
      }
      finish_thread();
      // Under TSan a stack serves one logical thread: the next would seem to race with
      // it.
      if constexpr (with_tsan) break;
    }
    (with_tsan ? used_fibers_ : free_fibers_).push_back(fiber_);
    run_next();
  }
}

void Executor::finish_thread() {
  tsan_release(&end_sync_);
  enter_context(scheduler_context_);
  threads_[current_].state = State::done;
  --live_;
  // A thread that has left counts at no barrier.
  if (waiting_ != 0 && waiting_ == live_) release_barrier();
}

// Hands the OS thread to the next thread that may run. Returns when the caller runs
// again.
void Executor::run_next() {
  if (!queue_.empty()) {
    set_current(queue_.pop());
    Fiber* const fiber = threads_[current_].fiber;
    if (fiber != fiber_) jump(fiber);
  } else if (started_ < count_) {
    Fiber* const fiber = take_fiber();
    if (fiber != fiber_) jump(fiber);
  } else if (live_ == 0) {
    jump(&launcher_);
  } else {
    for (unsigned t = 0; t < count_; ++t) {
      if (threads_[t].state != State::at_warp) continue;
      const Arrival& arrival = warps_[t >> 5].arrivals[t & 31u];
      threadIdx = threads_[t].index;
      stop("warp collective never completes, a lane of its mask has left or waits elsewhere",
           arrival.name, arrival.site);
    }
    stop("deadlock");
  }
}

// ---- barriers

void Executor::release_barrier() {
  released_votes_ = std::exchange(votes_, Votes{false, true, 0});
  waiting_ = 0;
  barrier_site_ = {nullptr, 0};
  ++barrier_phase_;
  if (config().order == Order::shuffle) choose_order();
  for (const Index t : order_)
    if (threads_[t.value].state == State::at_barrier) wake(t.value, false);
}

void Executor::barrier(Site site) {
  char* const sync = &barrier_sync_[barrier_phase_ & 1];
  tsan_release(sync);
  enter_context(scheduler_context_);

  if (!barrier_site_.file) {
    barrier_site_ = site;
  } else if (!same(barrier_site_, site)) {
    std::fprintf(stderr, "simt: other threads of the block wait at %s:%d\n", barrier_site_.file,
                 barrier_site_.line);
    stop("divergent barrier", "__syncthreads", site);
  }
  threads_[current_].state = State::at_barrier;
  ++waiting_;
  if (waiting_ == live_ && started_ == count_) release_barrier();
  run_next();

  enter_context(threads_[current_].context);
  tsan_acquire(sync);
}

Votes Executor::barrier_with_vote(Site site, bool vote) {
  votes_.any |= vote;
  votes_.all &= vote;
  votes_.count += vote;
  barrier(site);
  return released_votes_;
}

// ---- warp collectives

// Deposits the lane's operand. The last lane of the mask computes all results: returns
// true.
bool Executor::join_collective(unsigned mask, LaneExchange exchange, Combine combine,
                               const char* name, Site site) {
  const unsigned lane = current_ & 31u, first = current_ & ~31u;
  if ((mask >> lane & 1u) == 0) stop("the calling lane is not in its own mask", name, site);
  if (count_ - first < 32) mask &= (1u << (count_ - first)) - 1;  // a partial last warp
  Warp& warp = warps_[current_ >> 5];
  warp.lanes[lane] = exchange;  // the operand lies on the stack of the waiting lane
  warp.arrivals[lane] = {name, site, mask};
  warp.arrived |= 1u << lane;
  if ((warp.arrived & mask) != mask) {
    threads_[current_].state = State::at_warp;
    return false;
  }
  for (unsigned rest = mask; rest != 0; rest &= rest - 1) {
    const Arrival& other = warp.arrivals[std::countr_zero(rest)];
    if (other.mask == mask && std::strcmp(other.name, name) == 0) continue;
    std::fprintf(stderr, "simt: lane %d waits in %s with mask %08x at %s:%d\n",
                 std::countr_zero(rest), other.name, other.mask, other.site.file, other.site.line);
    stop("lanes of one warp meet in different collectives or with different masks", name, site);
  }
  if (combine) combine(warp.lanes, mask);
  warp.arrived &= ~mask;
  ++warp.phase;
  // This lane goes on; the others run next, in the order of the threads.
  const bool reverse = config().order == Order::reverse;
  for (unsigned rest = mask & ~(1u << lane); rest != 0;) {
    const int other = reverse ? std::countr_zero(rest) : 31 - std::countl_zero(rest);
    wake(first + static_cast<unsigned>(other), true);
    rest &= ~(1u << other);
  }
  return true;
}

void Executor::warp_collective(unsigned mask, LaneExchange exchange, Combine combine,
                               const char* name, Site site) {
  // __syncwarp, the collective without combine, orders memory. Shuffles and votes do
  // not.
  Warp& warp = warps_[current_ >> 5];
  char* const sync = &warp.sync[warp.phase & 1];
  if (!combine) tsan_release(sync);
  enter_context(scheduler_context_);
  if (!join_collective(mask, exchange, combine, name, site)) run_next();
  enter_context(threads_[current_].context);
  if (!combine) tsan_acquire(sync);
}

// ---- blocks

void Executor::choose_order() {
  for (unsigned i = 0; i < count_; ++i)
    order_[i].value = config().order == Order::reverse ? count_ - 1 - i : i;
  if (config().order == Order::shuffle)
    for (unsigned i = count_; i > 1; --i) std::swap(order_[i - 1], order_[random() % i]);
}

void Executor::prepare(const Job& job) {
  job_ = &job;
  if (shape_.x != job.block.x || shape_.y != job.block.y || shape_.z != job.block.z) {
    shape_ = job.block;
    count_ = shape_.x * shape_.y * shape_.z;
    threads_.assign(count_, Thread{});
    for (unsigned t = 0; t < count_; ++t)
      threads_[t].index = {t % shape_.x, t / shape_.x % shape_.y, t / shape_.x / shape_.y};
    warps_.assign((count_ + 31) / 32, Warp{});
    order_.assign(count_, Index{0});
    queue_.reset(count_);
  }
  random_ = config().seed * 0x9E3779B97F4A7C15ull + blockIdx.x * 7919u + blockIdx.y * 104729u +
            blockIdx.z * 1299709u + 1;
  choose_order();
  started_ = waiting_ = current_ = 0;
  live_ = count_;
  barrier_site_ = {nullptr, 0};
}

// The grid context maps the threads' memory afresh and makes their contexts. They are
// then ordered after the launch but not after earlier blocks, so races between blocks
// show.
void Executor::make_contexts() {
  enter_context(grid_context_);
  for (Fiber* const fiber : used_fibers_) {
    remap_stack(*fiber);
    reset_stack(*fiber, 0, &fiber_entry);
    free_fibers_.push_back(fiber);
  }
  used_fibers_.clear();
  // Later, take_fiber would map them in a logical thread's context.
  while (free_fibers_.size() < count_ + 1) {
    std::vector<Fiber*> kept = std::exchange(free_fibers_, {});
    kept.push_back(take_fiber());
    free_fibers_ = std::move(kept);
  }
  arena.reset();
  // TSan reuses the identities of dead contexts, oldest first, and sees no race of an
  // identity with itself. Each block starts with another thread, so equal threads of
  // neighbouring blocks never share one.
  ++blocks_run_;
  for (unsigned i = 0; i < count_; ++i) {
    Thread& thread = threads_[(i + blocks_run_) % count_];
    thread.context = new_thread_context(blockIdx, thread.index);
  }
  enter_context(scheduler_context_);
}

void Executor::run_block(const Job& job) {
  prepare(job);
  if constexpr (with_tsan) make_contexts();
  else arena.reset();
  dynamic_shared =
      job.dynamic_shared_bytes != 0 ? arena.take(job.dynamic_shared_bytes, 128) : nullptr;
  active_ = true;
  fiber_ = &launcher_;
  jump(take_fiber());  // returns when the last thread has ended
  active_ = false;
  for (Thread& thread : threads_) destroy_context(thread.context);
  if (error_) std::rethrow_exception(std::exchange(error_, nullptr));
}

// Once per launch and OS thread: two runs of blocks on one OS thread are not ordered
// either.
void Executor::begin_launch() {
  scheduler_context_ = current_context();
  grid_context_ = new_grid_context();
}
void Executor::end_launch() {
  tsan_acquire(&end_sync_);  // orders the threads' writes before the launcher's reads
  destroy_context(grid_context_);
}
}  // namespace

void begin_fibers() {
  if (!executor_of_thread) {
    executor_owner = std::make_unique<Executor>();
    executor_of_thread = executor_owner.get();
  }
  executor_of_thread->begin_launch();
}

void end_fibers() { executor_of_thread->end_launch(); }

void run_blocks_on_fibers(const Job& job, std::size_t first, std::size_t last) {
  blockDim = job.block;
  gridDim = job.grid;
  for (std::size_t i = first; i < last; ++i) {
    enter_block(job, i);
    executor_of_thread->run_block(job);
  }
}

void block_barrier(Site site) { running(needs_fibers, "__syncthreads", site).barrier(site); }
Votes block_barrier_with_vote(Site site, bool vote) {
  return running(needs_fibers, "__syncthreads", site).barrier_with_vote(site, vote);
}

void warp_collective(unsigned mask, LaneExchange exchange, Combine combine, const char* name,
                     Site site) {
  running(needs_fibers, name, site).warp_collective(mask, exchange, combine, name, site);
}

void* shared_slot(const void* key, std::size_t bytes, std::size_t alignment) {
  return running(needs_fibers, "shared memory", {"", 0}).arena.find_or_take(key, bytes, alignment);
}
}  // namespace simt::runtime
