// Work of one thread.
#pragma once

namespace simt {

// In its scope the launches of this thread stay on it (worker_count() is 1): for small
// networks, which would wait for other threads longer than they compute.
class SingleThreaded {
 public:
  SingleThreaded() noexcept;
  ~SingleThreaded();
  SingleThreaded(const SingleThreaded&) = delete;
  SingleThreaded& operator=(const SingleThreaded&) = delete;

 private:
  bool previous_;
};
}  // namespace simt
