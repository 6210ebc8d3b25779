// Saving under kill -9, power cuts, full disks and failing system calls. The file that
// loads afterwards is the last checkpoint whose save returned, or a newer one; and an
// error is reported as one.
#include <fcntl.h>
#include <fmt/format.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include <atomic>
#include <random>
#include <thread>

#include "nn/checkpoint/atomic_file.h"
#include "tests/nn/checkpoint/checkpoint_files.h"

namespace nn_test {
namespace {

using namespace nn;

// --- kill -9

TEST(CheckpointFaults, KilledAtFiftyRandomMomentsLosesNothing) {
  const Folder folder;
  const fs::path path = folder.path / "model.safetensors";
  constexpr std::size_t numbers = 1 << 20;  // 4 MiB
  // The last step that the child saved, in memory that outlives it.
  auto* acknowledged = static_cast<std::atomic<int>*>(
      ::mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
  ASSERT_NE(acknowledged, MAP_FAILED);

  std::mt19937 random(11);
  int saved = 0, from_previous = 0;
  for (int kill = 0; kill < 50; ++kill) {
    const int start = acknowledged->load();
    const pid_t child = ::fork();
    ASSERT_GE(child, 0);
    if (child == 0) {  // saves back to back until it is shot
      for (int step = start + 1;; ++step) {
        save_step(path, step, numbers);
        acknowledged->store(step);
      }
    }
    // Wait for the first checkpoint, so each of the 50 moments lies within the saving.
    while (acknowledged->load() == start)
      std::this_thread::sleep_for(std::chrono::microseconds(200));
    std::this_thread::sleep_for(std::chrono::microseconds(random() % 40000));
    ASSERT_EQ(::kill(child, SIGKILL), 0);
    ASSERT_EQ(::waitpid(child, nullptr, 0), child);

    fs::path used;
    const SafetensorsFile file = load_newest(path, &used);
    const int step = step_of(file);
    ASSERT_GE(step, acknowledged->load())
        << "after kill " << kill << " an acknowledged step is gone";
    ASSERT_LE(step, acknowledged->load() + 1);
    from_previous += used != path;
    saved += acknowledged->load() - start;
    acknowledged->store(step);
  }
  EXPECT_EQ(from_previous, 0)
      << "the rename puts a whole file in place, so .prev is never needed after a kill";
  RecordProperty("saves", saved);
  save_step(path, 1'000'000, numbers);  // and what the dead left behind is cleared away
  EXPECT_EQ(folder.files(),
            (std::vector<std::string>{"model.safetensors", "model.safetensors.prev"}));
  ::munmap(acknowledged, 4096);
}

// --- the previous version

TEST(CheckpointFaults, ADamagedOrMissingFileFallsBackToThePreviousOne) {
  const Folder folder;
  const fs::path path = folder.path / "m", previous = folder.path / "m.prev";
  fs::path used;
  error_of([&] { load_newest(path); }, ErrorKind::input);
  save_step(path, 1, 100);
  error_of([&] { SafetensorsFile{previous}; }, ErrorKind::input);
  save_step(path, 2, 100);
  EXPECT_EQ(step_of(load_newest(path, &used)), 2);
  EXPECT_EQ(used, path);
  EXPECT_EQ(step_of(SafetensorsFile(previous)), 1);

  Bytes bytes = read_file(path);
  bytes[bytes.size() / 2] ^= std::byte{4};
  write_file(path, bytes);
  EXPECT_EQ(step_of(load_newest(path, &used)), 1);
  EXPECT_EQ(used, previous);
  write_file(previous, {});
  EXPECT_NE(error_of([&] { load_newest(path); }, ErrorKind::damaged).find("its checksum is"),
            std::string::npos)
      << "says what is wrong with the newest";
  save_step(previous, 1, 100);
  fs::remove(path);
  EXPECT_EQ(step_of(load_newest(path, &used)), 1);
  EXPECT_EQ(used, previous);
}

TEST(CheckpointFaults, LeftoversAreClearedAndLinksAreNotFollowed) {
  const Folder folder;
  const fs::path path = folder.path / "m", precious = folder.path / "precious";
  save_step(precious, 7, 10);
  const Bytes before = read_file(precious);
  // A temporary file by the name that this thread will use, pointing at other data.
  fs::create_symlink(precious, folder.path / fmt::format("m.tmp-{}", ::gettid()));
  const pid_t gone = ::fork();
  if (gone == 0) ::_exit(0);
  ::waitpid(gone, nullptr, 0);
  write_file(folder.path / fmt::format("m.tmp-{}", gone), {});
  write_file(folder.path / fmt::format("m.tmp-{}", ::getppid()), {});  // alive: not ours to remove
  write_file(folder.path / "m.tmp-notes", {});
  save_step(path, 1, 10);
  EXPECT_EQ(read_file(precious), before);
  EXPECT_EQ(step_of(SafetensorsFile(path)), 1);
  std::vector<std::string> expected{"m", fmt::format("m.tmp-{}", ::getppid()), "m.tmp-notes",
                                    "precious"};
  std::sort(expected.begin(), expected.end());
  EXPECT_EQ(folder.files(), expected);
}

TEST(CheckpointFaults, ThreadsThatSaveTheSameFileLeaveOneOfTheirs) {
  const Folder folder;
  const fs::path path = folder.path / "m";
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < 20; ++i) {
        try {
          save_step(path, t * 100 + i, 1000);
        } catch (const Error& error) {  // two renames may meet at .prev; the loser is told
          EXPECT_EQ(error.kind(), ErrorKind::disk);
        }
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_GE(step_of(SafetensorsFile(path)), 0);
}

// --- full disks and failing calls

void expect_old_file_intact(const Folder& folder, const fs::path& path, int step) {
  EXPECT_EQ(step_of(SafetensorsFile(path)), step);
  for (const std::string& name : folder.files())
    EXPECT_EQ(name.find(".tmp"), std::string::npos) << name << " was left behind";
}

// Runs f in a child, whose limits and signal handling it may change. Returns its
// result.
std::string in_child(const std::function<std::string()>& f) {
  int ends[2];
  if (::pipe(ends) != 0) return "no pipe";
  const pid_t child = ::fork();
  if (child == 0) {
    std::string said;
    try {
      said = f();
    } catch (const Error& error) {
      said = fmt::format("{} {}", static_cast<int>(error.kind()), error.what());
    } catch (const std::exception& error) { said = error.what(); }
    [[maybe_unused]] const ssize_t written = ::write(ends[1], said.data(), said.size());
    ::_exit(0);
  }
  ::close(ends[1]);
  std::string said(4096, '\0');
  const ssize_t got = ::read(ends[0], said.data(), said.size());
  said.resize(got > 0 ? static_cast<std::size_t>(got) : 0);
  ::close(ends[0]);
  ::waitpid(child, nullptr, 0);
  return said;
}

TEST(CheckpointFaults, AFileSizeLimitLeavesTheOldFile) {
  const Folder folder;
  const fs::path path = folder.path / "m";
  save_step(path, 1, 1000);
  const std::string said = in_child([&]() -> std::string {
    ::signal(SIGXFSZ, SIG_IGN);
    const rlimit limit{100'000, 100'000};
    ::setrlimit(RLIMIT_FSIZE, &limit);
    save_step(path, 2, 1 << 20);
    return "saved";
  });
  EXPECT_EQ(said.substr(0, 2), fmt::format("{} ", static_cast<int>(ErrorKind::disk))) << said;
  EXPECT_NE(said.find("File too large"), std::string::npos) << said;
  EXPECT_NE(said.find("It needs 41944"), std::string::npos)
      << "names the bytes needed: " << said;  // 4 MiB and the header
  expect_old_file_intact(folder, path, 1);
}

TEST(CheckpointFaults, AFullDiskLeavesTheOldFile) {
  const Folder folder;
  // A small disk of our own; possible only if the kernel allows a mount namespace.
  const std::string said = in_child([&]() -> std::string {
    const auto sh = [](const std::string& command) { return std::system(command.c_str()) == 0; };
    const std::string mount =
        fmt::format("mount -t tmpfs -o size=1m none {}", folder.path.string());
    if (!sh(fmt::format("unshare -m true 2>/dev/null"))) return "skip";
    if (!sh(mount + " 2>/dev/null")) return "skip";
    const fs::path path = folder.path / "m";
    std::string result;
    try {
      save_step(path, 1, 1000);
      save_step(path, 2, 1 << 20);
      result = "saved";
    } catch (const Error& error) {
      result = fmt::format("{} {} old {} files {}", static_cast<int>(error.kind()), error.what(),
                           step_of(SafetensorsFile(path)), folder.files().size());
    }
    sh(fmt::format("umount {}", folder.path.string()));
    return result;
  });
  if (said == "skip") GTEST_SKIP() << "no small disk can be mounted here";
  EXPECT_EQ(said.substr(0, 2), fmt::format("{} ", static_cast<int>(ErrorKind::disk))) << said;
  EXPECT_NE(said.find("No space left on device"), std::string::npos) << said;
  EXPECT_NE(said.find("It needs 41944"), std::string::npos) << said;
  EXPECT_NE(said.find("old 1 files 1"), std::string::npos) << said;
}

struct RealCallsAtTheEnd {
  ~RealCallsAtTheEnd() { file_calls() = system_file_calls(); }
};

TEST(CheckpointFaults, WritesThatGoToDevFull) {
  const Folder folder;
  const fs::path path = folder.path / "m";
  save_step(path, 1, 1000);
  const RealCallsAtTheEnd restore;
  const int full = ::open("/dev/full", O_WRONLY);
  if (full < 0) GTEST_SKIP() << "there is no /dev/full here";
  file_calls().write = [full](int, const void* data, std::size_t bytes) {
    return ::write(full, data, bytes);
  };
  const std::string said = error_of([&] { save_step(path, 2, 1000); }, ErrorKind::disk);
  EXPECT_NE(said.find("No space left on device. It needs"), std::string::npos) << said;
  ::close(full);
  expect_old_file_intact(folder, path, 1);
}

TEST(CheckpointFaults, UnwritablePlaces) {
  const Folder folder;
  error_of([&] { save_step(folder.path / "absent" / "m", 1, 10); }, ErrorKind::disk);
  fs::create_directory(folder.path / "m");
  error_of([&] { save_step(folder.path / "m", 1, 10); }, ErrorKind::disk);
  EXPECT_TRUE(fs::is_directory(folder.path / "m"));
  for (const std::string& name : folder.files())
    EXPECT_EQ(name.find(".tmp"), std::string::npos) << name;
}

// Every system call of a save fails once, with every plausible error.
TEST(CheckpointFaults, EveryCallFailsWithEveryError) {
  const Folder folder;
  const fs::path path = folder.path / "m";
  const FileCalls real = system_file_calls();
  const RealCallsAtTheEnd restore;
  int injections = 0, reported = 0, hidden = 0;
  for (const int error : {EIO, ENOSPC, EDQUOT, EACCES, EINTR, 0 /* a short write */}) {
    for (int n = 1;; ++n) {
      std::error_code ignored;
      fs::remove_all(path, ignored);
      fs::remove_all(folder.path / "m.prev", ignored);
      save_step(path, 1, 1000);
      save_step(path, 2, 1000);

      int calls = 0;
      bool cleaning = false,
           injected = false;  // once something failed, the clean-up runs undisturbed
      const auto due = [&](bool may_be_short) {
        if (cleaning || ++calls != n) return false;
        if (error == 0 && !may_be_short) return false;
        cleaning = error != EINTR && error != 0;
        injected = true;
        errno = error;
        return true;
      };
      file_calls() = {
          .open = [&](const char* p, int flags,
                      mode_t mode) { return due(false) ? -1 : real.open(p, flags, mode); },
          .write =
              [&](int fd, const void* data, std::size_t bytes) {
                if (!due(true)) return real.write(fd, data, bytes);
                return error == 0 ? real.write(fd, data, std::max<std::size_t>(bytes / 2, 1))
                                  : ssize_t{-1};
              },
          .fsync = [&](int fd) { return due(false) ? -1 : real.fsync(fd); },
          .close =
              [&](int fd) {
                const int result = real.close(fd);
                return due(false) ? -1 : result;
              },
          .link =
              [&](const char* from, const char* to) {
                return error != EINTR && due(false) ? -1 : real.link(from, to);
              },  // these three are never interrupted
          .rename =
              [&](const char* from, const char* to) {
                return error != EINTR && due(false) ? -1 : real.rename(from, to);
              },
          .unlink =
              [&](const char* p) { return error != EINTR && due(false) ? -1 : real.unlink(p); }};
      bool threw = false;
      try {
        save_step(path, 3, 1000);
      } catch (const Error& e) {
        threw = true;
        EXPECT_EQ(e.kind(), ErrorKind::disk);
        EXPECT_NE(std::string(e.what()).find(std::strerror(error)), std::string::npos) << e.what();
        EXPECT_NE(std::string(e.what()).find("It needs 4"), std::string::npos) << e.what();
      }
      file_calls() = system_file_calls();
      if (!injected && calls < n) break;  // past the last call: done with this error
      injections += injected;
      reported += threw;
      const SafetensorsFile file = load_newest(path);
      const int step = step_of(file);
      if (threw)
        EXPECT_TRUE(step == 2 || step == 3)
            << "call " << n << ", error " << error << " left step " << step;
      else EXPECT_EQ(step, 3) << "call " << n << ", error " << error << " was not reported";
      hidden += injected && !threw && error != EINTR && error != 0;
      for (const std::string& name : folder.files())
        EXPECT_EQ(name.find(".tmp"), std::string::npos)
            << "call " << n << ", error " << error << " left " << name;
    }
  }
  EXPECT_GE(injections, 40);
  EXPECT_GE(reported, 30);
  EXPECT_LE(hidden, 4) << "only closing a folder that is already synced may fail unnoticed";
  RecordProperty("injections", injections);
}

TEST(CheckpointFaults, AFileSystemWithoutHardLinksKeepsThePreviousFileByRenaming) {
  const Folder folder;
  const fs::path path = folder.path / "m";
  const RealCallsAtTheEnd restore;
  file_calls().link = [](const char*, const char*) {
    errno = EPERM;
    return -1;
  };
  save_step(path, 1, 100);
  save_step(path, 2, 100);
  EXPECT_EQ(step_of(SafetensorsFile(path)), 2);
  EXPECT_EQ(step_of(SafetensorsFile(folder.path / "m.prev")), 1);
  // If the last rename then fails, the old file comes back to its name.
  const FileCalls real = system_file_calls();
  file_calls().rename = [&](const char* from, const char* to) {
    if (std::string(from).find(".tmp-") == std::string::npos) return real.rename(from, to);
    errno = EIO;
    return -1;
  };
  error_of([&] { save_step(path, 3, 100); }, ErrorKind::disk);
  expect_old_file_intact(folder, path, 2);
}

// --- power cuts. The calls of three saves are recorded; then the power fails after
// each of them. Any beginning of the folder's changes since its last fsync may have
// reached the disk; of a file's data since its last fsync nothing, half, or all, or
// only its length (zeros).

using Disk = std::map<std::string, std::shared_ptr<Bytes>>;  // name -> the file's content

struct Operation {
  enum Kind { create, write, sync_file, link, rename, unlink, sync_folder, acknowledge } kind;
  std::string from, to;  // names; of a file for create, write and sync_file
  Bytes data;
};

std::vector<Operation> record_saves(int saves) {
  const Folder folder;
  const FileCalls real = system_file_calls();
  const RealCallsAtTheEnd restore;
  std::vector<Operation> log;
  std::map<int, std::string> open_files;
  const auto base = [](const char* p) { return fs::path(p).filename().string(); };
  file_calls() = {
      .open =
          [&](const char* p, int flags, mode_t mode) {
            const int fd = real.open(p, flags, mode);
            if (fd >= 0) open_files[fd] = flags & O_DIRECTORY ? "" : base(p);
            if (fd >= 0 && flags & O_CREAT) log.push_back({Operation::create, base(p), "", {}});
            return fd;
          },
      .write =
          [&](int fd, const void* data, std::size_t bytes) {
            const auto* begin = static_cast<const std::byte*>(data);
            log.push_back({Operation::write, open_files.at(fd), "", Bytes(begin, begin + bytes)});
            return real.write(fd, data, bytes);
          },
      .fsync =
          [&](int fd) {
            log.push_back(
                {open_files.at(fd).empty() ? Operation::sync_folder : Operation::sync_file,
                 open_files.at(fd),
                 "",
                 {}});
            return real.fsync(fd);
          },
      .close = real.close,
      .link =
          [&](const char* from, const char* to) {
            const int result = real.link(from, to);
            if (result == 0) log.push_back({Operation::link, base(from), base(to), {}});
            return result;
          },
      .rename =
          [&](const char* from, const char* to) {
            log.push_back({Operation::rename, base(from), base(to), {}});
            return real.rename(from, to);
          },
      .unlink =
          [&](const char* p) {
            const int result = real.unlink(p);
            if (result == 0) log.push_back({Operation::unlink, base(p), "", {}});
            return result;
          }};
  for (int step = 1; step <= saves; ++step) {
    save_step(folder.path / "m", step, 50);
    log.push_back({Operation::acknowledge, "", std::to_string(step), {}});
  }
  return log;
}

struct Verdict {
  int images = 0, lost = 0;
};

Verdict cut_power_everywhere(const std::vector<Operation>& log) {
  struct File {
    Bytes durable, data;
  };
  const Folder folder;
  Verdict verdict;
  for (std::size_t crash = 0; crash <= log.size(); ++crash) {
    // Before the cut: folder changes in order, the durable ones counted, and each
    // file's content.
    std::vector<Operation> changes;
    std::map<std::string, std::shared_ptr<File>> now;
    std::vector<std::shared_ptr<File>> created;  // one per create, in order
    std::size_t durable_changes = 0;
    int acknowledged = 0;
    for (std::size_t i = 0; i < crash; ++i) {
      const Operation& o = log[i];
      switch (o.kind) {
        case Operation::create:
          now[o.from] = created.emplace_back(std::make_shared<File>());
          changes.push_back(o);
          break;
        case Operation::write:
          now[o.from]->data.insert(now[o.from]->data.end(), o.data.begin(), o.data.end());
          break;
        case Operation::sync_file: now[o.from]->durable = now[o.from]->data; break;
        case Operation::link:
          now[o.to] = now[o.from];
          changes.push_back(o);
          break;
        case Operation::rename:
          now[o.to] = now[o.from];
          now.erase(o.from);
          changes.push_back(o);
          break;
        case Operation::unlink:
          now.erase(o.from);
          changes.push_back(o);
          break;
        case Operation::sync_folder: durable_changes = changes.size(); break;
        case Operation::acknowledge: acknowledged = std::stoi(o.to); break;
      }
    }
    for (std::size_t kept = durable_changes; kept <= changes.size(); ++kept) {
      enum Data { none, zeros, half, all };
      for (const Data unsynced : {none, zeros, half, all}) {
        std::map<std::string, std::shared_ptr<File>> disk;
        std::size_t next = 0;
        for (std::size_t i = 0; i < kept; ++i) {
          const Operation& o = changes[i];
          if (o.kind == Operation::create) disk[o.from] = created[next++];
          else if (o.kind == Operation::link) disk[o.to] = disk.at(o.from);
          else if (o.kind == Operation::rename) {
            disk[o.to] = disk.at(o.from);
            disk.erase(o.from);
          } else disk.erase(o.from);
        }
        for (const auto& entry : fs::directory_iterator(folder.path)) fs::remove(entry.path());
        for (const auto& [name, file] : disk) {
          Bytes content = file->durable;
          const std::size_t more = file->data.size() - content.size();
          if (unsynced == zeros) content.resize(file->data.size());
          if (unsynced == half)
            content.assign(file->data.begin(),
                           file->data.end() - static_cast<std::ptrdiff_t>(more / 2));
          if (unsynced == all) content = file->data;
          write_file(folder.path / name, content);
        }
        ++verdict.images;
        try {
          verdict.lost += step_of(load_newest(folder.path / "m")) < acknowledged;
        } catch (const Error&) { verdict.lost += acknowledged > 0; }
      }
    }
  }
  return verdict;
}

TEST(CheckpointFaults, APowerCutAtAnyCallLosesNothing) {
  const std::vector<Operation> log = record_saves(3);
  const Verdict verdict = cut_power_everywhere(log);
  EXPECT_GE(verdict.images, 124);
  EXPECT_EQ(verdict.lost, 0);
  RecordProperty("images", verdict.images);

  // The same test must notice when the protocol is broken.
  std::vector<Operation> without_sync, unlinked_first;
  for (const Operation& o : log) {
    if (o.kind != Operation::sync_file) without_sync.push_back(o);
    if (o.kind == Operation::unlink || o.kind == Operation::link) continue;
    if (o.kind == Operation::rename && unlinked_first.size() > 8)
      unlinked_first.push_back({Operation::unlink, "m", "", {}});
    unlinked_first.push_back(o);
  }
  EXPECT_GT(cut_power_everywhere(without_sync).lost, 0) << "rename without fsync went unnoticed";
  EXPECT_GT(cut_power_everywhere(unlinked_first).lost, 0) << "unlink before rename went unnoticed";
  std::vector<Operation> no_folder_sync;
  for (const Operation& o : log)
    if (o.kind != Operation::sync_folder) no_folder_sync.push_back(o);
  EXPECT_GT(cut_power_everywhere(no_folder_sync).lost, 0) << "an unsynced folder went unnoticed";
}
}  // namespace
}  // namespace nn_test
