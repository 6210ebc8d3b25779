#include "kernels/stream.h"

#include <fmt/format.h>

#include "kernels/cuda_backend.h"

namespace kernels {

const char* name(Device device) { return device == Device::host ? "host" : device == Device::cuda ? "cuda" : "meta"; }

Stream& Stream::of(Device device) {
  if (device == Device::cuda) {
    static Stream gpu(Device::cuda, cuda::create_stream());   // throws each time until there is one
    return gpu;
  }
  static Stream host(Device::host, nullptr), meta(Device::meta, nullptr);
  return device == Device::host ? host : meta;
}

void Stream::synchronize() {
  if (device_ == Device::cuda) cuda::synchronize(raw_);
}

bool Stream::capturing() const { return device_ == Device::cuda && cuda::capturing(raw_); }

CudaReport probe_cuda() { return cuda::probe(); }

Device choose_device(const std::string& name) {
  if (name == "cpu") return Device::host;
  if (name != "auto" && name != "cuda")
    throw Error(ErrorKind::usage, fmt::format("unknown device '{}': expected auto, cpu or cuda", name));
  const CudaReport report = probe_cuda();
  if (report.available) return Device::cuda;
  if (name == "auto") return Device::host;
  throw Error(ErrorKind::device, fmt::format("no GPU to run on: {}. Use --device cpu, or auto to take a GPU only where there is one", report.reason));
}

Graph::~Graph() {
  if (exec_) cuda::destroy_graph(exec_);
}

void Graph::begin(Stream& stream) {
  if (stream.device() != Device::cuda) throw Error(ErrorKind::device, "a step can be captured on the GPU only: the host's stream runs each launch at once");
  cuda::begin_capture(stream.raw());
}

void Graph::end(Stream& stream) {
  if (exec_) cuda::destroy_graph(exec_);
  exec_ = nullptr;
  exec_ = cuda::end_capture(stream.raw(), nodes_);
}

void Graph::abandon(Stream& stream) noexcept {
  if (stream.device() == Device::cuda) cuda::abandon_capture(stream.raw());
}

void Graph::launch(Stream& stream) {
  if (!exec_) throw Error(ErrorKind::failure, "graph launch: nothing has been captured yet");
  cuda::launch_graph(exec_, stream.raw());
}

}  // namespace kernels
