#include "faceswap/task_threads.h"

#include <utility>

namespace faceswap {

TaskThreads::TaskThreads(int threads, std::size_t room) : room_(room) {
  for (int i = 0; i < threads; ++i) threads_.emplace_back([this] { serve(); });
}

TaskThreads::~TaskThreads() {
  {
    const std::lock_guard lock(mutex_);
    stop_ = true;
    waiting_.clear();
  }
  changed_.notify_all();
  for (std::thread& thread : threads_) thread.join();
}

void TaskThreads::run(std::function<void()> task) {
  {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return waiting_.size() < room_ || error_; });
    if (error_) std::rethrow_exception(error_);
    waiting_.push_back(std::move(task));
  }
  changed_.notify_all();
}

void TaskThreads::wait() {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [this] { return waiting_.empty() && running_ == 0; });
  if (error_) std::rethrow_exception(error_);
}

bool TaskThreads::wait_for(std::chrono::milliseconds time) {
  std::unique_lock lock(mutex_);
  const bool idle =
      changed_.wait_for(lock, time, [this] { return waiting_.empty() && running_ == 0; });
  if (idle && error_) std::rethrow_exception(error_);
  return idle;
}

void TaskThreads::serve() {
  std::unique_lock lock(mutex_);
  for (;;) {
    changed_.wait(lock, [this] { return stop_ || !waiting_.empty(); });
    if (stop_) return;
    std::function<void()> task = std::move(waiting_.front());
    waiting_.pop_front();
    ++running_;
    lock.unlock();
    changed_.notify_all();
    std::exception_ptr error;
    try {
      task();
    } catch (...) { error = std::current_exception(); }
    task = nullptr;  // frees what it holds outside the lock
    lock.lock();
    --running_;
    if (error && !error_) error_ = error;
    if (error_) waiting_.clear();
    changed_.notify_all();
  }
}
}  // namespace faceswap
