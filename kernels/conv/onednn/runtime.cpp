#include <omp.h>

#include "kernels/conv/onednn/runtime.h"
#include "kernels/core/memory.h"
#include "kernels/simt/config.h"

namespace kernels::onednn {

dnnl::engine& engine() {
  static auto* const cpu = new dnnl::engine(
      dnnl::engine::kind::cpu, 0);  // never destroyed: other statics may still compute at exit
  return *cpu;
}

int set_threads() {
  const int wanted = static_cast<int>(simt::worker_count());
  if (omp_get_max_threads() != wanted) omp_set_num_threads(wanted);
  return wanted;
}

bool native_bf16() {
  static const bool native = (static_cast<int>(dnnl::get_effective_cpu_isa()) &
                              dnnl_cpu_isa_avx512_core_bf16) == dnnl_cpu_isa_avx512_core_bf16;
  return native;
}

namespace {
dnnl::stream& stream() {
  thread_local dnnl::stream own(engine());
  return own;
}
}  // namespace

void execute(const Plan& plan, Arguments arguments) {
  const Buffer scratch(Device::host, plan.scratchpad.get_size());
  arguments[DNNL_ARG_SCRATCHPAD] = wrap(plan.scratchpad, scratch.data());
  plan.primitive.execute(stream(), arguments);
  stream().wait();
}

void execute_reorder(const Plan& plan, dnnl::memory from, dnnl::memory to) {
  plan.reorder.execute(stream(), from, to);
  stream().wait();
}

}  // namespace kernels::onednn
