// Files that appear whole or not at all, and files read with a limit.
#pragma once
#include <cstddef>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include "kernels/core/error.h"

namespace faceswap {

using kernels::Error;
using kernels::ErrorKind;

// A file being written under a temporary name in its final folder. commit() renames it into place; without it the
// destructor removes it, so that neither an error nor a Ctrl-C leaves half a file under the name the user asked for.
class PendingFile {
 public:
  // Creates the temporary file, which must not exist (O_EXCL, no symbolic link followed). Error(usage): the output exists
  // and force is false, or is a folder. Error(disk): the folder cannot be written.
  PendingFile(const std::filesystem::path& final_path, bool force);
  ~PendingFile();
  PendingFile(const PendingFile&) = delete;
  PendingFile& operator=(const PendingFile&) = delete;

  const std::filesystem::path& temporary() const { return temporary_; }
  void commit(bool sync);  // sync: data on the disk before the name (for what took hours to make)

 private:
  std::filesystem::path final_, temporary_;
  bool committed_ = false;
};

// Error(input): not a regular file, unreadable, or larger than max_bytes.
std::vector<std::byte> read_whole_file(const std::filesystem::path&, std::uintmax_t max_bytes);
void write_whole_file(const std::filesystem::path&, std::span<const std::byte>, bool force,
                      bool sync);  // through a PendingFile
void append_to_file(const std::filesystem::path&,
                    std::span<const std::byte>);  // Error(disk); synced

bool same_file(const std::filesystem::path& a,
               const std::filesystem::path& b);  // both exist and are one file (device, inode)
std::string lower_suffix(const std::filesystem::path&);         // ".mp4"
bool natural_less(const std::string& a, const std::string& b);  // "frame9" before "frame10"

}  // namespace faceswap
