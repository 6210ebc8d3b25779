#include "faceswap/media/files.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstring>

#include "faceswap/media/descriptor.h"

namespace faceswap {
namespace {

[[noreturn]] void fail_disk(const std::filesystem::path& path, const char* doing, int error) {
  throw Error(ErrorKind::disk,
              fmt::format("{}: cannot {} it: {}. Check the free space and the folder's rights",
                          path.string(), doing, std::strerror(error)));
}

void write_all(int fd, std::span<const std::byte> bytes, const std::filesystem::path& named) {
  while (!bytes.empty()) {
    const ssize_t written = ::write(fd, bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) fail_disk(named, "write", errno);
    bytes = bytes.subspan(static_cast<std::size_t>(written));
  }
}

std::filesystem::path folder_of(const std::filesystem::path& path) {
  return path.has_parent_path() ? path.parent_path() : std::filesystem::path(".");
}

// The descriptor of a file to read, and its size.
int open_regular(const std::filesystem::path& path, std::uintmax_t& size) {
  // O_NONBLOCK: opening a pipe without a writer must not hang. It is refused below.
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (fd < 0)
    throw Error(ErrorKind::input,
                fmt::format("{}: cannot open it: {}. Check the path and its rights", path.string(),
                            std::strerror(errno)));
  struct stat status {};
  if (::fstat(fd, &status) != 0 || !S_ISREG(status.st_mode)) {
    ::close(fd);
    throw Error(ErrorKind::input,
                fmt::format("{}: is not a regular file; one was expected", path.string()));
  }
  size = static_cast<std::uintmax_t>(status.st_size);
  return fd;
}

std::vector<std::byte> read_bytes(int fd, std::size_t count, const std::filesystem::path& named) {
  std::vector<std::byte> bytes(count);
  std::size_t have = 0;
  while (have < bytes.size()) {
    const ssize_t got = ::read(fd, bytes.data() + have, bytes.size() - have);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0)
      throw Error(ErrorKind::input, fmt::format("{}: cannot read it: {}. Check the disk it lies on",
                                                named.string(), std::strerror(errno)));
    if (got == 0) break;  // it shrank meanwhile
    have += static_cast<std::size_t>(got);
  }
  bytes.resize(have);
  return bytes;
}
}  // namespace

PendingFile::PendingFile(const std::filesystem::path& final_path, bool force) : final_(final_path) {
  static std::atomic<unsigned> counter{0};
  std::error_code ignored;
  if (!final_.has_filename() || std::filesystem::is_directory(final_, ignored))
    throw Error(ErrorKind::usage,
                fmt::format("{}: is a folder, a file name was expected", final_.string()));
  if (!force && std::filesystem::exists(std::filesystem::symlink_status(final_, ignored)))
    throw Error(ErrorKind::usage,
                fmt::format("{}: exists already. Choose another name, or overwrite it with --force",
                            final_.string()));
  temporary_ = folder_of(final_) /
               fmt::format(".{}.part-{}-{}", final_.filename().string(), ::getpid(), counter++);
  const Descriptor file(
      ::open(temporary_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0666));
  if (file.fd < 0) {
    const int error = errno;
    committed_ = true;  // nothing to remove
    fail_disk(final_, "create", error);
  }
}

PendingFile::~PendingFile() {
  std::error_code ignored;
  if (!committed_) std::filesystem::remove(temporary_, ignored);
}

