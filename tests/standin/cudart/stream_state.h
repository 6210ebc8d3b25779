// Streams, captures and graphs behind the runtime's handles.
#pragma once
#include <cuda_runtime_api.h>

#include <deque>
#include <memory>
#include <mutex>
#include <thread>

#include "tests/standin/record.h"

// The runtime's own incomplete types; its handles point to these.
struct CUgraphNode_st {
  standin::Event event{};
  std::function<void()> run{};
  double microseconds = 0;
  cudaGraphNodeType type = cudaGraphNodeTypeKernel;
  cudaKernelNodeParams launch{};  // of a kernel
};
struct CUgraph_st {
  std::deque<CUgraphNode_st> nodes;
};
struct CUgraphExec_st {
  std::deque<CUgraphNode_st> nodes;
};

namespace standin {

struct Capture {
  std::thread::id thread;
  cudaStreamCaptureMode mode;
  bool broken = false;  // by a call that a capture forbids
  CUgraph_st graph{};
};
}  // namespace standin

struct CUstream_st {
  bool blocking = true;  // ordered with the legacy stream
  double clock_us = 0;   // the card's time, by the stated time of each piece of work
  std::unique_ptr<standin::Capture> capture;
};
struct CUevent_st {
  double clock_us = 0;
  bool recorded = false, captured = false;
};

namespace standin {

// One lock for all states: the runtime is called by few threads.
std::recursive_mutex& states();
CUstream_st& state_of(cudaStream_t);  // also of the legacy stream
const void* stream_of(cudaStream_t);  // as events name it: null for the legacy stream
// The capture that forbids unsafe calls to this thread, or null.
CUstream_st* capturing_stream();
void add_stream(cudaStream_t);
void remove_stream(cudaStream_t);

// Sets the thread's last error and returns it.
cudaError_t result(cudaError_t);
cudaError_t last_error(bool reset);
// A call without work: noted with its status, which is also returned.
cudaError_t noted(const char* call, std::string text, cudaError_t status = cudaSuccess);
// Refuses a call that no capture allows, and breaks the capture. Else cudaSuccess.
cudaError_t unsafe_in_capture();

// submit() of record.h with the parts of a node.
cudaError_t queue(cudaStream_t, CUgraphNode_st);
}  // namespace standin
