// Matrix product on the host through oneDNN, for float and bf16, as in conv/gemm.h.
// Returns false if oneDNN does not offer it on this CPU.
#pragma once
#include "kernels/conv/gemm.h"

namespace kernels::onednn {

template <class T>
bool gemm(Transpose transpose_a, Transpose transpose_b,    //
          std::int64_t m, std::int64_t n, std::int64_t k,  //
          float alpha, const T* a, const T* b, float beta, T* c);
}  // namespace kernels::onednn
