// Small JPEGs of face pictures, made once and kept in memory (6 KB each).
#pragma once
#include <atomic>
#include <cstddef>
#include <filesystem>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

namespace faceswap {

class Thumbnails {
 public:
  static constexpr int kSide = 160;  // pixels at most; a smaller picture keeps its size

  // Begins to make all of them in order, in the background with all cores.
  explicit Thumbnails(std::vector<std::filesystem::path> pictures);

  // The bytes of one, made now where the background has not come to it. They stay valid.
  // Error(input), Error(damaged): the picture cannot be read.
  const std::vector<std::byte>& get(int index);
  int made() const { return made_; }

 private:
  std::vector<std::filesystem::path> pictures_;
  std::vector<std::vector<std::byte>> jpegs_;
  std::unique_ptr<std::once_flag[]> once_;  // of each picture
  std::atomic<int> made_{0}, next_{0};
  std::vector<std::jthread> threads_;  // last: they end before the others go
};
}  // namespace faceswap
