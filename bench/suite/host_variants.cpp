#include "bench/suite/host_variants.h"

#include "kernels/conv/host/blocked_gemm.h"
#include "kernels/conv/host/im2col.h"
#include "kernels/conv/onednn/conv.h"
#include "kernels/conv/onednn/gemm.h"

namespace bench {

using kernels::bf16;
using kernels::ConvEpilogue;
using kernels::ConvShape;
using kernels::Transpose;

template <class T>
void own_conv(Direction direction, const ConvShape& s, const T* a, const T* b, const T* bias,
              T* out, const ConvEpilogue& epilogue) {
  switch (direction) {
    case Direction::forward:
      return kernels::im2col_gemm::conv_forward<T>(s, a, b, bias, out, epilogue);
    case Direction::data: return kernels::im2col_gemm::conv_backward_data<T>(s, a, b, out);
    default: return kernels::im2col_gemm::conv_backward_filter<T>(s, a, b, out);
  }
}
template <class T>
void own_gemm(bool transpose_a, bool transpose_b, std::int64_t m, std::int64_t n, std::int64_t k,
              const T* a, const T* b, T* c) {
  kernels::blocked::gemm<T>(Transpose{transpose_a}, Transpose{transpose_b}, m, n, k, 1.f, a, b, 0.f,
                            c);
}

bool has_onednn() { return DOPPEL_HAS_ONEDNN != 0; }

#if DOPPEL_HAS_ONEDNN
namespace {
void offered(bool done) {
  if (!done) throw kernels::Error(kernels::ErrorKind::usage, "oneDNN does not offer this shape");
}
}  // namespace

template <class T>
void onednn_conv(Direction direction, const ConvShape& s, const T* a, const T* b, const T* bias,
                 T* out, const ConvEpilogue& epilogue) {
  offered(direction == Direction::forward
              ? kernels::onednn::conv_forward<T>(s, a, b, bias, out, epilogue)
          : direction == Direction::data ? kernels::onednn::conv_backward_data<T>(s, a, b, out)
                                         : kernels::onednn::conv_backward_filter<T>(s, a, b, out));
}
template <class T>
void onednn_gemm(bool transpose_a, bool transpose_b, std::int64_t m, std::int64_t n, std::int64_t k,
                 const T* a, const T* b, T* c) {
  offered(kernels::onednn::gemm<T>(Transpose{transpose_a}, Transpose{transpose_b}, m, n, k, 1.f, a,
                                   b, 0.f, c));
}
#else
template <class T>
void onednn_conv(Direction, const ConvShape&, const T*, const T*, const T*, T*,
                 const ConvEpilogue&) {
  throw kernels::Error(kernels::ErrorKind::usage, "this build has no oneDNN");
}
template <class T>
void onednn_gemm(bool, bool, std::int64_t, std::int64_t, std::int64_t, const T*, const T*, T*) {
  throw kernels::Error(kernels::ErrorKind::usage, "this build has no oneDNN");
}
#endif

template void own_conv<float>(Direction, const ConvShape&, const float*, const float*, const float*,
                              float*, const ConvEpilogue&);
template void own_conv<bf16>(Direction, const ConvShape&, const bf16*, const bf16*, const bf16*,
                             bf16*, const ConvEpilogue&);
template void own_gemm<float>(bool, bool, std::int64_t, std::int64_t, std::int64_t, const float*,
                              const float*, float*);
template void own_gemm<bf16>(bool, bool, std::int64_t, std::int64_t, std::int64_t, const bf16*,
                             const bf16*, bf16*);
template void onednn_conv<float>(Direction, const ConvShape&, const float*, const float*,
                                 const float*, float*, const ConvEpilogue&);
template void onednn_conv<bf16>(Direction, const ConvShape&, const bf16*, const bf16*, const bf16*,
                                bf16*, const ConvEpilogue&);
template void onednn_gemm<float>(bool, bool, std::int64_t, std::int64_t, std::int64_t, const float*,
                                 const float*, float*);
template void onednn_gemm<bf16>(bool, bool, std::int64_t, std::int64_t, std::int64_t, const bf16*,
                                const bf16*, bf16*);

}  // namespace bench
