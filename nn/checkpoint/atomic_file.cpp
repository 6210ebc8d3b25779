// A crash of program or machine at any moment leaves the old or the new content:
//   1. write a temporary file beside it and fsync it: the new content is on the disk;
//   2. hard-link the old file to <path>.prev, so both names hold it;
//   3. rename the temporary over <path>, which is done at once or not at all;
//   4. fsync the folder: the new name is on the disk too.
#include "nn/checkpoint/atomic_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <signal.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <cstring>
#include <utility>

#include "kernels/core/error.h"

namespace nn {

FileCalls system_file_calls() {
  return {
      .open = [](const char* path, int flags, mode_t mode) { return ::open(path, flags, mode); },
      .write = ::write,
      .fsync = ::fsync,
      .close = ::close,
      .link = ::link,
      .rename = ::rename,
      .unlink = ::unlink};
}

FileCalls& file_calls() {
  static FileCalls calls = system_file_calls();
  return calls;
}

namespace {

namespace fs = std::filesystem;

// Repeats a call that a signal interrupted.
template <class F> auto uninterrupted(F&& call) {
  auto result = call();
  while (result == -1 && errno == EINTR) result = call();
  return result;
}

// Removes the files of killed programs: <path>.tmp-<thread id> if no such thread lives.
void remove_stale_temporaries(const fs::path& folder, const std::string& prefix) {
  std::error_code ignored;
  for (fs::directory_iterator it(folder, ignored), end; !ignored && it != end;
       it.increment(ignored)) {
    const std::string file = it->path().filename().string();
    pid_t owner = 0;
    if (!file.starts_with(prefix)) continue;
    const auto [rest, error] =
        std::from_chars(file.data() + prefix.size(), file.data() + file.size(), owner);
    if (error == std::errc{} && rest == file.data() + file.size() && owner > 0 &&
        ::kill(owner, 0) == -1 && errno == ESRCH) {
      file_calls().unlink(it->path().c_str());
    }
  }
}

class AtomicWrite {
 public:
  AtomicWrite(const fs::path& path, std::uint64_t bytes)
      : path_(path.string()),
        folder_(path.has_parent_path() ? path.parent_path() : fs::path(".")),
        temporary_(fmt::format("{}.tmp-{}", path_, ::gettid())),
        bytes_(bytes) {}
  AtomicWrite(const AtomicWrite&) = delete;
  AtomicWrite& operator=(const AtomicWrite&) = delete;
  ~AtomicWrite() {
    if (fd_ >= 0) calls_.close(fd_);
    if (moved_) calls_.rename((path_ + ".prev").c_str(), path_.c_str());
    if (created_) calls_.unlink(temporary_.c_str());
  }

  void create() {
    std::error_code ignored;
    // Linking a folder fails as on a file system without hard links, so it is refused
    // here.
    if (fs::is_directory(path_, ignored)) {
      errno = EISDIR;
      fail("cannot be replaced");
    }
    remove_stale_temporaries(folder_, fs::path(path_).filename().string() + ".tmp-");
    constexpr int flags = O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC;
    const auto open = [&] {
      return uninterrupted([&] { return calls_.open(temporary_.c_str(), flags, 0666); });
    };
    fd_ = open();
    // Left by a dead program whose thread had the id of this one.
    if (fd_ < 0 && errno == EEXIST) {
      calls_.unlink(temporary_.c_str());
      fd_ = open();
    }
    if (fd_ < 0) fail("cannot be created");
    created_ = true;
  }

  void write(std::span<const std::byte> data) {
    while (!data.empty()) {
      const ssize_t written = uninterrupted([&] {
        return calls_.write(fd_, data.data(), std::min<std::size_t>(data.size(), 1u << 30));
      });
      if (written == 0) errno = ENOSPC;
      if (written <= 0) fail("cannot be written");
      data = data.subspan(static_cast<std::size_t>(written));
    }
  }

  void finish(bool keep_previous) {
    if (uninterrupted([&] { return calls_.fsync(fd_); }) != 0)
      fail("cannot be written to the disk");
    if (calls_.close(std::exchange(fd_, -1)) != 0 && errno != EINTR)
      fail("cannot be written to the disk");
    if (keep_previous) link_previous();
    if (calls_.rename(temporary_.c_str(), path_.c_str()) != 0) fail("cannot be put in place");
    created_ = moved_ = false;
    sync_folder();
  }

 private:
  void link_previous() {
    const std::string previous = path_ + ".prev";
    if (calls_.unlink(previous.c_str()) != 0 && errno != ENOENT)
      fail("cannot replace the file that keeps the previous version, .prev,");
    // ENOENT: nothing to keep yet.
    if (calls_.link(path_.c_str(), previous.c_str()) == 0 || errno == ENOENT) return;
    // Some file systems (FAT, some network shares) have no hard links. A rename keeps
    // the old file too; a crash before the next rename leaves it as .prev alone, where
    // load_newest finds it.
    const bool no_links = errno == EPERM || errno == ENOTSUP || errno == ENOSYS || errno == EMLINK;
    if (!no_links || (calls_.rename(path_.c_str(), previous.c_str()) != 0 && errno != ENOENT))
      fail("cannot be kept as .prev");
    moved_ = true;
  }

  void sync_folder() {
    const int folder = uninterrupted(
        [&] { return calls_.open(folder_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0); });
    if (folder < 0)
      fail("is in place, but a power cut may still undo that: its folder cannot be opened");
    const int result = uninterrupted([&] { return calls_.fsync(folder); });
    const int error = errno;
    calls_.close(folder);
    // EINVAL, ENOTSUP: some file systems cannot sync a folder.
    if (result != 0 && error != EINVAL && error != ENOTSUP) {
      errno = error;
      fail(
          "is in place, but a power cut may still undo that: its folder cannot be written to the "
          "disk");
    }
  }

  [[noreturn]] void fail(const char* what) const {
    const int error = errno;
    struct statvfs disk {};
    std::string free;
    if (::statvfs(folder_.c_str(), &disk) == 0 && disk.f_blocks > 0)
      free =
          fmt::format(", {} are free", static_cast<std::uint64_t>(disk.f_bavail) * disk.f_frsize);
    throw kernels::Error(
        kernels::ErrorKind::disk,
        fmt::format("{} {}: {}. It needs {} bytes{}. The previous version is still loadable; make "
                    "room or name another folder, then save again",
                    path_, what, std::strerror(error), bytes_, free));
  }

  std::string path_;
  fs::path folder_;
  std::string temporary_;
  std::uint64_t bytes_;
  const FileCalls& calls_ = file_calls();
  int fd_ = -1;
  bool created_ = false;  // the temporary file is there
  bool moved_ = false;    // the old file is under .prev only
};
}  // namespace

void write_file_atomically(const fs::path& path, std::span<const std::span<const std::byte>> pieces,
                           bool keep_previous) {
  std::uint64_t bytes = 0;
  for (const auto& piece : pieces) bytes += piece.size();
  AtomicWrite file(path, bytes);
  file.create();
  for (const auto& piece : pieces) file.write(piece);
  file.finish(keep_previous);
}
}  // namespace nn
