// Replacing a file so that a crash leaves the old or the new content, never a mixture.
#pragma once
#include <sys/types.h>

#include <cstddef>
#include <filesystem>
#include <functional>
#include <span>

namespace nn {

// Writes the pieces, one after the other, to path. Throws Error(disk). keep_previous
// hard-links the old file to path.prev first.
void write_file_atomically(const std::filesystem::path& path,
                           std::span<const std::span<const std::byte>> pieces, bool keep_previous);

// The system calls behind it. Tests replace them to fail each one, or to record them
// and work out what a power cut would leave on the disk.
struct FileCalls {
  std::function<int(const char* path, int flags, mode_t mode)> open;
  std::function<ssize_t(int fd, const void* data, std::size_t bytes)> write;
  std::function<int(int fd)> fsync, close;
  std::function<int(const char*from, const char*to)> link, rename;
  std::function<int(const char* path)> unlink;
};
FileCalls& file_calls();  // those of the system unless a test has replaced them
FileCalls system_file_calls();
}  // namespace nn
