// The caching pool.
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <thread>
#include <vector>

#include "kernels/core/memory.h"
#include "kernels/simt/config.h"

using namespace kernels;

namespace {

constexpr Device host = Device::host;

class Memory : public testing::Test {
 protected:
  void SetUp() override { release_cached(host); }
  void TearDown() override {
    fail_allocation_after(0);
    release_cached(host);
  }
};

TEST_F(Memory, BlocksAreAlignedAndReused) {
  for (const std::size_t bytes : {std::size_t{1}, std::size_t{511}, std::size_t{513},
                                  std::size_t{1} << 20, (std::size_t{1} << 20) + 1}) {
    void* const first = allocate(host, bytes);
    ASSERT_NE(first, nullptr);
    EXPECT_EQ(reinterpret_cast<std::uintptr_t>(first) % 256, 0u);
    std::memset(first, 7, bytes);
    release(host, first, bytes);
    const std::size_t misses = pool_stats(host).misses;
    void* const again = allocate(host, bytes);
    EXPECT_EQ(again, first);
    EXPECT_EQ(pool_stats(host).misses, misses);
    release(host, again, bytes);
  }
  EXPECT_EQ(allocate(host, 0), nullptr);
  release(host, nullptr, 0);
}

TEST_F(Memory, StatisticsCountSizeClasses) {
  const PoolStats before = pool_stats(host);
  {
    const Buffer small(host, 1000), large(host, (std::size_t{1} << 20) + 1);
    const PoolStats during = pool_stats(host);
    EXPECT_EQ(during.live_bytes - before.live_bytes, 1024u + (std::size_t{2} << 20));
    EXPECT_GE(during.peak_bytes, during.live_bytes);
    EXPECT_EQ(during.misses - before.misses, 2u);
    EXPECT_EQ(during.cached_bytes, 0u);
  }
  const PoolStats after = pool_stats(host);
  EXPECT_EQ(after.live_bytes, before.live_bytes);
  EXPECT_EQ(after.cached_bytes, 1024u + (std::size_t{2} << 20));
  release_cached(host);
  EXPECT_EQ(pool_stats(host).cached_bytes, 0u);
}

TEST_F(Memory, ACaptureIsServedHitsAndRefusedMisses) {
  { const Buffer warm(host, 3000); }
  GraphMemory memory(host);
  EXPECT_THROW(GraphMemory{host}, Error) << "one at a time";
  const Buffer hit(host, 3000);
  try {
    const Buffer miss(host, 100000);
    FAIL() << "a miss must throw";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::memory);
    EXPECT_NE(std::string(error.what()).find("captured"), std::string::npos);
    EXPECT_NE(std::string(error.what()).find("100000 bytes"), std::string::npos);
  }
  memory.close();
  const Buffer fine(host, 100000);
}

// A graph writes to its blocks at every launch: they are not handed out or given back.
TEST_F(Memory, BlocksOfAGraphDoNotCirculate) {
  const auto block_of = [](std::size_t bytes) { return Buffer(host, bytes).data(); };
  void *inside = nullptr, *again = nullptr;
  Buffer kept;
  { const Buffer warm(host, 3000), second(host, 5000), third(host, 7000); }
  {
    GraphMemory memory(host);
    inside = block_of(3000);
    again = block_of(3000);
    EXPECT_EQ(inside, again) << "in a capture, blocks are reused: launches are in order";
    kept = Buffer(host, 5000);  // a result that outlives the capture
    memory.close();

    EXPECT_NE(block_of(3000), inside);
    void* const result = kept.data();
    kept = Buffer();
    EXPECT_NE(block_of(5000), result) << "given back after the capture: still the graph's";
    EXPECT_EQ(pool_stats(host).reserved_bytes, 3072u + 5120u);
    release_cached(host);
    EXPECT_EQ(pool_stats(host).cached_bytes, 0u);
    EXPECT_EQ(pool_stats(host).reserved_bytes, 3072u + 5120u)
        << "the graph would write to freed memory";
    kept = Buffer(host, 3000);
    EXPECT_NE(kept.data(), inside);
  }
  EXPECT_EQ(pool_stats(host).reserved_bytes, 0u);
  EXPECT_EQ(block_of(3000), inside) << "the graph is gone";
  kept = Buffer();
  release_cached(host);
}

// A save in the background, say: its memory is its own, and it may take fresh blocks.
TEST_F(Memory, AnotherThreadTakesNothingFromACapture) {
  const auto in_another_thread = [](const auto& f) { std::thread(f).join(); };
  { const Buffer warm(host, 3000); }
  void *captured = nullptr, *others = nullptr;
  {
    GraphMemory memory(host);
    captured = Buffer(host, 3000).data();
    in_another_thread([&] {
      const Buffer fresh(host, 100000);
      const Buffer same_class(host, 3000);
      others = same_class.data();
    });
    EXPECT_NE(others, captured) << "the graph would write to it at every launch";
    in_another_thread([] { release_cached(host); });
    EXPECT_EQ(Buffer(host, 3000).data(), captured) << "given back, though a graph writes to it";
    memory.close();
    EXPECT_NE(Buffer(host, 3000).data(), captured);
  }
  EXPECT_EQ(pool_stats(host).reserved_bytes, 0u);
}

