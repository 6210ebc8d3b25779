// The implementations behind the host's seams by name. (kernels/conv/host/host_variants.h has a namespace with the name of a launcher, so a file
// that knows the op cases cannot include it.)
#pragma once
#include "kernels/conv/conv.h"
#include "kernels/conv/gemm.h"

namespace bench {

enum class Direction { forward, data, filter };

// As the launchers in kernels/conv/conv.h: forward takes x, w, bias and y; data dy, w, dx; filter x, dy, dw.
template <class T>
void own_conv(Direction, const kernels::ConvShape&, const T* a, const T* b, const T* bias, T* out,
              const kernels::ConvEpilogue&);
template <class T>
void own_gemm(bool transpose_a, bool transpose_b, std::int64_t m, std::int64_t n, std::int64_t k,
              const T* a, const T* b, T* c);

// The same by oneDNN; throws Error(usage) where it is not in this build or does not offer the shape.
bool has_onednn();
template <class T>
void onednn_conv(Direction, const kernels::ConvShape&, const T* a, const T* b, const T* bias,
                 T* out, const kernels::ConvEpilogue&);
template <class T>
void onednn_gemm(bool transpose_a, bool transpose_b, std::int64_t m, std::int64_t n, std::int64_t k,
                 const T* a, const T* b, T* c);

}  // namespace bench
