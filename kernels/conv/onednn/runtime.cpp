#include "kernels/conv/onednn/runtime.h"

#include <omp.h>

#include "kernels/core/memory.h"
#include "kernels/simt/config.h"

namespace kernels::onednn {

dnnl::engine& engine() {
  // Never destroyed: other statics may still compute at exit.
  static auto* const cpu = new dnnl::engine(dnnl::engine::kind::cpu, 0);
  return *cpu;
}

int set_threads() {
  const int wanted = static_cast<int>(simt::worker_count());
  if (omp_get_max_threads() != wanted) omp_set_num_threads(wanted);
  return wanted;
}

namespace {
dnnl::stream& stream() {
  thread_local dnnl::stream own(engine());
  return own;
}
}  // namespace

void execute(const Primitive& p, Arguments arguments) {
  const Buffer scratch(Device::host, p.scratchpad.get_size());
  arguments[DNNL_ARG_SCRATCHPAD] = wrap(p.scratchpad, scratch.data());
  p.primitive.execute(stream(), arguments);
  stream().wait();
}

void execute_reorder(const Primitive& p, dnnl::memory from, dnnl::memory to) {
  p.reorder.execute(stream(), from, to);
  stream().wait();
}
}  // namespace kernels::onednn