TEST_F(Memory, ScratchGoesBackAndOtherFreeBlocksStay) {
  { const Buffer warm(host, 3000); }
  Buffer kept;
  const PoolStats before = pool_stats(host);
  {
    const ScratchMemory scratch(host);
    EXPECT_THROW(ScratchMemory{host}, Error) << "one at a time";
    { const Buffer hit(host, 3000), large(host, 100000), larger(host, 5000000); }
    kept = Buffer(host, 200000);
    EXPECT_GT(pool_stats(host).cached_bytes, before.cached_bytes);
  }
  EXPECT_EQ(pool_stats(host).cached_bytes, before.cached_bytes);
  EXPECT_EQ(pool_stats(host).misses - before.misses, 3u);
  void* const block = kept.data();
  kept = Buffer();
  EXPECT_EQ(Buffer(host, 200000).data(), block) << "in use at the scope's end: an ordinary block";
}

TEST_F(Memory, TheNthRequestFailsOnceWhenAsked) {
  fail_allocation_after(3);
  const Buffer first(host, 100), second(host, 100);
  EXPECT_THROW(Buffer(host, 100), Error);
  const Buffer fourth(host, 100);
  EXPECT_NE(fourth.data(), nullptr);
}

TEST_F(Memory, ImpossibleSizesAreErrors) {
  for (const std::size_t bytes : {~std::size_t{0}, ~std::size_t{0} / 2, std::size_t{1} << 60}) {
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
    if (bytes != ~std::size_t{0}) continue;  // the sanitizer's allocator ends the program
#endif
    try {
      allocate(host, bytes);
      FAIL() << bytes;
    } catch (const Error& error) { EXPECT_EQ(error.kind(), ErrorKind::memory); }
  }
}

TEST_F(Memory, ManyThreadsShareThePool) {
  const auto work = [](unsigned seed) {
    std::vector<Buffer> mine;
    for (int i = 0; i < 300; ++i) {
      seed = seed * 1664525u + 1013904223u;
      const std::size_t bytes = 1 + (seed >> 8) % 5000;
      Buffer buffer(host, bytes);
      std::memset(buffer.data(), static_cast<int>(seed & 255), bytes);
      if (mine.size() < 8) mine.push_back(std::move(buffer));
      else mine[(seed >> 20) % 8] = std::move(buffer);
    }
  };
  const std::size_t live = pool_stats(host).live_bytes;
  std::vector<std::thread> threads;
  for (unsigned t = 0; t < 4; ++t) threads.emplace_back(work, t);
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(pool_stats(host).live_bytes, live);
}

TEST_F(Memory, BuffersMove) {
  Buffer a(host, 64);
  void* const data = a.data();
  Buffer b(std::move(a));
  EXPECT_EQ(b.data(), data);
  EXPECT_EQ(a.data(), nullptr);
  EXPECT_EQ(a.bytes(), 0u);
  Buffer c(host, 128);
  c = std::move(b);
  EXPECT_EQ(c.as<char>(), data);
  EXPECT_EQ(c.bytes(), 64u);
}

TEST_F(Memory, PoisonedBlocksAreNaN) {
  {
    Buffer warm(host, 40);
    std::memset(warm.data(), 0, 40);
  }
  simt::config().poison = true;
  const Buffer block(host, 40);
  simt::config().poison = false;
  for (int i = 0; i < 10; ++i) EXPECT_TRUE(std::isnan(block.as<float>()[i]));
}

TEST_F(Memory, CopyAndFill) {
  Stream& stream = Stream::of(host);
  std::vector<int> source(1000);
  for (std::size_t i = 0; i < source.size(); ++i) source[i] = static_cast<int>(i);
  const Buffer block(host, source.size() * sizeof(int));
  copy(block.data(), host, source.data(), host, block.bytes());
  EXPECT_EQ(std::memcmp(block.data(), source.data(), block.bytes()), 0);
  fill_zero(stream, block.data(), 400);
  EXPECT_EQ(block.as<int>()[99], 0);
  EXPECT_EQ(block.as<int>()[100], 100);
  copy(nullptr, host, nullptr, host, 0);
  fill_zero(stream, nullptr, 0);
}

#if defined(__SANITIZE_ADDRESS__)
TEST_F(Memory, AsanSeesThePoolsEdges) {
  testing::FLAGS_gtest_death_test_style = "threadsafe";
  EXPECT_DEATH(
      {
        const Buffer b(host, 100);
        b.as<volatile char>()[100] = 1;
      },
      "use-after-poison");  // rounded up to 512, still out of bounds
  EXPECT_DEATH(
      {
        char* p;
        {
          const Buffer b(host, 100);
          p = b.as<char>();
        }
        *static_cast<volatile char*>(p) = 1;
      },
      "use-after-poison");  // in the cache
}
#endif
}  // namespace
