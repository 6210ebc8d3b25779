#include "faceswap/media/read_ahead.h"

#include <condition_variable>
#include <deque>
#include <exception>
#include <mutex>
#include <thread>
#include <utility>

namespace faceswap {
namespace {

class ReadAhead final : public FrameSource {
 public:
  ReadAhead(std::unique_ptr<FrameSource> source, int frames)
      : source_(std::move(source)),
        info_(source_->info()),
        room_(static_cast<std::size_t>(frames)) {}

  ~ReadAhead() override {
    {
      const std::lock_guard lock(mutex_);
      abandoned_ = true;
    }
    changed_.notify_all();
    if (thread_.joinable()) thread_.join();
  }

  const SourceInfo& info() const override { return info_; }
  void want(std::function<bool(std::int64_t)> wanted) override { source_->want(std::move(wanted)); }

  bool next(Frame& frame) override {
    if (!thread_.joinable()) thread_ = std::thread([this] { read(); });
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return !waiting_.empty() || ended_; });
    if (waiting_.empty()) {
      info_ = last_info_;
      if (error_) std::rethrow_exception(std::exchange(error_, nullptr));
      return false;
    }
    frame = std::move(waiting_.front().frame);
    info_ = std::move(waiting_.front().info);
    waiting_.pop_front();
    lock.unlock();
    changed_.notify_all();
    return true;
  }

 private:
  struct Read {
    Frame frame;
    SourceInfo info;
  };

  void read() {
    std::exception_ptr error;
    try {
      for (Frame frame; source_->next(frame); frame = Frame{})
        if (!hand_over({std::move(frame), source_->info()})) return;
    } catch (...) { error = std::current_exception(); }
    {
      const std::lock_guard lock(mutex_);
      last_info_ = source_->info();
      error_ = error;
      ended_ = true;
    }
    changed_.notify_all();
  }

  bool hand_over(Read read) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return waiting_.size() < room_ || abandoned_; });
    if (abandoned_) return false;
    waiting_.push_back(std::move(read));
    lock.unlock();
    changed_.notify_all();
    return true;
  }

  std::unique_ptr<FrameSource> source_;  // only the thread uses it once it runs
  SourceInfo info_, last_info_;
  std::size_t room_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<Read> waiting_;
  bool abandoned_ = false, ended_ = false;
  std::exception_ptr error_;
  std::thread thread_;
};
}  // namespace

std::unique_ptr<FrameSource> read_ahead(std::unique_ptr<FrameSource> source, int frames) {
  return std::make_unique<ReadAhead>(std::move(source), frames);
}
}  // namespace faceswap
