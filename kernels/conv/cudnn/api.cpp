#include "kernels/conv/cudnn/api.h"

#include <fmt/format.h>

#include <array>

#include "kernels/core/cuda/check.h"
#include "kernels/core/device.h"

namespace kernels::cudnn {

namespace {

// cuDNN opens NVRTC by its name alone. Where the loader's path does not lead to it, one
// that is open already is found.
void preload_nvrtc() {
  try {
    open_nvrtc();
  } catch (const Error&) {
    // Engines that are compiled are missing then; `doppel doctor` says so.
  }
}
}  // namespace

const Api& Api::open() {
  static const Api api = [] {
    preload_nvrtc();
    return Api();
  }();
  return api;
}

void check(cudnnStatus_t status, const std::string& what) {
  if (status == CUDNN_STATUS_SUCCESS) return;
  std::array<char, 512> detail{};
  Api::open().get_last_error_string(detail.data(), detail.size());
  const std::string text =
      fmt::format("{} failed: {} {}", what, Api::open().get_error_string(status), detail.data());
  if (const cudaError_t error = cudaGetLastError(); cuda::is_sticky(error)) cuda::fail(error, text);
  throw Error(status == CUDNN_STATUS_ALLOC_FAILED ? ErrorKind::memory : ErrorKind::failure, text);
}

cudnnHandle_t process_handle() {
  static cudnnHandle_t const made = [] {  // never destroyed: at exit the driver may be gone first
    const CudaReport gpu = probe_cuda();  // before cuDNN's 300 MB are loaded
    if (!gpu.available) throw Error(ErrorKind::device, "no GPU to run cuDNN on: " + gpu.reason);
    cudnnHandle_t handle = nullptr;
    check(Api::open().create(&handle), "cudnnCreate");
    return handle;
  }();
  return made;
}
}  // namespace kernels::cudnn
