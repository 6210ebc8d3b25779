#include "kernels/conv/plans/plan_cache.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <fstream>
#include <locale>
#include <regex>
#include <sstream>
#include <string_view>
#include <thread>

#include "kernels/core/cache_folder.h"

namespace kernels {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kFormat = "doppel cudnn plans 1";
constexpr std::uintmax_t kLargestFile = 4 << 20;  // ten thousand plans; a model has a hundred

// The text behind the tab of a line, in the words of line().
std::optional<CachedPlan> parse(const std::string& text) {
  static const std::regex form(
      R"([01] [01] \d{1,18} \d{1,15}(\.\d{1,15})?( -?\d{1,18}:-?\d{1,18}){0,64})");
  if (!std::regex_match(text, form)) return std::nullopt;
  CachedPlan plan;
  std::istringstream in(text);
  in.imbue(std::locale::classic());
  in >> plan.variant.padded >> plan.variant.fused >> plan.engine.index >> plan.ms;
  char colon = ':';
  for (std::int64_t type, value; in >> type >> colon >> value;)
    plan.engine.knobs.emplace_back(type, value);
  return plan;
}

std::string line(const std::string& key, const CachedPlan& plan) {
  std::string text = fmt::format("{}\t{:d} {:d} {} {:.4f}", key, plan.variant.padded,
                                 plan.variant.fused, plan.engine.index, plan.ms);
  for (const auto& [type, value] : plan.engine.knobs) text += fmt::format(" {}:{}", type, value);
  return text + "\n";
}

// The lock among writers; not held() if another process keeps it for a second.
class WriteLock {
 public:
  explicit WriteLock(const fs::path& file)
      : fd_(::open(file.c_str(), O_CREAT | O_RDWR | O_CLOEXEC, 0644)) {
    if (fd_ < 0)
      throw fs::filesystem_error("cannot open", file,
                                 std::error_code(errno, std::generic_category()));
    for (int i = 0; i < 100 && !held_; ++i) {
      held_ = ::flock(fd_, LOCK_EX | LOCK_NB) == 0;
      if (!held_) std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
  }
  ~WriteLock() { ::close(fd_); }
  WriteLock(const WriteLock&) = delete;
  WriteLock& operator=(const WriteLock&) = delete;
  bool held() const { return held_; }

 private:
  int fd_;
  bool held_ = false;
};
}  // namespace

PlanCache::PlanCache(fs::path file, Notice notice)
    : file_(std::move(file)), notice_(std::move(notice)) {
  if (!notice_)
    notice_ = [](const std::string& message) {
      std::fprintf(stderr, "doppel: %s\n", message.c_str());
    };
  plans_ = read(notice_);
}

fs::path PlanCache::default_file() {
  const fs::path folder = cache_folder();
  return folder.empty() ? fs::path() : folder / "cudnn-plans.txt";
}

std::string PlanCache::make_key(const cudnn::Problem& wanted, const Machine& machine) {
  std::string key = fmt::format("{} | sm_{} x {} | cudnn {} | driver {} | {}", machine.card,
                                machine.compute_capability, machine.multiprocessors,
                                machine.cudnn_version, machine.driver, wanted.key());
  std::replace_if(
      key.begin(), key.end(), [](char c) { return static_cast<unsigned char>(c) < ' '; }, ' ');
  return key;
}

PlanCache::Plans PlanCache::read(const Notice& notice) const {
  std::error_code error;
  if (file_.empty() || !fs::exists(file_, error)) return {};
  const auto damaged = [&](const std::string& what) {
    notice(
        fmt::format("{} {}; it is ignored and rewritten. Plans are measured again, which takes "
                    "up to a minute",
                    file_.string(), what));
    return Plans{};
  };
  if (!fs::is_regular_file(file_, error) || fs::file_size(file_, error) > kLargestFile || error)
    return damaged("is not a file of cuDNN plans");
  std::ifstream in(file_);
  std::string text;
  if (!std::getline(in, text) || text != kFormat) return damaged("is not a file of cuDNN plans");
  Plans plans;
  std::size_t bad = 0;
  while (std::getline(in, text)) {
    const std::size_t tab = text.find('\t');
    const auto plan = tab == text.npos ? std::nullopt : parse(text.substr(tab + 1));
    if (plan && !in.eof()) plans[text.substr(0, tab)] = *plan;  // eof: the line was cut off
    else ++bad;
  }
  if (bad > 0) damaged(fmt::format("has {} damaged line{}", bad, bad == 1 ? "" : "s"));
  return plans;
}

void PlanCache::write(const Plans& plans) const {
  const fs::path fresh = file_.string() + fmt::format(".{}.new", ::getpid());
  {
    std::ofstream out(fresh, std::ios::trunc);
    out << kFormat << '\n';
    for (const auto& [key, plan] : plans) out << line(key, plan);
    out.close();
    if (!out) {
      std::error_code ignored;
      fs::remove(fresh, ignored);
      throw fs::filesystem_error("cannot write", fresh, std::make_error_code(std::errc::io_error));
    }
  }
  fs::rename(fresh, file_);
}

std::optional<CachedPlan> PlanCache::find(const std::string& key) const {
  const auto found = plans_.find(key);
  return found == plans_.end() ? std::nullopt : std::optional(found->second);
}

void PlanCache::store(const std::string& key, const CachedPlan& plan) {
  plans_[key] = plan;
  if (file_.empty() || write_failed_) return;
  try {
    fs::create_directories(file_.parent_path());
    const WriteLock lock(file_.string() + ".lock");
    if (!lock.held()) return;                        // the next store() brings this plan too
    Plans merged = read([](const std::string&) {});  // silent: noticed at the first read
    for (const auto& [k, p] : plans_) merged[k] = p;
    write(merged);
  } catch (const fs::filesystem_error& e) {
    write_failed_ = true;
    notice_(
        fmt::format("cannot keep cuDNN plans in {}: {}. The next start measures them again; "
                    "set DOPPEL_CACHE_DIR to a folder that can be written",
                    file_.string(), e.code().message()));
  }
}
}  // namespace kernels
