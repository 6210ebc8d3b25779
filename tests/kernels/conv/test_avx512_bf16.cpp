// The AVX-512 BF16 loops against plain ones, on a CPU that has it.
#include "kernels/conv/host/avx512_bf16.h"

#include <gtest/gtest.h>

#include <bit>
#include <cstring>
#include <random>
#include <utility>
#include <vector>

#include "kernels/conv/host/blocked_gemm.h"
#include "kernels/conv/host/im2col.h"
#include "kernels/simt/config.h"

using kernels::bf16;
using kernels::blocked::Pair;

namespace {

struct Avx512Bf16 : testing::Test {
  void SetUp() override {
    if (!kernels::avx512_bf16::available()) GTEST_SKIP() << "this CPU has no AVX-512 BF16";
  }
};

bf16 of_bits(unsigned bits) {
  bf16 value{};
  value.bits = static_cast<std::uint16_t>(bits);
  return value;
}
constexpr std::uint16_t untouched = 0xa5a5;
const Pair guard{of_bits(untouched), of_bits(untouched)};
bool same(Pair a, Pair b) { return a.even.bits == b.even.bits && a.odd.bits == b.odd.bits; }

// Rows of different values, never the guard's.
std::vector<bf16> numbered(int n) {
  std::vector<bf16> values(static_cast<std::size_t>(n));
  for (int i = 0; i < n; ++i) values[static_cast<std::size_t>(i)] = of_bits(1u + i % 40000u);
  return values;
}

// dst is panels of `width` rows; element(row, e) says what must lie there.
template <class Element>
void expect_panels(const std::vector<Pair>& dst, int count, int elements, int width,
                   const Element& element) {
  std::vector<Pair> expected(dst.size(), guard);
  for (int r = 0; r < count; ++r) {
    for (int e = 0; e < elements; ++e)
      expected[static_cast<std::size_t>((r / width * elements + e) * width + r % width)] =
          element(r, e);
  }
  for (std::size_t i = 0; i < dst.size(); ++i)
    ASSERT_TRUE(same(dst[i], expected[i]))
        << "at " << i << ", " << count << " rows of " << elements;
}

TEST_F(Avx512Bf16, PacksRowsAndColumnsOfEveryLength) {
  for (const int width : {kernels::avx512_bf16::mr, kernels::avx512_bf16::nr}) {
    for (const int count : {1, 3, 7, 8, 9, 13, 14, 15, 28, 31, 32, 33, 70}) {
      for (const int depth : {1, 2, 15, 16, 17, 31, 32, 33, 64, 95}) {
        const int elements = (depth + 1) / 2, panels = (count + width - 1) / width;
        const std::int64_t pitch = static_cast<std::int64_t>(width) * elements;
        const std::vector<bf16> values = numbered(count * depth);
        const auto at = [&](int i) { return values[static_cast<std::size_t>(i)]; };
        std::vector<const bf16*> rows, columns;
        for (int r = 0; r < count; ++r) rows.push_back(values.data() + r * depth);
        for (int k = 0; k < depth; ++k) columns.push_back(values.data() + k * count);

        std::vector<Pair> dst(static_cast<std::size_t>(panels * pitch) + 16, guard);
        kernels::blocked::pack_rows(rows.data(), count, depth, width, pitch, dst.data());
        expect_panels(dst, count, elements, width, [&](int r, int e) {
          return Pair{at(r * depth + 2 * e),
                      2 * e + 1 < depth ? at(r * depth + 2 * e + 1) : bf16()};
        });

        dst.assign(dst.size(), guard);
        kernels::blocked::pack_columns(columns.data(), 0, count, depth, width, pitch, dst.data());
        expect_panels(dst, count, elements, width, [&](int r, int e) {
          return Pair{at(2 * e * count + r),
                      2 * e + 1 < depth ? at((2 * e + 1) * count + r) : bf16()};
        });
      }
    }
  }
}

TEST_F(Avx512Bf16, RoundsAsTheTypeDoes) {
  std::vector<float> values;
  for (std::uint32_t upper = 0; upper < 0x10000u; ++upper) {
    for (const std::uint32_t lower : {0u, 1u, 0x7fffu, 0x8000u, 0x8001u, 0xffffu})
      values.push_back(std::bit_cast<float>(upper << 16 | lower));
  }
  std::vector<bf16> rounded(values.size());
  kernels::avx512_bf16::round(values.data(), static_cast<int>(values.size()), rounded.data());
  for (std::size_t i = 0; i < values.size(); ++i)
    ASSERT_EQ(rounded[i].bits, bf16(values[i]).bits) << std::bit_cast<std::uint32_t>(values[i]);
}

// A gradient below 1.2e-38 is lost; the type itself keeps it.
TEST_F(Avx512Bf16, ProductsTakeDenormalsForZero) {
  const bf16 denormal = of_bits(0x0040), large(0x1p100f);
  ASSERT_GT(static_cast<float>(denormal), 0.f);
  using kernels::avx512_bf16::mr, kernels::avx512_bf16::nr;
  const std::vector<Pair> a(mr, Pair{denormal, large}), b(nr, Pair{large, denormal});
  std::vector<float> c(mr * nr, 1.f);
  kernels::avx512_bf16::multiply(1, a.data(), b.data(), c.data(), nr, false);
  for (const float sum : c) EXPECT_EQ(sum, 0.f);
}

TEST_F(Avx512Bf16, SameBitsForAnyNumberOfThreads) {
  const kernels::ConvShape s = kernels::same_padding(3, 12, 12, 24, 70, 5, 2);
  std::mt19937 random(1);
  std::uniform_real_distribution<float> uniform(-1.f, 1.f);
  const auto values = [&](std::int64_t n) {
    std::vector<bf16> all(static_cast<std::size_t>(n));
    for (bf16& v : all) v = bf16(uniform(random));
    return all;
  };
  const auto x = values(s.x_size()), w = values(s.w_size()), dy = values(s.y_size());
  const auto run = [&](unsigned workers) {
    const unsigned before = std::exchange(simt::config().workers, workers);
    std::vector<bf16> y = values(s.y_size()), dx = values(s.x_size()), dw = values(s.w_size());
    kernels::im2col_gemm::conv_forward<bf16>(s, x.data(), w.data(), nullptr, y.data(), {});
    kernels::im2col_gemm::conv_backward_data(s, dy.data(), w.data(), dx.data());
    kernels::im2col_gemm::conv_backward_filter(s, x.data(), dy.data(), dw.data());
    simt::config().workers = before;
    y.insert(y.end(), dx.begin(), dx.end());
    y.insert(y.end(), dw.begin(), dw.end());
    return y;
  };
  const auto alone = run(1);
  for (const unsigned workers : {2u, 5u}) {
    const auto shared = run(workers);
    EXPECT_EQ(std::memcmp(alone.data(), shared.data(), alone.size() * sizeof(bf16)), 0) << workers;
  }
}

TEST(PairRate, IsZeroExactlyWithoutTheInstruction) {
  EXPECT_EQ(kernels::blocked::pair_rate() > 0, kernels::avx512_bf16::available());
  EXPECT_EQ(kernels::blocked::pair_rate(), kernels::blocked::pair_rate());  // measured once
}
}  // namespace
