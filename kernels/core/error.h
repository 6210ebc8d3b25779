// The project's one exception type. Its kind is the program's exit code.
#pragma once
#include <stdexcept>
#include <string>

namespace kernels {

enum class ErrorKind : int {
  failure = 1,        // something went wrong
  usage = 2,          // an argument names something that does not exist
  input = 3,          // a file cannot be read, or has the wrong content
  damaged = 4,        // a checkpoint or face data fails its checks
  nothing_found = 5,  // no faces, no frames
  device = 6,         // the requested device is not there
  memory = 7,         // out of memory
  disk = 8,           // a file cannot be written
  not_finite = 9,     // the NaN guard stopped training
};

// Message grammar: what, where (file, frame, tensor), what was expected, what to do.
class Error : public std::runtime_error {
 public:
  Error(ErrorKind kind, const std::string& message) : std::runtime_error(message), kind_(kind) {}
  ErrorKind kind() const noexcept { return kind_; }

 private:
  ErrorKind kind_;
};
}  // namespace kernels
