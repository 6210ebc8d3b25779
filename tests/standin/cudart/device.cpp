// The runtime's device, errors, streams and events.
#include <cuda_runtime_api.h>
#include <fmt/format.h>

#include "tests/standin/cudart/card.h"
#include "tests/standin/cudart/stream_state.h"

using namespace standin;

namespace {

struct ErrorText {
  cudaError_t error;
  const char *name, *text;
};
#define ERROR(name, text) \
  { name, #name, text }
constexpr ErrorText kErrors[] = {
    ERROR(cudaSuccess, "no error"),
    ERROR(cudaErrorInvalidValue, "invalid argument"),
    ERROR(cudaErrorMemoryAllocation, "out of memory"),
    ERROR(cudaErrorInvalidConfiguration, "invalid configuration argument"),
    ERROR(cudaErrorInvalidDeviceFunction, "invalid device function"),
    ERROR(cudaErrorInvalidDevice, "invalid device ordinal"),
    ERROR(cudaErrorNoKernelImageForDevice,
          "no kernel image is available for execution on the device"),
    ERROR(cudaErrorInvalidResourceHandle, "invalid resource handle"),
    ERROR(cudaErrorNotReady, "device not ready"),
    ERROR(cudaErrorLaunchOutOfResources, "too many resources requested for launch"),
    ERROR(cudaErrorStreamCaptureUnsupported, "operation not permitted when stream is capturing"),
    ERROR(cudaErrorStreamCaptureInvalidated,
          "operation failed due to a previous error during capture"),
    ERROR(cudaErrorStreamCaptureUnmatched, "the capture was not initiated in this stream"),
    ERROR(cudaErrorStreamCaptureWrongThread,
          "attempt to terminate a thread-local capture sequence from another thread"),
    ERROR(cudaErrorCapturedEvent,
          "operation not permitted on an event last recorded in a "
          "capturing stream"),
};
#undef ERROR
const ErrorText& text_of(cudaError_t error) {
  for (const ErrorText& e : kErrors)
    if (e.error == error) return e;
  static constexpr ErrorText unknown{cudaErrorUnknown, "cudaErrorUnknown", "unknown error"};
  return unknown;
}

// A wait: forbidden to a thread that captures.
cudaError_t wait(const char* call) { return noted(call, "", unsafe_in_capture()); }
}  // namespace

extern "C" {
cudaError_t cudaRuntimeGetVersion(int* version) { return *version = CUDART_VERSION, cudaSuccess; }
cudaError_t cudaDriverGetVersion(int* version) { return *version = CUDART_VERSION, cudaSuccess; }
cudaError_t cudaGetDeviceCount(int* count) { return *count = 1, cudaSuccess; }
cudaError_t cudaGetDevice(int* device) { return *device = 0, cudaSuccess; }
cudaError_t cudaSetDevice(int device) {
  return result(device == 0 ? cudaSuccess : cudaErrorInvalidDevice);
}
cudaError_t cudaGetDeviceProperties(cudaDeviceProp* properties, int device) {
  if (device == 0) *properties = card();
  return cudaSetDevice(device);
}
cudaError_t cudaDeviceGetAttribute(int* value, cudaDeviceAttr name, int) {
  const int known = attribute(name);
  if (known < 0) return result(cudaErrorInvalidValue);
  return *value = known, cudaSuccess;
}

cudaError_t cudaGetLastError() { return last_error(true); }
cudaError_t cudaPeekAtLastError() { return last_error(false); }
const char* cudaGetErrorString(cudaError_t error) { return text_of(error).text; }
const char* cudaGetErrorName(cudaError_t error) { return text_of(error).name; }

cudaError_t cudaStreamCreateWithFlags(cudaStream_t* stream, unsigned flags) {
  *stream = new CUstream_st;
  (*stream)->blocking = (flags & cudaStreamNonBlocking) == 0;
  add_stream(*stream);
  return noted("cudaStreamCreate", (*stream)->blocking ? "blocking" : "non-blocking");
}
cudaError_t cudaStreamCreate(cudaStream_t* stream) { return cudaStreamCreateWithFlags(stream, 0); }
cudaError_t cudaStreamDestroy(cudaStream_t stream) {
  remove_stream(stream);
  delete stream;
  return noted("cudaStreamDestroy", "");
}
cudaError_t cudaStreamSynchronize(cudaStream_t) { return wait("cudaStreamSynchronize"); }
cudaError_t cudaStreamQuery(cudaStream_t) { return wait("cudaStreamQuery"); }
cudaError_t cudaDeviceSynchronize() { return wait("cudaDeviceSynchronize"); }

cudaError_t cudaEventCreateWithFlags(cudaEvent_t* event, unsigned) {
  return *event = new CUevent_st, cudaSuccess;
}
cudaError_t cudaEventCreate(cudaEvent_t* event) { return cudaEventCreateWithFlags(event, 0); }
cudaError_t cudaEventDestroy(cudaEvent_t event) { return delete event, cudaSuccess; }
cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t stream) {
  const std::lock_guard lock(states());
  CUstream_st& state = state_of(stream);
  *event = {state.clock_us, true, state.capture != nullptr};
  return noted("cudaEventRecord", stream_of(stream) ? "" : "legacy stream");
}
cudaError_t cudaEventQuery(cudaEvent_t event) {
  return event->captured ? noted("cudaEventQuery", "", cudaErrorCapturedEvent)
                         : wait("cudaEventQuery");
}
cudaError_t cudaEventSynchronize(cudaEvent_t event) {
  return event->captured ? noted("cudaEventSynchronize", "", cudaErrorCapturedEvent)
                         : wait("cudaEventSynchronize");
}
cudaError_t cudaEventElapsedTime(float* milliseconds, cudaEvent_t begin, cudaEvent_t end) {
  if (begin->captured || end->captured) return result(cudaErrorCapturedEvent);
  if (!begin->recorded || !end->recorded) return result(cudaErrorInvalidResourceHandle);
  *milliseconds = static_cast<float>((end->clock_us - begin->clock_us) * 1e-3);
  return cudaSuccess;
}
}
