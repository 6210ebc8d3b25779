// Seeded defects: each kernel is wrong in one respect, and each test shows the check
// that finds it. A test that needs a sanitizer names its preset.
#include <cmath>
#include <cstdlib>

#include "tests/kernels/simt/simt_testing.h"

#if defined(__SANITIZE_THREAD__)
// A report ends the process with its own exit code: a failure for correct kernels,
// expected for the seeded races below.
extern "C" const char* __tsan_default_options() { return "halt_on_error=1:exitcode=66"; }
#endif

namespace {

class SimtDefectsDeathTest : public testing::Test {
 protected:
  void SetUp() override {
    // A fresh process: to fork one with worker threads is not safe.
    testing::FLAGS_gtest_death_test_style = "threadsafe";
    simt::config().workers = 2;
    simt::config().poison = true;
  }
  SettingsGuard guard;
  std::vector<float> buffer = std::vector<float>(256, 1.f);
  std::vector<float> result = std::vector<float>(256, 0.f);
};

#define NEEDS_ASAN() \
  if (!with_asan) GTEST_SKIP() << "AddressSanitizer finds this: run the asan preset"
#define NEEDS_TSAN() \
  if (!with_tsan) GTEST_SKIP() << "ThreadSanitizer finds this: run the tsan preset"

// The statement must end with a TSan report. _Exit leaves exit code 66 to reports
// alone.
#define EXPECT_RACE(statement, pattern) \
  EXPECT_EXIT(                          \
      {                                 \
        statement;                      \
        std::_Exit(0);                  \
      },                                \
      testing::ExitedWithCode(66), pattern)

// ---- barriers and warps: the scheduler stops the program

__global__ void divergent_barrier(float* out) {
  if (threadIdx.x < 16) {
    __syncthreads();
    out[0] = 1.f;
  } else {
    __syncthreads();
    out[1] = 1.f;
  }
}
TEST_F(SimtDefectsDeathTest, BarrierReachedAtTwoLines) {
  EXPECT_DEATH(
      simt::launch_with_barriers<divergent_barrier>(host_stream(), dim3(1), dim3(32),
                                                    result.data()),
      "wait at .*test_simt_defects.cpp:[0-9]+\n.*divergent barrier: __syncthreads at "
      ".*test_simt_defects.cpp:[0-9]+ \\(block 0,0,0 thread 16,0,0\\)\n.*divergent_barrier");
}

__global__ void lane_left(float* out) {
  if (threadIdx.x == 3) return;
  out[threadIdx.x] = __shfl_xor_sync(0xffffffffu, 1.f, 1);
}
TEST_F(SimtDefectsDeathTest, MaskNamesALaneThatHasLeft) {
  EXPECT_DEATH(
      simt::launch_with_barriers<lane_left>(host_stream(), dim3(1), dim3(32), result.data()),
      "never completes.*__shfl_xor_sync at .*defects.cpp.*lane_left");
}

__global__ void divergent_shuffle(float* out) {
  if (threadIdx.x % 2 == 1) out[threadIdx.x] = __shfl_xor_sync(0xffffffffu, 1.f, 2);
}
TEST_F(SimtDefectsDeathTest, FullMaskInABranch) {
  EXPECT_DEATH(simt::launch_with_barriers<divergent_shuffle>(host_stream(), dim3(1), dim3(32),
                                                             result.data()),
               "never completes");
}

__global__ void mask_without_caller(float* out) {
  out[threadIdx.x] = __shfl_sync(0x0000fffeu, 1.f, 2);
}
TEST_F(SimtDefectsDeathTest, MaskWithoutItsCaller) {
  EXPECT_DEATH(simt::launch_with_barriers<mask_without_caller>(host_stream(), dim3(1), dim3(16),
                                                               result.data()),
               "not in its own mask: __shfl_sync at .* thread 0,0,0");
}

__global__ void masks_disagree(float* out) {
  const unsigned mask = threadIdx.x < 4 ? 0xffu : 0xf0u;
  out[threadIdx.x] = __shfl_sync(mask, 1.f, 4);
}
TEST_F(SimtDefectsDeathTest, LanesWithDifferentMasks) {
  simt::config().workers = 1;
  EXPECT_DEATH(
      simt::launch_with_barriers<masks_disagree>(host_stream(), dim3(1), dim3(8), result.data()),
      "different masks|never completes");
}

__global__ void barrier_for_some(float* out) {
  if (threadIdx.x % 32 < 8) __syncthreads();
  else __syncwarp(0xffffff00u);
  if (threadIdx.x == 40) __syncthreads();
  out[threadIdx.x] = 1.f;
}
TEST_F(SimtDefectsDeathTest, BarrierForSome) {
  EXPECT_DEATH(
      simt::launch_with_barriers<barrier_for_some>(host_stream(), dim3(1), dim3(64), result.data()),
      "divergent barrier");
}

__global__ void barrier(float* out) {
  __syncthreads();
  out[threadIdx.x] = 1.f;
}
__global__ void shared_variable(float* out) {
  SIMT_SHARED(float, t, [32]);
  t[threadIdx.x] = 1.f;
  out[threadIdx.x] = t[threadIdx.x];
}
__global__ void vote(float* out) {
  out[threadIdx.x] = static_cast<float>(__any_sync(0xffffffffu, 1));
}
TEST_F(SimtDefectsDeathTest, BarrierUnderAPlainLaunch) {
  if (simt::always_fibers)
    GTEST_SKIP()
        << "checking builds run every kernel where barriers work; run this in the release preset";
  EXPECT_DEATH(
      simt::launch<barrier>(host_stream(), dim3(2), dim3(32), result.data()),
      "use launch_with_barriers: __syncthreads at .*defects.cpp.* thread 0,0,0.*\n.*barrier");
  EXPECT_DEATH(simt::launch<shared_variable>(host_stream(), dim3(2), dim3(32), result.data()),
               "use launch_with_barriers: shared memory");
  EXPECT_DEATH(simt::launch<vote>(host_stream(), dim3(2), dim3(32), result.data()),
               "use launch_with_barriers: __ballot_sync");
}

// ---- missing barriers

__global__ void reverse64(const float* __restrict__ x, float* __restrict__ y) {
  SIMT_SHARED(float, tile, [64]);
  const unsigned t = threadIdx.x;
  tile[t] = x[blockIdx.x * 64 + t];
  y[blockIdx.x * 64 + t] = tile[63 - t];
}
std::vector<float> reversed_without_barrier(simt::Order order) {
  SettingsGuard settings;
  simt::config().order = order;
  const auto x = sample_values(4 * 64);
  std::vector<float> y(x.size());
  simt::launch_with_barriers<reverse64>(host_stream(), dim3(4), dim3(64), x.data(), y.data());
  return y;
}
TEST_F(SimtDefectsDeathTest, MissingBarrierShowsInTheOtherOrder) {
  if (with_tsan) GTEST_SKIP() << "ThreadSanitizer would stop at the race itself: the next test";
  EXPECT_FALSE(same_bits(reversed_without_barrier(simt::Order::forward),
                         reversed_without_barrier(simt::Order::reverse)));
}
TEST_F(SimtDefectsDeathTest, MissingBarrierIsARace) {
  NEEDS_TSAN();
  EXPECT_RACE(reversed_without_barrier(simt::Order::forward),
              "data race[^\n]*(\n[^\n]*)*block\\(.,0,0\\) thread\\(");
}

// The loop's second barrier is missing: a thread may overwrite a value still to be
// read.
__global__ void one_barrier_per_round(float* out) {
  SIMT_SHARED(float, t, [96]);
  float s = 0.f;
  for (int k = 0; k < 6; ++k) {
    t[threadIdx.x] = static_cast<float>(k * 100) + static_cast<float>(threadIdx.x);
    __syncthreads();
    s += t[(threadIdx.x + 7) % 96];
  }
  out[threadIdx.x] = s;
}
TEST_F(SimtDefectsDeathTest, MissingSecondBarrierInALoop) {
  if (with_tsan) {
    EXPECT_RACE(simt::launch_with_barriers<one_barrier_per_round>(host_stream(), dim3(1), dim3(96),
                                                                  result.data()),
                "data race");
    return;
  }
  std::vector<float> reverse(256, 0.f);
  simt::launch_with_barriers<one_barrier_per_round>(host_stream(), dim3(1), dim3(96),
                                                    result.data());
  simt::config().order = simt::Order::reverse;
  simt::launch_with_barriers<one_barrier_per_round>(host_stream(), dim3(1), dim3(96),
                                                    reverse.data());
  EXPECT_FALSE(same_bits(result, reverse));
}

__global__ void no_syncwarp(const float* x, float* out) {  // legal before Volta
  SIMT_SHARED(float, t, [32]);
  t[threadIdx.x] = x[threadIdx.x];
  for (unsigned o = 16; o != 0; o >>= 1)
    if (threadIdx.x < o) t[threadIdx.x] += t[threadIdx.x + o];
  if (threadIdx.x == 0) out[0] = t[0];
}
TEST_F(SimtDefectsDeathTest, MissingSyncwarp) {
  if (with_tsan) {
    EXPECT_RACE(simt::launch_with_barriers<no_syncwarp>(host_stream(), dim3(1), dim3(32),
                                                        buffer.data(), result.data()),
                "data race");
    return;
  }
  std::vector<float> reverse(256, 0.f);
  const auto x = sample_values(32);
  simt::launch_with_barriers<no_syncwarp>(host_stream(), dim3(1), dim3(32), x.data(),
                                          result.data());
  simt::config().order = simt::Order::reverse;
  simt::launch_with_barriers<no_syncwarp>(host_stream(), dim3(1), dim3(32), x.data(),
                                          reverse.data());
  EXPECT_FALSE(same_bits(result, reverse));
}

// A block kernel without a barrier (each instead of phase): fibers show it.
struct BlockWithoutBarrier {
  static constexpr int kx = 64, ky = 1;
  const float* x;
  float* out;
  template <class B> SIMT_DEVICE void operator()(B& b) const {
    SIMT_BLOCK_SHARED(B, float, tile, [64]);
    b.each([&](int t, int) SIMT_LAMBDA { tile[t] = x[t]; });
    b.each([&](int t, int) SIMT_LAMBDA { out[t] = tile[63 - t]; });
  }
};
TEST_F(SimtDefectsDeathTest, MissingBarrierInABlockKernel) {
  simt::block_on_fibers = true;
  const auto x = sample_values(64);
  if (with_tsan) {
    EXPECT_RACE(
        simt::launch_block(host_stream(), dim3(1), BlockWithoutBarrier{x.data(), result.data()}),
        "data race");
    return;
  }
  std::vector<float> loops(256, 0.f);
  simt::launch_block(host_stream(), dim3(1), BlockWithoutBarrier{x.data(), result.data()});
  simt::block_on_fibers = false;
  simt::launch_block(host_stream(), dim3(1), BlockWithoutBarrier{x.data(), loops.data()});
  EXPECT_FALSE(same_bits(result, loops));
}

// ---- races that no order shows

__global__ void same_value(float* out) {
  SIMT_SHARED(float, t, [1]);
  t[0] = 5.f;
  __syncthreads();
  out[threadIdx.x] = t[0];
}
TEST_F(SimtDefectsDeathTest, ThreadsWriteTheSameValue) {
  NEEDS_TSAN();
  EXPECT_RACE(
      simt::launch_with_barriers<same_value>(host_stream(), dim3(1), dim3(64), result.data()),
      "data race");
}

__global__ void blocks_add(float* out) {
  if (threadIdx.x == 0) out[0] += 1.f;
}
TEST_F(SimtDefectsDeathTest, BlocksAddWithoutAtomics) {
  NEEDS_TSAN();
  EXPECT_RACE(
      simt::launch_with_barriers<blocks_add>(host_stream(), dim3(8), dim3(32), result.data()),
      "data race[^\n]*(\n[^\n]*)*block\\(");
}
TEST_F(SimtDefectsDeathTest, BlocksAddWithoutAtomicsOnOneWorker) {
  NEEDS_TSAN();
  simt::config().workers = 1;  // one OS thread runs both blocks: still unordered
  EXPECT_RACE(
      simt::launch_with_barriers<blocks_add>(host_stream(), dim3(2), dim3(32), result.data()),
      "data race");
}

// ---- memory

__global__ void write_global(float* out, int k) { out[static_cast<int>(threadIdx.x) + k] = 0.f; }
__global__ void write_global_after_barrier(float* out, int k) {
  __syncthreads();
  out[static_cast<int>(threadIdx.x) + k] = 0.f;
}
TEST_F(SimtDefectsDeathTest, GlobalIndexOutOfBounds) {
  NEEDS_ASAN();
  EXPECT_DEATH(simt::launch<write_global>(host_stream(), dim3(1), dim3(32), result.data(), 240),
               "AddressSanitizer: heap-buffer-overflow");
  EXPECT_DEATH(simt::launch_with_barriers<write_global_after_barrier>(host_stream(), dim3(1),
                                                                      dim3(32), result.data(), 240),
               "AddressSanitizer: heap-buffer-overflow");
}

__global__ void write_shared(float* out, int k) {
  SIMT_SHARED(float, t, [64]);
  float* p = t;
  p[static_cast<int>(threadIdx.x) + k] = 1.f;
  __syncthreads();
  out[threadIdx.x] = p[threadIdx.x];
}
__global__ void write_shared_row(float* out, int k) {
  SIMT_SHARED(float, t, [32][8]);
  t[threadIdx.x][k] = 1.f;  // within the array for most threads, but not within the row
  __syncthreads();
  out[threadIdx.x] = t[threadIdx.x][0];
}
TEST_F(SimtDefectsDeathTest, SharedIndexOutOfBounds) {
  NEEDS_ASAN();
  EXPECT_DEATH(
      simt::launch_with_barriers<write_shared>(host_stream(), dim3(1), dim3(64), result.data(), 4),
      "AddressSanitizer: use-after-poison");
  EXPECT_DEATH(
      simt::launch_with_barriers<write_shared>(host_stream(), dim3(1), dim3(64), result.data(), -1),
      "AddressSanitizer: use-after-poison");
  EXPECT_DEATH(simt::launch_with_barriers<write_shared_row>(host_stream(), dim3(1), dim3(32),
                                                            result.data(), 8),
               "index 8 out of bounds");
}

struct WriteTile {
  static constexpr int kx = 32, ky = 1;
  float* out;
  int k;
  template <class B> SIMT_DEVICE void operator()(B& b) const {
    SIMT_BLOCK_SHARED(B, float, tile, [64]);
    float* p = tile;
    b.phase([&](int t, int) SIMT_LAMBDA { p[t + k] = 1.f; });
    b.each([&](int t, int) SIMT_LAMBDA { out[t] = p[t]; });
  }
};
TEST_F(SimtDefectsDeathTest, SharedIndexOutOfBoundsInABlockKernel) {
  NEEDS_ASAN();
  EXPECT_DEATH(simt::launch_block(host_stream(), dim3(1), WriteTile{result.data(), 33}),
               "AddressSanitizer: stack-buffer-overflow");
  simt::block_on_fibers = true;
  EXPECT_DEATH(simt::launch_block(host_stream(), dim3(1), WriteTile{result.data(), 33}),
               "AddressSanitizer: use-after-poison");
}

__global__ void write_dynamic(float* out, int k) {
  SIMT_DYNAMIC_SHARED(float, t);
  t[static_cast<int>(threadIdx.x) + k] = 1.f;
  __syncthreads();
  out[threadIdx.x] = t[threadIdx.x];
}
TEST_F(SimtDefectsDeathTest, DynamicSharedIndexOutOfBounds) {
  NEEDS_ASAN();
  EXPECT_DEATH(simt::launch_with_shared<write_dynamic>(host_stream(), dim3(1), dim3(64),
                                                       64 * sizeof(float), result.data(), 1),
               "AddressSanitizer: use-after-poison");
}

__global__ void write_local(float* out, int k) {
  float r[4] = {out[0], 2.f, 3.f, 4.f};
  __syncthreads();
  float* p = r;
  p[k] = 1.f;
  __syncthreads();
  out[threadIdx.x] = r[1];
}
TEST_F(SimtDefectsDeathTest, LocalArrayOnAFiberOutOfBounds) {
  NEEDS_ASAN();
  EXPECT_DEATH(
      simt::launch_with_barriers<write_local>(host_stream(), dim3(1), dim3(32), result.data(), 4),
      "stack-buffer-overflow|insufficient space|out of bounds");
}

__global__ void overflow_stack(float* out, int k) {
  volatile char big[80 << 10];
  big[k] = 1;
  __syncthreads();
  out[threadIdx.x] = static_cast<float>(big[k]);
}
TEST_F(SimtDefectsDeathTest, FiberStackOverflow) {
  if (with_tsan) GTEST_SKIP() << "the other presets show it";
  EXPECT_DEATH(
      simt::launch_with_barriers<overflow_stack>(host_stream(), dim3(1), dim3(4), result.data(), 5),
      "");  // the guard page
}

// ---- reads of unwritten memory

__global__ void half_written(float* out) {
  SIMT_SHARED(float, t, [64]);
  if (threadIdx.x < 32) t[threadIdx.x] = 1.f;
  __syncthreads();
  out[threadIdx.x] = t[threadIdx.x];
}
struct HalfWritten {
  static constexpr int kx = 64, ky = 1;
  float* out;
  template <class B> SIMT_DEVICE void operator()(B& b) const {
    SIMT_BLOCK_SHARED(B, float, tile, [64]);
    b.phase([&](int t, int) SIMT_LAMBDA {
      if (t < 32) tile[t] = 1.f;
    });
    b.each([&](int t, int) SIMT_LAMBDA { out[t] = tile[t]; });
  }
};
TEST_F(SimtDefectsDeathTest, UnwrittenSharedMemoryReachesTheResultAsNaN) {
  if (with_tsan)
    GTEST_SKIP() << "under ThreadSanitizer the executor does not write into shared memory itself";
  for (int form = 0; form < 3; ++form) {
    std::fill(result.begin(), result.end(), 0.f);
    simt::block_on_fibers = form == 2;
    if (form == 0)
      simt::launch_with_barriers<half_written>(host_stream(), dim3(1), dim3(64), result.data());
    else simt::launch_block(host_stream(), dim3(1), HalfWritten{result.data()});
    for (std::size_t i = 0; i < 64; ++i)
      EXPECT_EQ(std::isnan(result[i]), i >= 32) << "form " << form << " index " << i;
  }
}
}  // namespace
