#include "nn/step_graph.h"

#include <exception>

#include <fmt/format.h>

namespace nn {
namespace {

// The first chooses plans and fills the pool, the second shows that the pool suffices.
constexpr int eager_runs = 2;
}  // namespace

void StepGraph::run(const std::function<void()>& step) {
  if (device_ != kernels::Device::cuda) {
    why_not_ = fmt::format("on the {} there is nothing to capture", kernels::name(device_));
    return step();
  }
  kernels::Stream& stream = kernels::Stream::of(device_);
  if (captured()) return graph_.launch(stream);
  if (runs_++ < eager_runs || !why_not_.empty()) return step();

  // Capturing runs nothing; the launch below does the work. A step that cannot be
  // captured (it waits for the device, or needs memory that the pool lacks) runs
  // eagerly from now on.
  try {
    memory_ = std::make_unique<kernels::GraphMemory>(device_);
    graph_.begin(stream);
    step();
    graph_.end(stream);
    memory_->close();
  } catch (const std::exception& error) {
    graph_.abandon(stream);
    memory_.reset();
    why_not_ = error.what();
    return step();
  }
  graph_.launch(stream);
}
}  // namespace nn
