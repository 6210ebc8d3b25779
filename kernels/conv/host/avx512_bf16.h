// The inner loops of blocked_gemm.h over pairs of bf16, for CPUs with AVX-512 BF16. Call
// them only if available().
#pragma once
#include "kernels/core/types.h"

namespace kernels::avx512_bf16 {

bool available();

struct Pair {  // of neighbouring values of k
  bf16 even, odd;
};

// c[i][j] (+)= sum over elements of a.even * b.even + a.odd * b.odd. Each product is
// added to the float sum and rounded, the odd one first; denormals count as zero.
inline constexpr int mr = 14, nr = 32;
void multiply(int elements,
              const Pair* a,  // [elements,mr]
              const Pair* b,  // [elements,nr]
              float* c,       // [mr,nr], rows `pitch` apart
              std::int64_t pitch, bool add);

// As blocked::pack_rows().
void pack_rows(const bf16* const* rows, int count, int depth, int width, std::int64_t pitch,
               Pair* dst);
// One panel of blocked::pack_columns(): row r of column k is columns[k][first + r].
void pack_columns(const bf16* const* columns, int first, int count, int depth, int width,
                  Pair* dst);

void round(const float* values, int count, bf16* out);  // out[e] = bf16(values[e])
}  // namespace kernels::avx512_bf16
