// Builders of the rows for kernels/conv/conv.h and gemm.h, for tests that need such a row of
// another shape.
#pragma once
#include "bench/cases/op_cases.h"
#include "kernels/conv/conv.h"
#include "kernels/conv/dense.h"
#include "kernels/conv/gemm.h"

namespace bench::cases {

// A shape of a small test, of a model, or of a series of sizes. The last two compare sampled
// elements.
enum class Use { test, model, sweep };

template <class T>
void add_conv(std::vector<OpCase>& rows, const kernels::ConvShape&, const std::string& shape, Use);

template <class T>
void add_gemm(std::vector<OpCase>& rows, kernels::Transpose ta, kernels::Transpose tb, Index m,
              Index n, Index k, float alpha, float beta, const std::string& note, Use);
}  // namespace bench::cases
