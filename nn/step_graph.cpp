#include "nn/step_graph.h"

#include <exception>

#include <fmt/format.h>

#include "kernels/core/environment.h"

namespace nn {

CaptureSchedule::Run CaptureSchedule::next(bool tuned) {
  if (state_ == State::captured) return Run::replay;
  if (state_ == State::eager) return Run::eager;
  if (!tuned) runs_alike_ = 0;
  // One eager run on the final plans shows that the pool holds all that a run takes.
  else if (runs_alike_++ > 0) return Run::capture;
  return Run::eager;
}

void CaptureSchedule::failed(std::string why) {
  why_not_ = std::move(why);
  if (++failures_ == kAttempts) state_ = State::eager;
}

void CaptureSchedule::give_up(std::string why) {
  why_not_ = std::move(why);
  state_ = State::eager;
}

StepGraph::StepGraph(kernels::Device device) : device_(device) {
  if (device_ != kernels::Device::cuda) {
    schedule_.give_up(fmt::format("on the {} there is nothing to capture", kernels::name(device_)));
    return;
  }
  for (const auto& [variable, off] :
       {std::pair{"DOPPEL_GRAPH=0", kernels::switched_off("DOPPEL_GRAPH")},
        std::pair{"DOPPEL_SYNC_LAUNCHES=1", kernels::switched_on("DOPPEL_SYNC_LAUNCHES")}})
    if (off) schedule_.give_up(fmt::format("{} in the environment switches it off", variable));
}

void StepGraph::run_eagerly(const std::function<void()>& step) {
  const kernels::ConvTuning::Step tuned(tuning_);
  step();
}

void StepGraph::run(const std::function<void()>& step) {
  switch (schedule_.next(tuning_.settled())) {
    case CaptureSchedule::Run::eager: return run_eagerly(step);
    case CaptureSchedule::Run::replay: return graph_.launch(kernels::Stream::of(device_));
    case CaptureSchedule::Run::capture: break;
  }
  // Capturing runs nothing; the launch below does the work.
  kernels::Stream& stream = kernels::Stream::of(device_);
  try {
    memory_ = std::make_unique<kernels::GraphMemory>(device_);
    graph_.begin(stream);
    step();
    graph_.end(stream);
    memory_->close();
    schedule_.captured();
  } catch (const std::exception& error) {
    graph_.abandon(stream);
    memory_.reset();
    schedule_.failed(error.what());
    return run_eagerly(step);
  }
  graph_.launch(stream);
}
}  // namespace nn
