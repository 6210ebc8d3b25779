#include "tests/standin/record.h"

#include <algorithm>
#include <mutex>
#include <utility>

#include "tests/standin/cudart/device_memory.h"
#include "tests/standin/cudart/stream_state.h"

namespace standin {
namespace {

struct Log {
  std::mutex mutex;
  bool on = false;
  std::vector<Event> events;
};
Log& log() {
  static auto* const made = new Log;  // never destroyed: programs free memory at exit
  return *made;
}

std::vector<cudaStream_t>& streams() {
  static auto* const all = new std::vector<cudaStream_t>;
  return *all;
}
thread_local cudaError_t last = cudaSuccess;
}  // namespace

void start() {
  const std::lock_guard lock(log().mutex);
  log().on = true;
}

std::vector<Event> record() {
  const std::lock_guard lock(log().mutex);
  return log().events;
}

void note(Event event) {
  event.capturing = capturing_stream() != nullptr;
  const std::lock_guard lock(log().mutex);
  if (log().on) log().events.push_back(std::move(event));
}

Faults& faults() {
  static Faults current;
  return current;
}

bool on_device(const void* address) { return DeviceMemory::get().contains(address); }
std::size_t live_device_bytes() { return DeviceMemory::get().live_bytes(); }

std::recursive_mutex& states() {
  static auto* const mutex = new std::recursive_mutex;
  return *mutex;
}

CUstream_st& state_of(cudaStream_t stream) {
  static auto* const legacy = new CUstream_st;
  return stream_of(stream) ? *stream : *legacy;
}
const void* stream_of(cudaStream_t stream) {
  return stream == cudaStreamLegacy || stream == cudaStreamPerThread ? nullptr : stream;
}

void add_stream(cudaStream_t stream) {
  const std::lock_guard lock(states());
  streams().push_back(stream);
}
void remove_stream(cudaStream_t stream) {
  const std::lock_guard lock(states());
  std::erase(streams(), stream);
}

CUstream_st* capturing_stream() {
  const std::lock_guard lock(states());
  for (const cudaStream_t stream : streams()) {
    const Capture* const c = stream->capture.get();
    if (!c || c->mode == cudaStreamCaptureModeRelaxed) continue;
    if (c->mode == cudaStreamCaptureModeGlobal || c->thread == std::this_thread::get_id())
      return stream;
  }
  return nullptr;
}

cudaError_t result(cudaError_t error) {
  if (error != cudaSuccess) last = error;
  return error;
}
cudaError_t last_error(bool reset) { return reset ? std::exchange(last, cudaSuccess) : last; }

cudaError_t noted(const char* call, std::string text, cudaError_t status) {
  note({.call = call, .text = std::move(text), .error = status});
  return result(status);
}

cudaError_t unsafe_in_capture() {
  const std::lock_guard lock(states());
  CUstream_st* const stream = capturing_stream();
  if (!stream) return cudaSuccess;
  stream->capture->broken = true;
  return cudaErrorStreamCaptureUnsupported;
}

cudaError_t queue(cudaStream_t stream, CUgraphNode_st node) {
  const std::lock_guard lock(states());
  CUstream_st& state = state_of(stream);
  node.event.work = true;
  node.event.stream = stream_of(stream);
  if (state.capture && state.capture->broken) node.event.error = cudaErrorStreamCaptureInvalidated;
  note(node.event);
  if (node.event.error != cudaSuccess) return result(static_cast<cudaError_t>(node.event.error));
  if (state.capture) {
    state.capture->graph.nodes.push_back(std::move(node));
  } else {
    if (node.run) node.run();
    state.clock_us += node.microseconds;
  }
  return cudaSuccess;
}

int submit(const void* stream, Event event, std::function<void()> run, double microseconds) {
  const auto raw = static_cast<cudaStream_t>(const_cast<void*>(stream));
  return queue(raw, {std::move(event), std::move(run), microseconds});
}

int wait_for(const void* stream) {
  return cudaStreamSynchronize(static_cast<cudaStream_t>(const_cast<void*>(stream)));
}
}  // namespace standin
