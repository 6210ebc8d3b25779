// Every function carries its instruction sets as an attribute. A wider target for the
// whole file would also reach inline functions of the standard library, and the linker
// may keep that copy for all.
#include "kernels/conv/host/avx512_bf16.h"

#include <algorithm>
#include <cstring>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace kernels::avx512_bf16 {
#if defined(__x86_64__)
typedef int Elements __attribute__((vector_size(64)));
typedef long long Words __attribute__((vector_size(64)));
#define AVX512 [[gnu::target("avx512f,avx512bw,avx512vl,avx512bf16")]]

bool available() {
  static const bool all = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                          __builtin_cpu_supports("avx512vl") &&
                          __builtin_cpu_supports("avx512bf16");
  return all;
}

AVX512 void multiply(int elements, const Pair* a, const Pair* b, float* c, std::int64_t pitch,
                     bool add) {
  constexpr int lanes = 16;
  static_assert(nr == 2 * lanes);
  __m512 sum[mr][2] = {};  // 28 of the 32 registers
  for (int k = 0; k < elements; ++k, a += mr, b += nr) {
    const __m512bh right[2] = {(__m512bh)_mm512_loadu_si512(b),
                               (__m512bh)_mm512_loadu_si512(b + lanes)};
#pragma GCC unroll 14
    for (int i = 0; i < mr; ++i) {
      int pair;
      std::memcpy(&pair, a + i, sizeof(pair));
      const __m512bh left = (__m512bh)_mm512_set1_epi32(pair);
      sum[i][0] = _mm512_dpbf16_ps(sum[i][0], left, right[0]);
      sum[i][1] = _mm512_dpbf16_ps(sum[i][1], left, right[1]);
    }
  }
#pragma GCC unroll 14
  for (int i = 0; i < mr; ++i) {
#pragma GCC unroll 2
    for (int j = 0; j < 2; ++j) {
      float* const out = c + i * pitch + j * lanes;
      _mm512_storeu_ps(out, add ? _mm512_add_ps(_mm512_loadu_ps(out), sum[i][j]) : sum[i][j]);
    }
  }
}

// Eight rows by sixteen elements, transposed in registers: first the squares of 4 x 4
// within each quarter of a register, then the quarters of two squares side by side.
AVX512 void pack_rows(const bf16* const* rows, int count, int depth, int width, std::int64_t pitch,
                      Pair* dst) {
  constexpr int height = 8, elements = 16;
  for (int done = 0; done < count;) {
    const int panel = done / width * width, end = std::min(panel + width, count),
              lanes = std::min(end - panel, height), first = std::min(done, end - lanes);
    done = first + lanes;
    const bf16 *line[height], *next[height];  // rows, and those to prefetch
    for (int r = 0; r < height; ++r) {
      line[r] = rows[first + std::min(r, lanes - 1)];
      next[r] = rows[std::min(done + r, count - 1)];
    }
    Pair* out = dst + panel / width * pitch + (first - panel);
    for (int k = 0; k < depth; k += 2 * elements, out += elements * width) {
      const int left = std::min(depth - k, 2 * elements);
      const __mmask32 mask = ~__mmask32{0} >> (2 * elements - left);
      Words square[2][4];  // [h][c]: in each quarter q, element 4q + c of rows 4h to 4h + 3
#pragma GCC unroll 2
      for (int h = 0; h < 2; ++h) {
        Elements row[4];
#pragma GCC unroll 4
        for (int r = 0; r < 4; ++r) {
          row[r] = (Elements)_mm512_maskz_loadu_epi16(mask, line[4 * h + r] + k);
          __builtin_prefetch(next[4 * h + r] + k);
        }
        const Elements low{0, 16, 1, 17, 4, 20, 5, 21, 8, 24, 9, 25, 12, 28, 13, 29},
            high{2, 18, 3, 19, 6, 22, 7, 23, 10, 26, 11, 27, 14, 30, 15, 31};
        const auto low01 = (Words)__builtin_shuffle(row[0], row[1], low),
                   high01 = (Words)__builtin_shuffle(row[0], row[1], high),
                   low23 = (Words)__builtin_shuffle(row[2], row[3], low),
                   high23 = (Words)__builtin_shuffle(row[2], row[3], high);
        const Words even{0, 8, 2, 10, 4, 12, 6, 14}, odd{1, 9, 3, 11, 5, 13, 7, 15};
        square[h][0] = __builtin_shuffle(low01, low23, even);
        square[h][1] = __builtin_shuffle(low01, low23, odd);
        square[h][2] = __builtin_shuffle(high01, high23, even);
        square[h][3] = __builtin_shuffle(high01, high23, odd);
      }
      Words columns[4][2];  // [c][p]: eight rows of elements 8p + c and 8p + 4 + c
#pragma GCC unroll 4
      for (int c = 0; c < 4; ++c) {
        const Words a = square[0][c], b = square[1][c];
        columns[c][0] = __builtin_shuffle(a, b, Words{0, 1, 8, 9, 2, 3, 10, 11});
        columns[c][1] = __builtin_shuffle(a, b, Words{4, 5, 12, 13, 6, 7, 14, 15});
      }
      const auto* const column = reinterpret_cast<const Pair*>(columns);
      if (lanes == height && left == 2 * elements) {
#pragma GCC unroll 16
        for (int e = 0; e < elements; ++e)
          std::memcpy(out + e * width, column + e % 4 * 32 + e / 4 * 8, 32);
      } else {
        for (int e = 0; 2 * e < left; ++e)
          std::memcpy(out + e * width, column + e % 4 * 32 + e / 4 * 8,
                      sizeof(Pair) * static_cast<std::size_t>(lanes));
      }
    }
  }
}

AVX512 void pack_columns(const bf16* const* columns, int first, int count, int depth, int width,
                         Pair* dst) {
  static constexpr bf16 zeros[32] = {};
  constexpr int lanes = 8;
  for (int k = 0; k < depth; k += 2, dst += width) {
    const bf16* const even = columns[k] + first;
    const bf16* const odd = k + 1 < depth ? columns[k + 1] + first : zeros;
    if (count < lanes) {
      for (int r = 0; r < count; ++r) dst[r] = {even[r], odd[r]};
      continue;
    }
    for (int done = 0; done < count; done += lanes) {
      const int r = done + lanes > count ? count - lanes : done;  // may overlap the last eight
      const auto* const low = reinterpret_cast<const __m128i*>(even + r);
      const auto* const high = reinterpret_cast<const __m128i*>(odd + r);
      const __m256i a = _mm256_cvtepu16_epi32(_mm_loadu_si128(low)),
                    b = _mm256_cvtepu16_epi32(_mm_loadu_si128(high));
      _mm256_storeu_si256(reinterpret_cast<__m256i*>(dst + r),
                          _mm256_or_si256(a, _mm256_slli_epi32(b, 16)));
    }
  }
}

AVX512 void round(const float* values, int count, bf16* out) {
  for (int e = 0; e < count; ++e) out[e] = bf16(values[e]);
}
#undef AVX512
#else
bool available() { return false; }
void multiply(int, const Pair*, const Pair*, float*, std::int64_t, bool) {}
void pack_rows(const bf16* const*, int, int, int, Pair*) {}
void pack_columns(const bf16* const*, int, int, int, int, Pair*) {}
void round(const float*, int, bf16*) {}
#endif
}  // namespace kernels::avx512_bf16
