#include "faceswap/progress.h"

#include <fmt/format.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace faceswap {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::chrono::milliseconds kBarEvery{100};
constexpr std::chrono::seconds kLineEvery{10};

volatile std::sig_atomic_t g_stop = 0;

extern "C" void on_stop(int signal) {
  if (g_stop != 0) _exit(128 + signal);
  g_stop = signal;
}

// 75 -> "1:15", 4000 -> "1:06:40"
std::string clock_text(double seconds) {
  const auto whole = static_cast<std::int64_t>(std::clamp(seconds + 0.5, 0.0, 3.6e8));
  if (whole >= 3600)
    return fmt::format("{}:{:02}:{:02}", whole / 3600, whole / 60 % 60, whole % 60);
  return fmt::format("{}:{:02}", whole / 60, whole % 60);
}

int terminal_width() {
  winsize size{};
  return ::ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col : 80;
}

// A dumb terminal cannot return to the line's beginning.
bool stderr_is_terminal() {
  const char* term = std::getenv("TERM");
  return ::isatty(STDERR_FILENO) == 1 && term != nullptr && std::strcmp(term, "dumb") != 0;
}

bool colour_wanted() {
  const char* no_color = std::getenv("NO_COLOR");
  return no_color == nullptr || *no_color == '\0';
}

// At most `columns` characters of UTF-8, cut between characters.
std::string cut(const std::string& text, int columns) {
  int seen = 0;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if ((static_cast<unsigned char>(text[i]) & 0xc0) == 0x80) continue;
    if (seen++ == columns) return text.substr(0, i);
  }
  return text;
}
}  // namespace

Progress::Progress(std::string what, std::int64_t total, bool quiet)
    : what_(std::move(what)),
      total_(std::max<std::int64_t>(total, 0)),
      quiet_(quiet),
      terminal_(stderr_is_terminal()),
      begin_(Clock::now()),
      printed_(begin_) {}

Progress::~Progress() {
  // After an exception or a signal: gives the next message a line of its own.
  if (!finished_ && !quiet_ && terminal_ && drawn_) std::fputc('\n', stderr);
}

void Progress::update(std::int64_t done, const std::string& note) {
  done_ = done;
  if (!note.empty()) note_ = note;
  if (quiet_ || finished_) return;
  const auto since = Clock::now() - printed_;
  if (terminal_ ? drawn_ && since < kBarEvery : since < kLineEvery) return;
  print(false);
}

void Progress::finish(const std::string& note) {
  if (finished_) return;
  if (!note.empty()) note_ = note;
  finished_ = true;
  if (!quiet_) print(true);
}

void Progress::print(bool last) {
  printed_ = Clock::now();
  drawn_ = true;
  const double seconds = std::chrono::duration<double>(printed_ - begin_).count();
  const std::string line =
      progress_line({what_, note_, done_, total_, seconds, last, terminal_,
                     terminal_ && colour_wanted(), terminal_ ? terminal_width() : 0});
  // On a terminal: back to the first column, and erase to the end of the line.
  std::fputs(terminal_ ? fmt::format("\r{}\x1b[K{}", line, last ? "\n" : "").c_str()
                       : (line + "\n").c_str(),
             stderr);
  std::fflush(stderr);
}

std::string progress_line(const ProgressState& s) {
  const double rate = s.seconds > 0 ? static_cast<double>(s.done) / s.seconds : 0;
  const bool known = s.total > 0;
  const double share =
      known ? std::clamp(static_cast<double>(s.done) / static_cast<double>(s.total), 0.0, 1.0) : 0;
  std::string figures = known ? fmt::format("{}/{} {:3.0f}%", s.done, s.total, 100 * share)
                              : fmt::format("{}", s.done);
  // Decimals below ten a second, as in training steps; above, they only flicker.
  if (s.done > 0 && s.seconds > 0)
    figures += rate < 10 ? fmt::format("  {:.2f}/s", rate) : fmt::format("  {:.0f}/s", rate);
  if (s.last) figures += fmt::format("  took {}", clock_text(s.seconds));
  else if (known && s.done > 0 && s.seconds > 0)
    figures +=
        fmt::format("  {} left", clock_text((1 - share) * static_cast<double>(s.total) / rate));
  const std::string tail = figures + (s.note.empty() ? "" : "  " + s.note);
  if (!s.terminal) return s.what + ": " + tail;

  constexpr int kBar = 24;
  std::string bar;
  const int room = s.columns - 1 - static_cast<int>(s.what.size() + 1);
  if (known && !s.last && room > kBar + 24) {
    const int full = static_cast<int>(share * kBar);
    bar = fmt::format("[{:#<{}}{:.<{}}] ", "", full, "", kBar - full);
  }
  const std::string text = cut(bar + tail, std::max(0, room));
  return s.colour ? fmt::format("\x1b[1m{}\x1b[0m {}", s.what, text) : s.what + " " + text;
}

void install_stop_handlers() {
  struct sigaction action {};
  action.sa_handler = on_stop;
  sigemptyset(&action.sa_mask);
  action.sa_flags = SA_RESTART;  // reads and writes go on; loops poll stop_signal()
  for (const int signal : {SIGINT, SIGTERM, SIGHUP}) {
    struct sigaction old {};
    // An ignored SIGHUP is the doing of nohup and stays ignored. An ignored SIGINT does
    // not: shells ignore it for a script's background jobs, and it is then sent by
    // hand.
    if (signal == SIGHUP && sigaction(signal, nullptr, &old) == 0 && old.sa_handler == SIG_IGN)
      continue;
    sigaction(signal, &action, nullptr);
  }
}

int stop_signal() { return g_stop; }
}  // namespace faceswap
