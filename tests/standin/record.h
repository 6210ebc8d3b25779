// The record of everything a program asks of a card that is not there. The stand-in
// libraries write it, tests read it. Kernels are recorded, never computed: memory holds
// what copies and fills put there, and is zero elsewhere.
#pragma once
#include <cstddef>
#include <functional>
#include <string>
#include <vector>

namespace standin {

// Memory that a call reads or writes. bytes is 0 if the call does not tell.
struct Operand {
  std::string name;
  const void* data;
  std::size_t bytes;
  std::size_t alignment = 1;  // that the call asks for
};

struct Event {
  std::string call{};            // the function; "launch" for a kernel
  std::string text{};            // its arguments as words, without addresses
  bool work = false;             // queued on a stream
  const void* stream = nullptr;  // of work; null is the legacy stream
  int error = 0;                 // the status it returned
  std::vector<Operand> operands{};
  std::size_t workspace_needed = 0;  // of a plan; its operand "workspace" says what it got
  bool capturing = false;            // a capture of this thread was open
  const void* graph = nullptr;       // the executable graph that replayed this work
};

// One record per process. Off until start(), because a long run fills memory.
void start();
std::vector<Event> record();  // all events since start()
void note(Event);             // adds one; `capturing` is set here

// Queues work on a stream: runs it, or makes it a node of the capture. Returns 0 or the
// CUDA error with which a capture forbids it.
int submit(const void* stream, Event, std::function<void()> run = {}, double microseconds = 2);
// A wait inside a library: an error of CUDA while the stream is captured.
int wait_for(const void* stream);

bool on_device(const void* address);  // in the card's range of addresses
bool pinned(const void* address);     // in host memory of cudaHostAlloc
std::size_t live_device_bytes();      // allocated and not freed

// Faults on demand, for tests of the checks. Read at each call.
struct Faults {
  bool plan_hides_workspace = false;   // cuDNN reports no workspace for plans that need one
  bool plan_halves_workspace = false;  // cuDNN reports half
  bool plan_waits = false;             // the fastest plan of cuDNN waits for the stream
  bool ignore_cudnn_stream = false;    // cudnnSetStream sets the legacy stream
  bool ignore_cublas_workspace = false;
};
Faults& faults();
}  // namespace standin