void PendingFile::commit(bool sync) {
  if (sync) {
    const Descriptor file(::open(temporary_.c_str(), O_RDONLY | O_CLOEXEC));
    if (file.fd < 0 || ::fsync(file.fd) != 0) fail_disk(final_, "sync", errno);
  }
  if (::rename(temporary_.c_str(), final_.c_str()) != 0) fail_disk(final_, "rename into", errno);
  committed_ = true;
  if (sync) {
    const Descriptor folder(::open(folder_of(final_).c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    // Some file systems cannot sync a folder; the rename stands all the same.
    if (folder.fd >= 0) ::fsync(folder.fd);
  }
}

std::vector<std::byte> read_whole_file(const std::filesystem::path& path,
                                       std::uintmax_t max_bytes) {
  std::uintmax_t size = 0;
  const Descriptor file(open_regular(path, size));
  if (size > max_bytes)
    throw Error(ErrorKind::input,
                fmt::format("{}: is {} bytes long, at most {} are read; make it smaller",
                            path.string(), size, max_bytes));
  return read_bytes(file.fd, static_cast<std::size_t>(size), path);
}

std::vector<std::byte> read_file_head(const std::filesystem::path& path, std::size_t bytes) {
  std::uintmax_t size = 0;
  const Descriptor file(open_regular(path, size));
  return read_bytes(file.fd, static_cast<std::size_t>(std::min<std::uintmax_t>(size, bytes)), path);
}

void write_whole_file(const std::filesystem::path& path, std::span<const std::byte> bytes,
                      bool force) {
  PendingFile pending(path, force);
  {
    const Descriptor file(
        ::open(pending.temporary().c_str(), O_WRONLY | O_TRUNC | O_NOFOLLOW | O_CLOEXEC));
    if (file.fd < 0) fail_disk(path, "open", errno);
    write_all(file.fd, bytes, path);
  }
  pending.commit(false);
}

void append_to_file(const std::filesystem::path& path, std::span<const std::byte> bytes) {
  const Descriptor file(::open(path.c_str(), O_WRONLY | O_APPEND | O_CLOEXEC));
  if (file.fd < 0) fail_disk(path, "open", errno);
  struct stat before {};
  if (::fstat(file.fd, &before) != 0) fail_disk(path, "look at", errno);
  try {
    write_all(file.fd, bytes, path);
  } catch (const Error&) {
    if (::ftruncate(file.fd, before.st_size) != 0) fail_disk(path, "restore", errno);
    throw;
  }
  if (::fsync(file.fd) != 0) fail_disk(path, "sync", errno);
}

bool same_file(const std::filesystem::path& a, const std::filesystem::path& b) {
  struct stat sa {
  }, sb{};
  return ::stat(a.c_str(), &sa) == 0 && ::stat(b.c_str(), &sb) == 0 && sa.st_dev == sb.st_dev &&
         sa.st_ino == sb.st_ino;
}

std::string lower_suffix(const std::filesystem::path& path) {
  std::string suffix = path.extension().string();
  std::transform(suffix.begin(), suffix.end(), suffix.begin(), [](unsigned char c) {
    return c < 128 ? static_cast<char>(std::tolower(c)) : static_cast<char>(c);
  });
  return suffix;
}

bool natural_less(const std::string& a, const std::string& b) {
  const auto digit = [](char c) { return c >= '0' && c <= '9'; };
  std::size_t i = 0, j = 0;
  while (i < a.size() && j < b.size()) {
    if (!digit(a[i]) || !digit(b[j])) {
      if (a[i] != b[j]) return static_cast<unsigned char>(a[i]) < static_cast<unsigned char>(b[j]);
      ++i, ++j;
      continue;
    }
    // Numbers without their leading zeros: the longer is larger, else the first
    // differing digit decides.
    while (i < a.size() && a[i] == '0') ++i;
    while (j < b.size() && b[j] == '0') ++j;
    std::size_t end_i = i, end_j = j;
    while (end_i < a.size() && digit(a[end_i])) ++end_i;
    while (end_j < b.size() && digit(b[end_j])) ++end_j;
    if (end_i - i != end_j - j) return end_i - i < end_j - j;
    const int order = a.compare(i, end_i - i, b, j, end_j - j);
    if (order != 0) return order < 0;
    i = end_i, j = end_j;
  }
  if ((i < a.size()) != (j < b.size())) return j < b.size();
  return a < b;  // "01" and "1" are ordered as text, so the order is total
}
}  // namespace faceswap
