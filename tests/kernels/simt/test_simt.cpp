// The host executor keeps CUDA's promises about threads, barriers and warps in every
// order, with any number of workers, on every instruction set.
#include <algorithm>
#include <atomic>
#include <cmath>
#include <numeric>
#include <stdexcept>
#include <thread>

#include "kernels/core/error.h"
#include "kernels/core/graph.h"
#include "kernels/core/memory.h"
#include "tests/kernels/simt/simt_samples.h"
#include "tests/kernels/simt/simt_testing.h"

using kernels::Error;

namespace {

constexpr unsigned all_lanes = 0xffffffffu;

class Simt : public testing::Test {
 protected:
  SettingsGuard guard;
};

// ---- indices

__global__ void where_am_i(int* hits, unsigned* place, unsigned side) {
  const unsigned block = blockIdx.x + gridDim.x * (blockIdx.y + gridDim.y * blockIdx.z);
  const unsigned thread = threadIdx.x + blockDim.x * (threadIdx.y + blockDim.y * threadIdx.z);
  const unsigned i = block * blockDim.x * blockDim.y * blockDim.z + thread;
  atomicAdd(&hits[i], 1);
  place[i] =
      threadIdx.x +
      side * (threadIdx.y +
              side * (threadIdx.z + side * (blockIdx.x + side * (blockIdx.y + side * blockIdx.z))));
}

TEST_F(Simt, EveryThreadOfThreeDimensionalGridsRunsOnceAtItsPlace) {
  const dim3 grid(3, 2, 4), block(5, 3, 2);
  const std::size_t n = 3 * 2 * 4 * 5 * 3 * 2;
  for (const auto order : {simt::Order::forward, simt::Order::reverse, simt::Order::shuffle}) {
    // Few cases under TSan: it remaps every stack for every block.
    if (with_tsan && order != simt::Order::shuffle) continue;
    simt::config().order = order;
    for (const bool fibers : {false, true}) {
      std::vector<int> hits(n, 0);
      std::vector<unsigned> place(n, 0);
      if (fibers)
        simt::launch_with_barriers<where_am_i>(host_stream(), grid, block, hits.data(),
                                               place.data(), 10u);
      else simt::launch<where_am_i>(host_stream(), grid, block, hits.data(), place.data(), 10u);
      std::size_t i = 0;
      for (unsigned bz = 0; bz < 4; ++bz)
        for (unsigned by = 0; by < 2; ++by)
          for (unsigned bx = 0; bx < 3; ++bx)
            for (unsigned z = 0; z < 2; ++z)
              for (unsigned y = 0; y < 3; ++y)
                for (unsigned x = 0; x < 5; ++x, ++i) {
                  ASSERT_EQ(hits[i], 1) << i;
                  ASSERT_EQ(place[i], x + 10 * (y + 10 * (z + 10 * (bx + 10 * (by + 10 * bz)))))
                      << i;
                }
    }
  }
}

__global__ void count_index(int* hits, std::int64_t n) {
  for (const std::int64_t i : simt::grid_range(n)) hits[i] += 1;
}

TEST_F(Simt, RangesCoverEveryIndexOnce) {
  for (const std::int64_t n : {0, 1, 7, 255, 256, 257, 1000, 16383, 16384, 16385, 50001}) {
    if (with_tsan && n > 1000) continue;
    std::vector<int> hits(static_cast<std::size_t>(n) + 2, 0);
    simt::launch_range<count_index>(host_stream(), n, hits.data() + 1, n);
    simt::launch_range<count_index, 100>(host_stream(), n, hits.data() + 1, n);
    if (n > 0) simt::launch<count_index>(host_stream(), dim3(3), dim3(33), hits.data() + 1, n);
    EXPECT_EQ(hits.front(), 0);
    EXPECT_EQ(hits.back(), 0);
    for (std::int64_t i = 1; i <= n; ++i)
      ASSERT_EQ(hits[static_cast<std::size_t>(i)], 3) << "index " << i - 1 << " of " << n;
  }
}

// ---- warps

__global__ void votes(unsigned* ballot, int* any, int* all) {
  const int t = static_cast<int>(threadIdx.x);
  ballot[t] = __ballot_sync(all_lanes, t % 3 == 0);
  any[t] = __any_sync(all_lanes, t == 31) + 2 * __any_sync(all_lanes, t > 1000);
  all[t] = __all_sync(all_lanes, t < 1000) + 2 * __all_sync(all_lanes, t != 5);
}

TEST_F(Simt, VotesCountTheLanesOfTheWarp) {
  // 28: one partial warp; 60: a full and a partial one.
  for (const unsigned threads : {32u, 28u, 60u}) {
    std::vector<unsigned> ballot(threads);
    std::vector<int> any(threads), all(threads);
    simt::launch_with_barriers<votes>(host_stream(), dim3(1), dim3(threads), ballot.data(),
                                      any.data(), all.data());
    for (unsigned t = 0; t < threads; ++t) {
      const unsigned first = t / 32 * 32, last = std::min(first + 32, threads);
      unsigned expected = 0;
      for (unsigned l = first; l < last; ++l) expected |= (l % 3 == 0 ? 1u : 0u) << (l - first);
      EXPECT_EQ(ballot[t], expected) << "thread " << t << " of " << threads;
      EXPECT_EQ(any[t], first == 0 && last == 32 ? 1 : 0) << "thread " << t << " of " << threads;
      EXPECT_EQ(all[t], first == 0 ? 1 : 3) << "thread " << t << " of " << threads;
    }
  }
}

__global__ void shuffles(int* out /*[4,threads]*/, int width, int amount) {
  const int t = static_cast<int>(threadIdx.x), n = static_cast<int>(blockDim.x), v = 100 + t;
  out[t] = __shfl_sync(all_lanes, v, amount, width);
  out[n + t] = __shfl_xor_sync(all_lanes, v, amount, width);
  out[2 * n + t] = __shfl_up_sync(all_lanes, v, static_cast<unsigned>(amount), width);
  out[3 * n + t] = __shfl_down_sync(all_lanes, v, static_cast<unsigned>(amount), width);
}

// Written from the PTX manual's shfl.sync (bounds by segment mask and clamp), not from
// ours.
int ptx_shuffle(int kind, int lane, int width, int amount) {
  const int segment = 32 - width, clamp = kind == 2 ? 0 : 31;
  const int low = lane & segment, high = low | (clamp & ~segment & 31);
  int j = lane;
  bool inside = false;
  switch (kind) {
    case 0:
      j = low | (amount & ~segment & 31);
      inside = j <= high;
      break;
    case 1:
      j = lane ^ amount;
      inside = j <= high;
      break;
    case 2:
      j = lane - amount;
      inside = j >= low;
      break;
    case 3:
      j = lane + amount;
      inside = j <= high;
      break;
  }
  return inside ? j : lane;
}

TEST_F(Simt, ShufflesFollowThePtxManual) {
  for (const int width : {2, 4, 8, 16, 32})
    for (const int amount : {0, 1, 3, 5, 8, 16, 31}) {
      if (with_tsan && amount % 5 != 0) continue;
      std::vector<int> out(4 * 64);
      simt::launch_with_barriers<shuffles>(host_stream(), dim3(1), dim3(64), out.data(), width,
                                           amount);
      for (int kind = 0; kind < 4; ++kind)
        for (int t = 0; t < 64; ++t)
          ASSERT_EQ(out[static_cast<std::size_t>(kind * 64 + t)],
                    100 + t / 32 * 32 + ptx_shuffle(kind, t % 32, width, amount))
              << "kind " << kind << " thread " << t << " width " << width << " amount " << amount;
    }
}

struct Wide {
  double a;
  int b[5];
};
__global__ void shuffle_wide(double* out) {
  const int t = static_cast<int>(threadIdx.x);
  const Wide got = __shfl_sync(all_lanes, Wide{t * 0.5, {t, t + 1, t + 2, t + 3, t + 4}}, 31 - t);
  out[t] = got.a + got.b[4] * 100;
}

TEST_F(Simt, ShufflesCarryAnyTriviallyCopyableType) {
  std::vector<double> out(32);
  simt::launch_with_barriers<shuffle_wide>(host_stream(), dim3(1), dim3(32), out.data());
  for (int t = 0; t < 32; ++t)
    EXPECT_EQ(out[static_cast<std::size_t>(t)], (31 - t) * 0.5 + (31 - t + 4) * 100);
}

// The halves of a warp take different branches, with different masks and numbers of
// collectives.
__global__ void divergent_halves(int* out) {
  const int t = static_cast<int>(threadIdx.x);
  int v = t;
  if (t < 16) {
    for (int o = 8; o != 0; o >>= 1) v += __shfl_xor_sync(0x0000ffffu, v, o);
  } else if (t % 2 == 0) {
    v = static_cast<int>(__ballot_sync(0x55550000u, t > 20));
  } else {
    v = __shfl_sync(0xaaaa0000u, v, 17) + __shfl_sync(0xaaaa0000u, v, 31);
  }
  __syncwarp();
  out[t] = v;
}

TEST_F(Simt, LanesOfDifferentMasksDoNotMeet) {
  for (const auto order : {simt::Order::forward, simt::Order::reverse, simt::Order::shuffle}) {
    simt::config().order = order;
    std::vector<int> out(32);
    simt::launch_with_barriers<divergent_halves>(host_stream(), dim3(1), dim3(32), out.data());
    for (int t = 0; t < 32; ++t)
      EXPECT_EQ(out[static_cast<std::size_t>(t)], t < 16       ? 120
                                                  : t % 2 == 0 ? 0x55400000
                                                               : 48)
          << "lane " << t;
  }
}

// ---- barriers

__global__ void early_return(int* out, int n) {
  SIMT_SHARED(int, t, [128]);
  const int i = static_cast<int>(threadIdx.x);
  if (i >= n) return;  // legal: a thread that has left counts at no barrier
  t[i] = i;
  __syncthreads();
  out[i] = t[n - 1 - i];
  __syncthreads();
  if (i % 2 == 0) return;
  t[i] = 1000 + i;
  __syncthreads();
  out[i] += t[(i + 2) % n | 1];
}

TEST_F(Simt, ThreadsThatReturnEarlyCountAtNoBarrier) {
  for (const auto order : {simt::Order::forward, simt::Order::reverse}) {
    simt::config().order = order;
    const int n = 100;
    std::vector<int> out(128, -1);
    simt::launch_with_barriers<early_return>(host_stream(), dim3(1), dim3(128), out.data(), n);
    for (int i = 0; i < 128; ++i)
      EXPECT_EQ(out[static_cast<std::size_t>(i)],
                i >= n ? -1 : (n - 1 - i) + (i % 2 == 0 ? 0 : 1000 + ((i + 2) % n | 1)))
          << i;
  }
}

__global__ void barrier_votes(int* out) {
  const int t = static_cast<int>(threadIdx.x);
  const int count = __syncthreads_count(t % 3 == 0);
  const int any = __syncthreads_or(t == 77), none = __syncthreads_or(t > 1000);
  const int every = __syncthreads_and(t >= 0), some = __syncthreads_and(t != 5);
  out[t] = count * 10000 + any * 1000 + none * 100 + every * 10 + some;
}

TEST_F(Simt, BarriersCountVotes) {
  std::vector<int> out(100);
  simt::launch_with_barriers<barrier_votes>(host_stream(), dim3(1), dim3(100), out.data());
  for (const int v : out) EXPECT_EQ(v, 34 * 10000 + 1000 + 10);
}

__global__ void deep_stack(int* out) {
  volatile char frame[32 << 10];
  frame[threadIdx.x] = static_cast<char>(threadIdx.x);
  __syncthreads();
  out[threadIdx.x] = frame[threadIdx.x];
}

TEST_F(Simt, AFiberHasRoomForLocalArrays) {
  std::vector<int> out(64);
  simt::launch_with_barriers<deep_stack>(host_stream(), dim3(1), dim3(64), out.data());
  for (int i = 0; i < 64; ++i) EXPECT_EQ(out[static_cast<std::size_t>(i)], i);
}

// ---- atomics

__global__ void histogram(const int* __restrict__ x, int* __restrict__ bins,
                          int* __restrict__ largest, float* __restrict__ total) {
  const int v = x[blockIdx.x * blockDim.x + threadIdx.x];
  atomicAdd(&bins[v], 1);
  atomicMax(largest, v);
  atomicAdd(total, static_cast<float>(v));  // small integers: exact in any order
}

TEST_F(Simt, AtomicsHoldAcrossBlocksAndWorkers) {
  simt::config().workers = 4;
  const int blocks = with_tsan ? 8 : 200;
  std::vector<int> x(static_cast<std::size_t>(blocks) * 64), bins(10), expected(10);
  for (std::size_t i = 0; i < x.size(); ++i)
    ++expected[static_cast<std::size_t>(x[i] = static_cast<int>(i * i % 10))];
  int largest = -1;
  float total = 0.f;
  simt::launch<histogram>(host_stream(), dim3(static_cast<unsigned>(blocks)), dim3(64), x.data(),
                          bins.data(), &largest, &total);
  EXPECT_EQ(bins, expected);
  EXPECT_EQ(largest, 9);
  EXPECT_EQ(total, static_cast<float>(std::accumulate(x.begin(), x.end(), 0)));
}

// ---- the same bits for any order, workers, form and instruction set

constexpr SampleShape shape =
    with_tsan ? SampleShape{20000, 2, 300, 1, 10, 40} : SampleShape{50001, 7, 300, 2, 45, 70};
constexpr std::size_t size(std::int64_t n) { return static_cast<std::size_t>(n); }

struct Results {
  std::vector<float> range = std::vector<float>(size(shape.n)),
                     reversed = std::vector<float>(4 * 64), mixed = std::vector<float>(4 * 96),
                     tree = std::vector<float>(6);
  std::vector<float> mean = std::vector<float>(size(shape.rows)), deviation = mean;
  std::vector<double> mean64 = std::vector<double>(size(shape.rows)), deviation64 = mean64;
  std::vector<float> transposed = std::vector<float>(size(shape.depth * shape.h * shape.w)),
                     blurred = std::vector<float>(size(shape.h * shape.w));

