// The review page's server: on the loopback address only, for one browser that knows the
// token of the printed address.
#pragma once
#include <chrono>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

namespace faceswap {

class ReviewServer {
 public:
  // Reads the folders and begins to answer. port 0: a free one. Error as FaceFolder's;
  // Error(usage): the port is taken, or a folder is given twice.
  ReviewServer(const std::vector<std::filesystem::path>& folders, int port);
  ~ReviewServer();  // ends the answers in progress
  ReviewServer(const ReviewServer&) = delete;
  ReviewServer& operator=(const ReviewServer&) = delete;

  int port() const;
  const std::string& token() const;  // 32 hexadecimal digits, new for each server
  std::string address() const;       // "http://127.0.0.1:PORT/?token=TOKEN"
  // Waits for the page's Done button at most so long; true: it was pressed.
  bool done_within(std::chrono::milliseconds time);

 private:
  struct State;
  std::unique_ptr<State> state_;
};
}  // namespace faceswap
