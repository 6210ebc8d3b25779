// Files that appear whole or not at all, files read with a limit, and file names.
#pragma once
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include "kernels/core/error.h"

namespace faceswap {

using kernels::Error;
using kernels::ErrorKind;

// A file growing under a temporary name in its final folder, for a writer that opens it
// by name. Without commit() the destructor removes it, so neither an error nor Ctrl-C
// leaves half a file. For bytes in memory that must survive a power cut use
// nn::write_file_atomically.
class PendingFile {
 public:
  // Creates the temporary file (O_EXCL, no symbolic link followed). Error(usage): the
  // output is a folder, or exists without `force`. Error(disk): the folder cannot be
  // written.
  PendingFile(const std::filesystem::path& final_path, bool force);
  ~PendingFile();
  PendingFile(const PendingFile&) = delete;
  PendingFile& operator=(const PendingFile&) = delete;

  const std::filesystem::path& temporary() const { return temporary_; }
  // Renames it into place. `sync` first puts the data on the disk, for hours of work.
  void commit(bool sync);

 private:
  std::filesystem::path final_, temporary_;
  bool committed_ = false;
};

// Error(input): not a regular file, unreadable, or larger than max_bytes.
std::vector<std::byte> read_whole_file(const std::filesystem::path&, std::uintmax_t max_bytes);
// At most the first `bytes` of it. Error(input) as above.
std::vector<std::byte> read_file_head(const std::filesystem::path&, std::size_t bytes);
// Through a PendingFile, without a sync: thousands of faces are written one by one.
void write_whole_file(const std::filesystem::path&, std::span<const std::byte>, bool force);
// Synced. A disk that fills up leaves the file as it was. Error(disk).
void append_to_file(const std::filesystem::path&, std::span<const std::byte>);

// True if both exist and are one file (device and inode).
bool same_file(const std::filesystem::path& a, const std::filesystem::path& b);
std::string lower_suffix(const std::filesystem::path&);         // ".mp4"
bool natural_less(const std::string& a, const std::string& b);  // "frame9" before "frame10"
}  // namespace faceswap