  SampleOutputs outputs() {
    return {range.data(),      reversed.data(),  mixed.data(),  tree.data(),
            mean.data(),       deviation.data(), mean64.data(), deviation64.data(),
            transposed.data(), blurred.data()};
  }
  bool operator==(const Results& o) const {
    return same_bits(range, o.range) && same_bits(reversed, o.reversed) &&
           same_bits(mixed, o.mixed) && same_bits(tree, o.tree) && same_bits(mean, o.mean) &&
           same_bits(deviation, o.deviation) && same_bits(transposed, o.transposed) &&
           same_bits(blurred, o.blurred) && mean64 == o.mean64 && deviation64 == o.deviation64;
  }
};

const std::vector<float>& input() {
  static const std::vector<float> x = sample_values(size(shape.n));
  return x;
}

Results run_all() {
  Results r;
  run_samples<kernels::Host>(host_stream(), shape, input().data(), r.outputs());
  return r;
}

TEST_F(Simt, SamplesAreRight) {
  const Results r = run_all();
  const auto& x = input();
  const auto [n, rows, columns, depth, h, w] = shape;
  for (std::size_t i = 0; i < x.size(); ++i) {
    const double v = x[i] * 1.25 + 0.1;
    ASSERT_NEAR(r.range[i], (v > 0 ? v : v * 0.1) / (1 + std::sqrt(std::fabs(v) * 0.3 + v * v)),
                1e-6)
        << i;
  }
  for (std::size_t i = 0; i < r.reversed.size(); ++i)
    ASSERT_EQ(r.reversed[i], x[i / 64 * 64 + 63 - i % 64]);
  for (std::size_t b = 0; b < 6; ++b)
    EXPECT_NEAR(r.tree[b], std::accumulate(&x[b * 64], &x[b * 64 + 64], 0.0), 1e-5);
  for (std::size_t row = 0; row < size(rows); ++row) {
    double mean = 0, variance = 0;
    for (std::size_t c = 0; c < size(columns); ++c)
      mean += x[row * size(columns) + c] / double(columns);
    for (std::size_t c = 0; c < size(columns); ++c)
      variance += (x[row * size(columns) + c] - mean) * (x[row * size(columns) + c] - mean) /
                  double(columns);
    EXPECT_NEAR(r.mean[row], mean, 1e-6);
    EXPECT_NEAR(r.deviation[row], std::sqrt(variance), 1e-6);
    EXPECT_NEAR(r.mean64[row], mean, 1e-13);
    EXPECT_NEAR(r.deviation64[row], std::sqrt(variance), 1e-13);
  }
  for (std::size_t d = 0; d < size(depth); ++d)
    for (std::size_t i = 0; i < size(h); ++i)
      for (std::size_t j = 0; j < size(w); ++j)
        ASSERT_EQ(r.transposed[(d * size(w) + j) * size(h) + i],
                  x[(d * size(h) + i) * size(w) + j]);
  const double taps[5] = {0.1, 0.2, 0.4, 0.2, 0.1};
  for (int i = 0; i < h; ++i)
    for (int j = 0; j < w; ++j) {
      double s = 0;
      for (int p = -2; p <= 2; ++p)
        for (int q = -2; q <= 2; ++q)
          s += taps[p + 2] * taps[q + 2] *
               x[static_cast<std::size_t>(std::clamp(i + p, 0, h - 1) * w +
                                          std::clamp(j + q, 0, w - 1))];
      ASSERT_NEAR(r.blurred[static_cast<std::size_t>(i * w + j)], s, 1e-6) << i << ' ' << j;
    }
}

TEST_F(Simt, OrderChangesNoBit) {
  const Results forward = run_all();
  for (const bool fibers : {false, true}) {
    simt::block_on_fibers = fibers;
    simt::config().order = simt::Order::reverse;
    EXPECT_TRUE(run_all() == forward);
    for (const std::uint64_t seed : {1, 2, 3}) {
      if (with_tsan && seed > 1) continue;
      simt::config().order = simt::Order::shuffle;
      simt::config().seed = seed;
      EXPECT_TRUE(run_all() == forward) << "seed " << seed;
    }
  }
}

TEST_F(Simt, LoopsAndFibersGiveTheSameBits) {
  simt::config().poison = true;
  simt::block_on_fibers = false;
  const Results loops = run_all();
  simt::block_on_fibers = true;
  EXPECT_TRUE(run_all() == loops);
}

TEST_F(Simt, WorkersChangeNoBit) {
  simt::config().workers = 1;
  const Results one = run_all();
  for (const bool fibers : {false, true}) {
    simt::block_on_fibers = fibers;
    for (const unsigned workers : {2u, 4u}) {
      simt::config().workers = workers;
      EXPECT_EQ(simt::worker_count(), workers);
      EXPECT_TRUE(run_all() == one) << workers << " workers";
    }
  }
}

TEST_F(Simt, InstructionSetsGiveTheSameBits) {
  if (simt::always_fibers)
    GTEST_SKIP() << "checking builds compile kernels once; run this in the release preset";
  if (simt::instruction_set() == simt::InstructionSet::baseline)
    GTEST_SKIP() << "this CPU has no AVX2";
  const Results best = run_all();
  simt::config().instructions = simt::InstructionSet::baseline;
  EXPECT_EQ(simt::instruction_set(), simt::InstructionSet::baseline);
  EXPECT_TRUE(run_all() == best);
}

// ---- launches

__global__ void fails_at(int* out, int at) {
  const int i = static_cast<int>(blockIdx.x * blockDim.x + threadIdx.x);
  if (i == at) throw std::out_of_range("thread " + std::to_string(i));
  out[i] = 1;
}
__global__ void fails_after_barrier(int* out, int at) {
  __syncthreads();
  if (static_cast<int>(threadIdx.x) == at) throw std::out_of_range("thread " + std::to_string(at));
  __syncthreads();
  out[threadIdx.x] = 1;
}
struct FailsInBlock {
  static constexpr int kx = 32, ky = 1;
  int at;
  template <class B> SIMT_DEVICE void operator()(B& b) const {
    if (b.block_x() == at) throw std::out_of_range("block " + std::to_string(at));
  }
};

TEST_F(Simt, ExceptionsReachTheLauncher) {
  for (const unsigned workers : {1u, 3u}) {
    simt::config().workers = workers;
    for (int again = 0; again < 2; ++again) {
      std::vector<int> out(64, 0);
      EXPECT_THROW(simt::launch<fails_at>(host_stream(), dim3(8), dim3(8), out.data(), 20),
                   std::out_of_range);
      EXPECT_THROW(
          simt::launch_with_barriers<fails_at>(host_stream(), dim3(8), dim3(8), out.data(), 20),
          std::out_of_range);
      EXPECT_THROW(simt::launch_with_barriers<fails_after_barrier>(host_stream(), dim3(1), dim3(64),
                                                                   out.data(), 20),
                   std::out_of_range);
      EXPECT_EQ(std::accumulate(out.begin() + 32, out.end(), 0), 32)
          << "the other threads of the block run on";
      EXPECT_THROW(simt::launch_block(host_stream(), dim3(9), FailsInBlock{5}), std::out_of_range);
      // The next launch works.
      simt::launch_with_barriers<fails_after_barrier>(host_stream(), dim3(1), dim3(64), out.data(),
                                                      -1);
      EXPECT_EQ(std::accumulate(out.begin(), out.end(), 0), 64);
    }
  }
}

__global__ void nothing(int) {}
__global__ void too_much_shared(float* out) {
  SIMT_SHARED(float, a, [100][100]);
  SIMT_SHARED(float, b, [100][100]);
  a[0][0] = b[0][0] = *out;
}

TEST_F(Simt, LaunchesThatNoGpuWouldAcceptAreRefused) {
  const auto refused = [](dim3 grid, dim3 block) {
    try {
      simt::launch<nothing>(host_stream(), grid, block, 1);
    } catch (const Error& error) {
      const std::string what = error.what();
      return what.find("nothing") != std::string::npos &&
             what.find("cannot launch") != std::string::npos;
    }
    return false;
  };
  EXPECT_TRUE(refused(dim3(1), dim3(1025)));
  EXPECT_TRUE(refused(dim3(1), dim3(32, 33)));
  EXPECT_TRUE(refused(dim3(1), dim3(1, 1, 65)));
  EXPECT_TRUE(refused(dim3(1), dim3(0)));
  EXPECT_TRUE(refused(dim3(0), dim3(1)));
  EXPECT_TRUE(refused(dim3(1, 65536), dim3(1)));
  EXPECT_TRUE(refused(dim3(1, 1, 65536), dim3(1)));
  EXPECT_FALSE(refused(dim3(2, 1, 1), dim3(32, 32)));
  EXPECT_THROW(simt::launch_with_shared<nothing>(host_stream(), dim3(1), dim3(1), 50000, 1), Error);
  float x = 0.f;
  EXPECT_THROW(simt::launch_with_barriers<too_much_shared>(host_stream(), dim3(1), dim3(1), &x),
               Error);
}

__global__ void launches_another(int) { simt::launch<nothing>(host_stream(), dim3(1), dim3(1), 1); }

TEST_F(Simt, AKernelCannotLaunchAnother) {
  if (with_tsan)
    GTEST_SKIP() << "an exception's reference count is kept inside libstdc++, which "
                    "ThreadSanitizer does not see: it reports its release";
  EXPECT_THROW(simt::launch<launches_another>(host_stream(), dim3(2), dim3(1), 1), Error);
  EXPECT_THROW(simt::launch_with_barriers<launches_another>(host_stream(), dim3(2), dim3(1), 1),
               Error);
}

TEST_F(Simt, TwoThreadsMayLaunchAtOnce) {
  const Results expected = run_all();
  std::atomic<int> right{0};
  const auto work = [&] {
    for (int i = 0; i < (with_tsan ? 1 : 4); ++i) right += run_all() == expected;
  };
  std::thread other(work);
  work();
  other.join();
  EXPECT_EQ(right, with_tsan ? 2 : 8);
}

// ---- the GPU

#if DOPPEL_HAS_CUDA
// The samples' outputs in one block of device memory, in the order of SampleOutputs.
struct DeviceResults {
  kernels::Buffer block{kernels::Device::cuda, 1 << 20};
  std::size_t used = 0;
  template <class T> T* take(const std::vector<T>& like) {
    T* const p = reinterpret_cast<T*>(block.as<char>() + used);
    used += (like.size() * sizeof(T) + 255) / 256 * 256;
    return p;
  }
};

TEST(SimtOnGpu, SamplesEqualTheHostAndAGraphReplaysThem) {
  if (!kernels::probe_cuda().available) GTEST_SKIP() << kernels::probe_cuda().reason;
  const Results host = run_all();
  kernels::Stream& stream = kernels::Stream::of(kernels::Device::cuda);
  const kernels::Buffer x(kernels::Device::cuda, input().size() * sizeof(float));
  kernels::copy(x.data(), kernels::Device::cuda, input().data(), kernels::Device::host, x.bytes());
  Results gpu;
  DeviceResults device;
  const SampleOutputs to{device.take(gpu.range),      device.take(gpu.reversed),
                         device.take(gpu.mixed),      device.take(gpu.tree),
                         device.take(gpu.mean),       device.take(gpu.deviation),
                         device.take(gpu.mean64),     device.take(gpu.deviation64),
                         device.take(gpu.transposed), device.take(gpu.blurred)};
  ASSERT_LE(device.used, device.block.bytes());
  const auto fetch = [&](auto& vector, const auto* from) {
    kernels::copy(vector.data(), kernels::Device::host, from, kernels::Device::cuda,
                  vector.size() * sizeof(vector[0]));
  };
  const auto fetch_all = [&] {
    fetch(gpu.range, to.range);
    fetch(gpu.reversed, to.reversed);
    fetch(gpu.mixed, to.mixed);
    fetch(gpu.tree, to.tree);
    fetch(gpu.mean, to.mean);
    fetch(gpu.deviation, to.deviation);
    fetch(gpu.mean64, to.mean64);
    fetch(gpu.deviation64, to.deviation64);
    fetch(gpu.transposed, to.transposed);
    fetch(gpu.blurred, to.blurred);
  };
  run_samples<kernels::Cuda>(stream, shape, x.as<float>(), to);
  fetch_all();
  const auto near = [](const auto& a, const auto& b, double tolerance, const char* what) {
    for (std::size_t i = 0; i < a.size(); ++i)
      ASSERT_NEAR(a[i], b[i], tolerance * (1 + std::fabs(b[i]))) << what << ' ' << i;
  };
  near(gpu.range, host.range, 1e-6, "range");
  EXPECT_TRUE(same_bits(gpu.reversed, host.reversed));
  near(gpu.mixed, host.mixed, 1e-5, "mixed");
  EXPECT_TRUE(same_bits(gpu.tree, host.tree)) << "sums alone leave nothing to contract";
  near(gpu.mean, host.mean, 1e-6, "mean");
  near(gpu.deviation, host.deviation, 1e-6, "deviation");
  near(gpu.mean64, host.mean64, 1e-14, "mean64");
  near(gpu.deviation64, host.deviation64, 1e-14, "deviation64");
  EXPECT_TRUE(same_bits(gpu.transposed, host.transposed));
  near(gpu.blurred, host.blurred, 1e-6, "blurred");

  const Results eager = gpu;
  kernels::Graph graph;
  kernels::GraphMemory memory(kernels::Device::cuda);
  graph.begin(stream);
  EXPECT_TRUE(stream.capturing());
  run_samples<kernels::Cuda>(stream, shape, x.as<float>(), to);
  graph.end(stream);
  memory.close();
  EXPECT_EQ(graph.node_count(), 8u);
  kernels::fill_zero(stream, device.block.data(), device.block.bytes());
  graph.launch(stream);
  fetch_all();
  EXPECT_TRUE(gpu == eager);
}
#endif
}  // namespace
