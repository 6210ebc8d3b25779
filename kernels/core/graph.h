// A captured CUDA graph: one launch in place of a step's many.
#pragma once
#include <cstddef>

#include "kernels/core/stream.h"

namespace kernels {

// A training step recorded once and replayed with one launch. On the host there is nothing to capture.
class Graph {
 public:
  Graph() = default;
  ~Graph();
  Graph(const Graph&) = delete;
  Graph& operator=(const Graph&) = delete;
  void begin(Stream& stream);             // throws if the stream is the host's
  void end(Stream& stream);               // instantiates
  void abandon(Stream& stream) noexcept;  // ends a capture that failed
  void launch(Stream& stream);
  bool ready() const { return exec_ != nullptr; }
  std::size_t node_count() const { return nodes_; }

 private:
  void* exec_ = nullptr;
  std::size_t nodes_ = 0;
};

}  // namespace kernels
