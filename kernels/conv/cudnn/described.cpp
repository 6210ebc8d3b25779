#include "kernels/conv/cudnn/described.h"

#include <cuda_runtime.h>

#include <algorithm>

#include "kernels/conv/cudnn/planner.h"
#include "kernels/core/cuda/check.h"

namespace kernels::cudnn {

PlanReport plan_for_described_device(const Problem& p, const std::string& device_json) {
  return Planner(p, nullptr, device_json).first().report;
}
PlanReport plan_for_described_device(const Problem& p, const std::string& device_json,
                                     const Engine& engine) {
  return Planner(p, nullptr, device_json).plan(engine).report;
}
std::vector<Engine> engines_for_described_device(const Problem& p, const std::string& device_json,
                                                 bool fallback) {
  return Planner(p, nullptr, device_json).engines(fallback);
}

PlanCache::Machine this_machine() {
  process_handle();
  const CudaReport gpu = probe_cuda();
  int multiprocessors = 0;
  cuda::check(cudaDeviceGetAttribute(&multiprocessors, cudaDevAttrMultiProcessorCount, 0),
              "cudaDeviceGetAttribute");
  return {gpu.reason, gpu.compute_capability, multiprocessors, Api::open().get_version(),
          gpu.driver};
}

std::string describe_this_device() {
  Descriptor device(CUDNN_BACKEND_DEVICEPROP_DESCRIPTOR);
  device.set(CUDNN_ATTR_DEVICEPROP_HANDLE, CUDNN_TYPE_HANDLE, process_handle());
  device.finalize("describing the GPU by cuDNN");
  std::string text(1 << 16, '\0');
  std::int64_t count = 0;
  check(Api::open().get_attribute(device.raw(), CUDNN_ATTR_DEVICEPROP_JSON_REPRESENTATION,
                                  CUDNN_TYPE_CHAR, static_cast<std::int64_t>(text.size()), &count,
                                  text.data()),
        "reading the GPU's description");
  text.resize(std::min(text.size(), static_cast<std::size_t>(std::max<std::int64_t>(count, 0))));
  text.resize(std::min(text.size(), text.find('\0')));
  return text;
}

}  // namespace kernels::cudnn
