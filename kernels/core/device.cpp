#include "kernels/core/device.h"

#include <fmt/format.h>

#include "kernels/core/cuda/backend.h"

namespace kernels {

const char* name(Device device) {
  return device == Device::host ? "host" : device == Device::cuda ? "cuda" : "meta";
}

CudaReport probe_cuda() { return cuda::probe(); }

Device choose_device(const std::string& name) {
  if (name == "cpu") return Device::host;
  if (name != "auto" && name != "cuda")
    throw Error(ErrorKind::usage,
                fmt::format("unknown device '{}': expected auto, cpu or cuda", name));
  const CudaReport report = probe_cuda();
  if (report.available) return Device::cuda;
  if (name == "auto") return Device::host;
  throw Error(
      ErrorKind::device,
      fmt::format("no GPU to run on: {}. Use --device cpu, or auto for a GPU if there is one",
                  report.reason));
}
}  // namespace kernels
