#include "faceswap/faces/decisions.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cmath>
#include <cstring>
#include <nlohmann/json.hpp>

#include "faceswap/faces/face.h"
#include "faceswap/media/descriptor.h"

namespace faceswap {
namespace {

using nlohmann::json;

constexpr const char* kSchema = "doppel-decisions/1";
constexpr std::uint64_t kMaxBytes = 1u << 30;  // of the file

[[noreturn]] void fail_disk(const std::filesystem::path& path, const char* doing) {
  throw Error(ErrorKind::disk,
              fmt::format("{}: cannot {} it: {}. Check the free space and the folder's rights",
                          path.string(), doing, std::strerror(errno)));
}

// --- JSON. Written as {"drop":["a.png"],"reason":"blurred"}, {"keep":["a.png"]},
// {"move":["a.png"],"person":2}, {"rename":2,"name":"Anna"},
// {"align":"a.png","eyes":[[1,2],[3,2]]}.

json record_of(const Decision& d) {
  switch (d.kind) {
    case Decision::drop: return {{"drop", d.faces}, {"reason", d.text}};
    case Decision::keep: return {{"keep", d.faces}};
    case Decision::move: return {{"move", d.faces}, {"person", d.person}};
    case Decision::rename: return {{"rename", d.person}, {"name", d.text}};
    case Decision::align: break;
  }
  return {{"align", d.faces.front()},
          {"eyes", {{d.eyes[0].x, d.eyes[0].y}, {d.eyes[1].x, d.eyes[1].y}}}};
}

// A line that is not a step; the caller adds the file and the line's number.
struct Malformed {
  std::string why;
};

void expect(bool condition, const char* otherwise) {
  if (!condition) throw Malformed{otherwise};
}

std::vector<std::string> read_names(const json& list) {
  expect(list.is_array(), "expected a list of file names");
  std::vector<std::string> names;
  for (const json& entry : list) {
    expect(entry.is_string(), "expected a list of file names");
    names.push_back(entry.get<std::string>());
  }
  return names;
}

int read_person(const json& value) {
  expect(value.is_number_unsigned() && value.get<std::uint64_t>() <= kMaxPerson,
         "expected a person's number");
  return value.get<int>();
}

std::string read_text(const json& value) {
  expect(value.is_string(), "expected a text");
  return value.get<std::string>();
}

Point read_point(const json& value) {
  expect(value.is_array() && value.size() == 2, "expected eyes as [[x,y],[x,y]]");
  for (const json& v : value)
    expect(v.is_number() && std::abs(v.get<double>()) <= kMaxCoordinate,
           "expected eyes as [[x,y],[x,y]]");
  return {value[0].get<double>(), value[1].get<double>()};
}

Decision read_decision(const json& record) {
  expect(record.is_object(), "expected a decision as an object");
  Decision d;
  std::size_t fields = 2;
  if (record.contains("drop")) {
    d.kind = Decision::drop;
    d.faces = read_names(record["drop"]);
    d.text = read_text(record.value("reason", json()));
  } else if (record.contains("keep")) {
    d.kind = Decision::keep;
    d.faces = read_names(record["keep"]);
    fields = 1;
  } else if (record.contains("move")) {
    d.kind = Decision::move;
    d.faces = read_names(record["move"]);
    d.person = read_person(record.value("person", json()));
  } else if (record.contains("rename")) {
    d.kind = Decision::rename;
    d.person = read_person(record["rename"]);
    d.text = read_text(record.value("name", json()));
  } else if (record.contains("align")) {
    d.kind = Decision::align;
    d.faces = {read_text(record["align"])};
    const json eyes = record.value("eyes", json());
    expect(eyes.is_array() && eyes.size() == 2, "expected eyes as [[x,y],[x,y]]");
    for (std::size_t i = 0; i < 2; ++i) d.eyes[i] = read_point(eyes[i]);
  } else {
    throw Malformed{"expected drop, keep, move, rename or align"};
  }
  expect(record.size() == fields, "it has unknown entries");
  return d;
}

std::string line_of(const json& record) {
  try {
    return record.dump() + "\n";
  } catch (const json::exception&) {
    throw Error(ErrorKind::usage,
                "a file's name, a person's name or a reason is not UTF-8, so it cannot be written "
                "into the decisions; rename the file");
  }
}

void write_all(int fd, std::string_view text, const std::filesystem::path& path) {
  while (!text.empty()) {
    const ssize_t written = ::write(fd, text.data(), text.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) fail_disk(path, "write");
    text.remove_prefix(static_cast<std::size_t>(written));
  }
}
}  // namespace

DecisionFile::DecisionFile(const std::filesystem::path& folder) : path_(folder / kDecisionsFile) {
  refresh();
}

std::set<std::string> DecisionFile::names() const {
  std::set<std::string> names;
  for (const DecisionStep& step : done_)
    for (const Decision& decision : step)
      names.insert(decision.faces.begin(), decision.faces.end());
  return names;
}

bool DecisionFile::refresh() {
  const Descriptor file(::open(path_.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (file.fd >= 0) return read_from(file.fd);
  if (errno != ENOENT)
    throw Error(ErrorKind::input, fmt::format("{}: cannot open it: {}. Check the file's rights",
                                              path_.string(), std::strerror(errno)));
  return forget();
}

bool DecisionFile::forget() {
  const bool had_some = read_ > 0;
  read_ = 0, lines_ = 0;
  done_.clear(), undone_.clear();
  return had_some;
}

bool DecisionFile::read_from(int fd) {
  struct stat status {};
  if (::fstat(fd, &status) != 0 || !S_ISREG(status.st_mode) ||
      static_cast<std::uint64_t>(status.st_size) > kMaxBytes)
    throw Error(ErrorKind::input,
                fmt::format("{}: expected a regular file of at most {} bytes; move it away",
                            path_.string(), kMaxBytes));
  const auto size = static_cast<std::uint64_t>(status.st_size);
  bool changed = false;
  if (size < read_ || status.st_ino != inode_) changed = forget();  // replaced by another
  inode_ = status.st_ino;
  std::string text(size - read_, '\0');
  std::size_t have = 0;
  while (have < text.size()) {
    const ssize_t got =
        ::pread(fd, text.data() + have, text.size() - have, static_cast<off_t>(read_ + have));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0)
      throw Error(ErrorKind::input, fmt::format("{}: cannot read it: {}. Check the disk it lies on",
                                                path_.string(), std::strerror(errno)));
    if (got == 0) break;
    have += static_cast<std::size_t>(got);
  }
  text.resize(have);
  std::size_t begin = 0;
  for (std::size_t end; (end = text.find('\n', begin)) != std::string::npos; begin = end + 1) {
    take_line(text.substr(begin, end - begin));
    read_ += end + 1 - begin;
    changed = true;
  }
  return changed;
}

void DecisionFile::take_line(const std::string& line) {
  try {
    const json record = json::parse(line, nullptr, /*allow_exceptions=*/false);
    expect(record.is_object() && record.size() == 1, "expected a JSON object with one entry");
    if (lines_ == 0) {
      expect(record.value("schema", json()) == kSchema,
             "expected {\"schema\":\"doppel-decisions/1\"}");
    } else {
      const json step = record.value("step", json());
      if (step == "undo") {
        expect(!done_.empty(), "there is no step to undo");
        undone_.push_back(std::move(done_.back()));
        done_.pop_back();
      } else if (step == "redo") {
        expect(!undone_.empty(), "there is no step to redo");
        done_.push_back(std::move(undone_.back()));
        undone_.pop_back();
      } else {
        expect(step.is_array() && !step.empty(), "expected a step: a list of decisions");
        DecisionStep decisions;
        for (const json& entry : step) decisions.push_back(read_decision(entry));
        done_.push_back(std::move(decisions));
        undone_.clear();
      }
    }
  } catch (const Malformed& malformed) {
    throw Error(ErrorKind::damaged,
                fmt::format("{}: line {}: {}; mend or remove the line, or move the file away to "
                            "begin anew",
                            path_.string(), lines_ + 1, malformed.why));
  }
  ++lines_;
}

bool DecisionFile::write_line(const std::function<std::string()>& next_line) {
  const Descriptor file(
      ::open(path_.c_str(), O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK, 0666));
  if (file.fd < 0) fail_disk(path_, "open");
  while (::flock(file.fd, LOCK_EX) != 0)  // until the file is closed
    if (errno != EINTR) fail_disk(path_, "lock");
  read_from(file.fd);
  std::string text = next_line();
  if (text.empty()) return false;
  if (lines_ == 0) text = line_of({{"schema", kSchema}}) + text;
  const auto end = static_cast<off_t>(read_);
  // Cuts off half a line that a power loss left.
  if (::ftruncate(file.fd, end) != 0 || ::lseek(file.fd, end, SEEK_SET) != end)
    fail_disk(path_, "repair");
  try {
    write_all(file.fd, text, path_);
    if (::fsync(file.fd) != 0) fail_disk(path_, "sync");
  } catch (const Error&) {
    if (::ftruncate(file.fd, end) != 0) fail_disk(path_, "restore");
    throw;
  }
  if (lines_ == 0) {  // the file's name must survive too; some file systems cannot sync a folder
    const std::filesystem::path parent = path_.parent_path();
    const Descriptor folder(
        ::open(parent.empty() ? "." : parent.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (folder.fd >= 0) ::fsync(folder.fd);
  }
  read_from(file.fd);
  return true;
}

void DecisionFile::add(const DecisionStep& step, const std::function<void()>& check) {
  json decisions = json::array();
  for (const Decision& decision : step) decisions.push_back(record_of(decision));
  const std::string line = line_of({{"step", decisions}});
  write_line([&] {
    check();
    return line;
  });
}

bool DecisionFile::undo() {
  refresh();
  if (done_.empty()) return false;
  return write_line([&] { return done_.empty() ? std::string() : line_of({{"step", "undo"}}); });
}

bool DecisionFile::redo() {
  refresh();
  if (undone_.empty()) return false;
  return write_line([&] { return undone_.empty() ? std::string() : line_of({{"step", "redo"}}); });
}
}  // namespace faceswap
