// The system calls behind write_file_atomically, replaceable so that tests can fail each of them, or record them and work out
// what a power cut would leave on the disk.
#pragma once
#include <sys/types.h>

#include <functional>

namespace nn {

struct FileCalls {
  std::function<int(const char* path, int flags, mode_t mode)> open;
  std::function<ssize_t(int fd, const void* data, std::size_t bytes)> write;
  std::function<int(int fd)> fsync, close;
  std::function<int(const char*from, const char*to)> link, rename;
  std::function<int(const char* path)> unlink;
};
FileCalls& file_calls();  // those of the system unless a test has put others in their place
FileCalls system_file_calls();

}  // namespace nn
