#include "kernels/core/device.h"

#include <fmt/format.h>

#include <cstdlib>
#include <sstream>

#include "kernels/core/cuda/backend.h"

namespace kernels {

const char* name(Device device) {
  return device == Device::host ? "host" : device == Device::cuda ? "cuda" : "meta";
}

void select_gpu(int number) {
  const char* const visible = std::getenv("CUDA_VISIBLE_DEVICES");
  std::string chosen = std::to_string(number);
  if (visible) {
    std::istringstream list(visible);
    for (int i = 0; i <= number; ++i)
      if (!std::getline(list, chosen, ','))
        throw Error(ErrorKind::usage,
                    fmt::format("there is no GPU {}: CUDA_VISIBLE_DEVICES={} shows {}", number,
                                visible, i));
  }
  setenv("CUDA_DEVICE_ORDER", "PCI_BUS_ID", /*overwrite=*/0);
  setenv("CUDA_VISIBLE_DEVICES", chosen.c_str(), 1);
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
