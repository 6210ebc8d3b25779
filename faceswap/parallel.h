// The same work on many items, with all cores.
#pragma once
#include <algorithm>
#include <atomic>
#include <exception>
#include <mutex>
#include <thread>
#include <vector>

namespace faceswap {

// Calls work(i) once for each i of 0..count-1, in any order, from several threads.
// Rethrows the first exception, after the others have stopped; items behind it are left
// out. after(): called under a lock behind each item, for progress.
template <class Work, class After> void parallel_for(int count, const Work& work, After after) {
  std::atomic<int> next{0};
  std::exception_ptr first_error;
  std::mutex mutex;
  const auto run = [&] {
    for (int i; (i = next.fetch_add(1)) < count;) {
      try {
        work(i);
      } catch (...) {
        const std::lock_guard lock(mutex);
        if (!first_error) first_error = std::current_exception();
        next = count;
      }
      const std::lock_guard lock(mutex);
      after();
    }
  };
  {
    std::vector<std::jthread> threads;
    const int workers = std::max(1, static_cast<int>(std::thread::hardware_concurrency()));
    for (int t = 1; t < std::min(workers, count); ++t) threads.emplace_back(run);
    run();
  }
  if (first_error) std::rethrow_exception(first_error);
}
template <class Work> void parallel_for(int count, const Work& work) {
  parallel_for(count, work, [] {});
}
}  // namespace faceswap
