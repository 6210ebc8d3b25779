// A captured CUDA graph: a training step recorded once and replayed with one launch.
#pragma once
#include <cstddef>

#include "kernels/core/stream.h"

namespace kernels {

class Graph {
 public:
  Graph() = default;
  ~Graph();
  Graph(const Graph&) = delete;
  Graph& operator=(const Graph&) = delete;
  void begin(Stream& stream);             // throws on the host's stream: nothing to capture
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
