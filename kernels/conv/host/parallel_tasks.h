// Numbered tasks on the host's worker pool.
#pragma once
#include "kernels/simt/runtime.h"

namespace kernels {

// Runs f(0) .. f(count - 1) in any order and at the same time; returns when all are
// done. Rethrows an exception of one of them.
template <class F> void parallel_tasks(std::int64_t count, const F& f) {
  if (count <= 0) return;
  simt::runtime::Job job{};
  job.grid = simt::dim3(static_cast<unsigned>(count), 1, 1);
  job.block = simt::dim3(1, 1, 1);
  job.arguments = &f;
  job.run_blocks = [](const simt::runtime::Job& j, std::size_t first, std::size_t last) {
    for (std::size_t i = first; i < last; ++i)
      (*static_cast<const F*>(j.arguments))(static_cast<std::int64_t>(i));
  };
  job.kernel = "parallel_tasks";
  simt::runtime::run_grid(job);
}
}  // namespace kernels
