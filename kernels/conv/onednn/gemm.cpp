// float through oneDNN's sgemm, bf16 through its matmul primitive.
#include "kernels/conv/onednn/gemm.h"

#include "kernels/conv/onednn/runtime.h"

namespace kernels::onednn {
namespace {

Primitive matmul(bool transpose_a, bool transpose_b, std::int64_t m, std::int64_t n, std::int64_t k,
                 float alpha, float beta) {
  using dnnl::memory;
  const auto matrix = [](std::int64_t rows, std::int64_t columns, bool transposed) {
    return memory::desc({rows, columns}, data_type<bf16>,
                        transposed ? memory::dims{1, rows} : memory::dims{columns, 1});
  };
  dnnl::primitive_attr attr;
  attr.set_scratchpad_mode(dnnl::scratchpad_mode::user);
  if (alpha != 1.f) attr.set_output_scales(0, {alpha});
  if (beta != 0.f) {
    dnnl::post_ops post;
    post.append_sum(beta);
    attr.set_post_ops(post);
  }
  const dnnl::matmul::primitive_desc desc(
      {matrix(m, k, transpose_a), matrix(k, n, transpose_b), matrix(m, n, false)}, attr, engine());
  Primitive p;
  p.primitive = dnnl::matmul(desc);
  p.x = desc.src_desc();
  p.w = desc.weights_desc();
  p.y = desc.dst_desc();
  p.scratchpad = desc.scratchpad_desc();
  return p;
}
}  // namespace

template <class T>
bool gemm(Transpose transpose_a, Transpose transpose_b, std::int64_t m, std::int64_t n,
          std::int64_t k, float alpha, const T* a, const T* b, float beta, T* c) {
  const bool ta = transpose_a == Transpose::yes, tb = transpose_b == Transpose::yes;
  const int threads = set_threads();
  if constexpr (std::is_same_v<T, float>) {
    return dnnl_sgemm(ta ? 'T' : 'N', tb ? 'T' : 'N', m, n, k, alpha, a, ta ? m : k, b, tb ? k : n,
                      beta, c, n) == dnnl_success;
  } else {
    static auto* const cache = new PrimitiveCache;
    const PrimitiveCache::Key key{ta, tb, m, n, k, bits(alpha), bits(beta), threads};
    const Primitive& p = cache->find(key, [&] { return matmul(ta, tb, m, n, k, alpha, beta); });
    if (!p.usable) return false;
    execute(p, {{DNNL_ARG_SRC, wrap(p.x, a)},
                {DNNL_ARG_WEIGHTS, wrap(p.w, b)},
                {DNNL_ARG_DST, wrap(p.y, c)}});
    return true;
  }
}
template decltype(gemm<float>) gemm<float>;
template decltype(gemm<bf16>) gemm<bf16>;
}  // namespace kernels::onednn
