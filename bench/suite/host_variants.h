// The host's libraries for convolution and matrix product by name, to time each beside
// the one that the launchers choose. The suite cannot include
// kernels/conv/host/host_variants.h: a namespace there has the name of a launcher.
#pragma once
#include <string>
#include <vector>

#include "kernels/conv/conv.h"
#include "kernels/conv/gemm.h"

namespace bench {

enum class Direction { forward, data, filter };
enum class HostLibrary { own, onednn };
bool has(HostLibrary);

// Operands in the launchers' order: forward x, w, bias, y; data dy, w, dx; filter x,
// dy, dw. Throws Error(usage) where the library does not offer the shape. T: float and
// bf16.
template <class T>
void host_conv(HostLibrary, Direction, const kernels::ConvShape&, const T* a, const T* b,
               const T* bias, T* out, const kernels::ConvEpilogue&);
template <class T>
void host_gemm(HostLibrary, bool transpose_a, bool transpose_b, std::int64_t m, std::int64_t n,
               std::int64_t k, const T* a, const T* b, T* c);

// OpenBLAS, opened at run time under the first of `names` that exists.
struct OpenBlas {
  explicit OpenBlas(const std::vector<std::string>& names);
  static std::vector<std::string> default_names() { return {"libopenblas.so.0", "libopenblas.so"}; }

  bool found() const { return sgemm != nullptr; }
  void gemm(bool transpose_a, bool transpose_b, std::int64_t m, std::int64_t n, std::int64_t k,
            const float* a, const float* b, float* c) const;
  std::string version, reason;  // the reason for its absence
  using Sgemm = void (*)(int order, int transpose_a, int transpose_b, int m, int n, int k,
                         float alpha, const float* a, int lda, const float* b, int ldb, float beta,
                         float* c, int ldc);
  Sgemm sgemm = nullptr;
};
}  // namespace bench
