// Matrix products on the host through oneDNN: its sgemm for float, its matmul primitive for bf16.
#include <bit>

#include "kernels/conv/host/host_variants.h"
#include "kernels/conv/onednn/runtime.h"

namespace kernels::onednn {
namespace {

PlanCache& cache() {
  static auto* const plans = new PlanCache;
  return *plans;
}

}  // namespace

template <>
bool gemm(bool transpose_a, bool transpose_b, std::int64_t m, std::int64_t n, std::int64_t k,
          float alpha, const float* a, const float* b, float beta, float* c) {
  set_threads();
  const dnnl_status_t status =
      dnnl_sgemm(transpose_a ? 'T' : 'N', transpose_b ? 'T' : 'N', m, n, k, alpha, a,
                 transpose_a ? m : k, b, transpose_b ? k : n, beta, c, n);
  return status == dnnl_success;
}

template <>
bool gemm(bool transpose_a, bool transpose_b, std::int64_t m, std::int64_t n, std::int64_t k,
          float alpha, const bf16* a, const bf16* b, float beta, bf16* c) {
  const PlanCache::Key key{transpose_a,
                           transpose_b,
                           m,
                           n,
                           k,
                           std::bit_cast<std::int32_t>(alpha),
                           std::bit_cast<std::int32_t>(beta),
                           set_threads()};
  const Plan& plan = cache().find(key, [&](Plan& p) {
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
        {matrix(m, k, transpose_a), matrix(k, n, transpose_b), matrix(m, n, false)}, attr,
        engine());
    p.primitive = dnnl::matmul(desc);
    p.x = desc.src_desc();
    p.w = desc.weights_desc();
    p.y = desc.dst_desc();
    p.scratchpad = desc.scratchpad_desc();
  });
  if (!plan.usable) return false;
  execute(plan, {{DNNL_ARG_SRC, wrap(plan.x, a)},
                 {DNNL_ARG_WEIGHTS, wrap(plan.w, b)},
                 {DNNL_ARG_DST, wrap(plan.y, c)}});
  return true;
}

}  // namespace kernels::onednn
