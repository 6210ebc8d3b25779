#include "bench/suite/host_variants.h"

#include <dlfcn.h>

#include "kernels/conv/host/blocked_gemm.h"
#include "kernels/conv/host/im2col.h"
#include "kernels/conv/onednn/conv.h"
#include "kernels/conv/onednn/gemm.h"
#include "kernels/simt/config.h"

namespace bench {

using kernels::bf16;
using kernels::ConvEpilogue;
using kernels::ConvShape;
using kernels::Transpose;

bool has(HostLibrary library) { return library == HostLibrary::own || DOPPEL_HAS_ONEDNN != 0; }

namespace {

void require(bool offered) {
  if (!offered)
    throw kernels::Error(kernels::ErrorKind::usage, DOPPEL_HAS_ONEDNN
                                                        ? "oneDNN does not offer this shape"
                                                        : "this build has no oneDNN");
}
}  // namespace

template <class T>
void host_conv(HostLibrary library, Direction direction, const ConvShape& s, const T* a, const T* b,
               const T* bias, T* out, const ConvEpilogue& epilogue) {
  const bool forward = direction == Direction::forward, data = direction == Direction::data;
  if (library == HostLibrary::own) {
    if (forward) kernels::im2col_gemm::conv_forward<T>(s, a, b, bias, out, epilogue);
    else if (data) kernels::im2col_gemm::conv_backward_data<T>(s, a, b, out);
    else kernels::im2col_gemm::conv_backward_filter<T>(s, a, b, out);
    return;
  }
  bool offered = false;
#if DOPPEL_HAS_ONEDNN
  offered = forward ? kernels::onednn::conv_forward<T>(s, a, b, bias, out, epilogue)
            : data  ? kernels::onednn::conv_backward_data<T>(s, a, b, out)
                    : kernels::onednn::conv_backward_filter<T>(s, a, b, out);
#endif
  require(offered);
}

template <class T>
void host_gemm(HostLibrary library, bool transpose_a, bool transpose_b, std::int64_t m,
               std::int64_t n, std::int64_t k, const T* a, const T* b, T* c) {
  const Transpose ta{transpose_a}, tb{transpose_b};
  if (library == HostLibrary::own)
    return kernels::blocked::gemm<T>(ta, tb, m, n, k, 1.f, a, b, 0.f, c);
  bool offered = false;
#if DOPPEL_HAS_ONEDNN
  offered = kernels::onednn::gemm<T>(ta, tb, m, n, k, 1.f, a, b, 0.f, c);
#endif
  require(offered);
}

template void host_conv(HostLibrary, Direction, const ConvShape&, const float*, const float*,
                        const float*, float*, const ConvEpilogue&);
template void host_conv(HostLibrary, Direction, const ConvShape&, const bf16*, const bf16*,
                        const bf16*, bf16*, const ConvEpilogue&);
template void host_gemm(HostLibrary, bool, bool, std::int64_t, std::int64_t, std::int64_t,
                        const float*, const float*, float*);
template void host_gemm(HostLibrary, bool, bool, std::int64_t, std::int64_t, std::int64_t,
                        const bf16*, const bf16*, bf16*);

OpenBlas::OpenBlas(const std::vector<std::string>& names) {
  for (const std::string& name : names) {
    void* const library = dlopen(name.c_str(), RTLD_NOW | RTLD_LOCAL);  // its threads outlive us
    if (!library) {
      if (reason.empty()) reason = dlerror();
      continue;
    }
    sgemm = reinterpret_cast<Sgemm>(dlsym(library, "cblas_sgemm"));
    reason = sgemm ? "" : name + " has no cblas_sgemm";
    using Config = const char* (*)();
    using SetThreads = void (*)(int);
    if (const auto config = reinterpret_cast<Config>(dlsym(library, "openblas_get_config")))
      version = config();
    if (const auto set_threads =
            reinterpret_cast<SetThreads>(dlsym(library, "openblas_set_num_threads")))
      set_threads(static_cast<int>(simt::worker_count()));
    return;
  }
}

void OpenBlas::gemm(bool transpose_a, bool transpose_b, std::int64_t m, std::int64_t n,
                    std::int64_t k, const float* a, const float* b, float* c) const {
  constexpr int row_major = 101, plain = 111, transposed = 112;  // cblas.h
  const auto rows = static_cast<int>(m), columns = static_cast<int>(n), depth = static_cast<int>(k);
  sgemm(row_major, transpose_a ? transposed : plain, transpose_b ? transposed : plain, rows,
        columns, depth, 1.f, a, transpose_a ? rows : depth, b, transpose_b ? depth : columns, 0.f,
        c, columns);
}
}  // namespace bench
