// kernels/vectors.h on the host, in the GPU's threads: each element once, in vectors where
// addresses allow them. The kernels' own vectors are tested by the op table (test_cases.cpp).
#include "kernels/vectors.h"

#include <gtest/gtest.h>

#include <numeric>
#include <random>
#include <vector>

#include "bench/cases/op_runner.h"

namespace {

using namespace kernels;

TEST(Divisor, DividesAsTheMachineDoes) {
  std::mt19937 random(1);
  for (const std::int64_t d : {1ll, 2ll, 3ll, 5ll, 7ll, 8ll, 126ll, 128ll, 1000ll, 65535ll, 65537ll,
                               1ll << 30, (1ll << 31) - 1, 1ll << 31}) {
    const Divisor divisor(d);
    std::vector<std::int64_t> numbers{0, 1, d - 1, d, d + 1, kMostElements - 1, kMostElements};
    for (int i = 0; i < 1000; ++i) {
      numbers.push_back(random() & 0x7fffffff);
      numbers.push_back(numbers.back() / d * d);  // a multiple,
      numbers.push_back(numbers.back() - 1);      // and the number before it
    }
    for (const std::int64_t n : numbers) {
      if (n < 0 || n > kMostElements) continue;
      ASSERT_EQ(divisor.divide(static_cast<std::uint32_t>(n)), n / d) << n << " / " << d;
    }
  }
}

TEST(Vectors, RangeCountsWholeVectorsAtAlignedAddressesOnly) {
  alignas(16) static bf16 x[64];
  alignas(16) static float y[64];
  EXPECT_EQ((lanes<bf16>), 8);
  EXPECT_EQ((lanes<bf16, float>), 4);
  EXPECT_EQ(vector_range<8>(61, x).vectors, 7u);
  EXPECT_EQ(vector_range<8>(61, x, static_cast<bf16*>(nullptr)).vectors, 7u);
  EXPECT_EQ(vector_range<8>(53, x + 8).vectors, 6u);
  EXPECT_EQ(vector_range<8>(53, x, x + 4).vectors, 0u) << "8 bytes are no vector of 16";
  EXPECT_EQ(vector_range<4>(61, x + 4, y + 4).vectors, 15u) << "8 bytes of bf16 beside 16 of f32";
  EXPECT_EQ(vector_range<4>(61, x + 4, y + 2).vectors, 0u);
  EXPECT_EQ(vector_range<8>((kMostElements + 1) * 8, x).vectors, 0u) << "too many for 32 bits";
  EXPECT_EQ(row_vector_range<8>(3, 16, x).vectors, 6u);
  EXPECT_EQ(row_vector_range<8>(8, 6, x).vectors, 0u) << "a vector would cross rows";
}

TEST(Vectors, PartsCoverTheRows) {
  for (const std::int64_t rows : {0, 1, 5, 6, 7, 100}) {
    std::vector<int> seen(static_cast<std::size_t>(rows));
    in_parts(
        rows, 3,
        [&](std::int64_t first, std::int64_t count) {
          EXPECT_LE(count * 3, 10);
          for (std::int64_t r = first; r < first + count; ++r) ++seen[r];
        },
        10);
    EXPECT_EQ(seen, std::vector<int>(seen.size(), 1));
  }
  int parts = 0;
  in_parts(
      4, 11, [&](std::int64_t, std::int64_t count) { parts += count == 1; }, 10);
  EXPECT_EQ(parts, 4) << "a row that is too long";
}

// Adds to each element the size of the turn that meets it.
__global__ void mark(VectorRange<8> range, bf16* x) {
  for_vectors(range, [=](const auto& at) SIMT_LAMBDA {
    auto values = at.load(x);
    for (int k = 0; k < at.count; ++k) values[k] += at.count;
    at.store(x, values);
  });
}
// Adds to each element 1 + its column, and ten times that of its row.
__global__ void mark_places(VectorRange<4> range, Divisor columns, float* x, const float* row) {
  for_row_vectors(range, columns, [=](const auto& at) SIMT_LAMBDA {
    const auto column = at.load_row(row);
    auto values = at.load(x);
    for (int k = 0; k < at.count; ++k)
      values[k] += column[k] + 10 * (1.f + static_cast<float>(at.row[k / at.kLanes]));
    at.store(x, values);
  });
}

TEST(Vectors, MeetEachElementOnce) {
  Stream& stream = Stream::of(Device::host);
  for (const simt::Order order : {simt::Order::forward, simt::Order::reverse})
    for (const std::int64_t n : {1, 7, 8, 4095, 4096, 20000, 40001})
      for (const int offset : {0, 3}) {
        const bench::cases::WithConfig config(2, order, simt::InstructionSet::best, true);
        const Buffer buffer(Device::host, static_cast<std::size_t>(n + offset) * sizeof(bf16));
        bf16* const x = buffer.as<bf16>() + offset;
        std::fill(x, x + n, bf16(0.f));
        launch_vectors<mark>(stream, vector_range<8>(n, x), x);
        const std::int64_t turn = 16 * kVectorThreads, whole = n / turn * turn, vectors = n / 8 * 8;
        for (std::int64_t i = 0; i < n; ++i)
          ASSERT_EQ(static_cast<float>(x[i]), offset != 0 || i >= vectors ? 1.f
                                              : i < whole                 ? 16.f
                                                                          : 8.f)
              << i << " of " << n << " at " << offset;
      }
}

TEST(Vectors, KnowTheirRowsAndColumns) {
  Stream& stream = Stream::of(Device::host);
  for (const bool gpu_threads : {false, true})
    for (const std::int64_t columns : {1, 3, 4, 12, 1000}) {
      const bench::cases::WithConfig config(1, simt::Order::forward, simt::InstructionSet::best,
                                            gpu_threads);
      const std::int64_t rows = 12000 / columns;
      const Buffer matrix(Device::host, static_cast<std::size_t>(rows * columns) * sizeof(float)),
          row(Device::host, static_cast<std::size_t>(columns) * sizeof(float));
      float *const x = matrix.as<float>(), *const r = row.as<float>();
      std::fill(x, x + rows * columns, 0.f);
      std::iota(r, r + columns, 1.f);
      launch_vectors<mark_places>(stream, row_vector_range<4>(rows, columns, x, r),
                                  Divisor(columns), x, r);
      for (std::int64_t i = 0; i < rows * columns; ++i)
        ASSERT_EQ(x[i], static_cast<float>(1 + i % columns + 10 * (1 + i / columns))) << i;
    }
}
}  // namespace
