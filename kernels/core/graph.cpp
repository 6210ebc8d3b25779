#include "kernels/core/graph.h"

#include "kernels/core/cuda/backend.h"

namespace kernels {

Graph::~Graph() {
  if (exec_) cuda::destroy_graph(exec_);
}

void Graph::begin(Stream& stream) {
  if (stream.device() != Device::cuda)
    throw Error(ErrorKind::device,
                "graph capture: the host's stream runs each launch at once; use the GPU's stream");
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
  if (!exec_)
    throw Error(ErrorKind::failure,
                "graph launch: nothing is captured yet; call begin() and end() first");
  cuda::launch_graph(exec_, stream.raw());
}
}  // namespace kernels
