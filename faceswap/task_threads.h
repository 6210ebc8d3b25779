// Threads that run tasks from a queue. With one thread the tasks run in order, beside the
// caller.
#pragma once
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <deque>
#include <exception>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

namespace faceswap {

class TaskThreads {
 public:
  TaskThreads(int threads, std::size_t room);  // room: tasks that may wait
  ~TaskThreads();                              // tasks still waiting are dropped
  TaskThreads(const TaskThreads&) = delete;
  TaskThreads& operator=(const TaskThreads&) = delete;

  // Waits for room. Once a task has thrown, later tasks do not run, and every run() and
  // wait() throws its exception.
  void run(std::function<void()> task);
  void wait();                               // until no task waits or runs
  bool wait_for(std::chrono::milliseconds);  // false: not yet

 private:
  void serve();
  std::size_t room_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<std::function<void()>> waiting_;
  std::size_t running_ = 0;
  bool stop_ = false;
  std::exception_ptr error_;
  std::vector<std::thread> threads_;
};
}  // namespace faceswap
