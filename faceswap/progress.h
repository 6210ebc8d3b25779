// Progress of long work on stderr, and the signals that stop it. On a terminal the
// progress is a bar, elsewhere a plain line every 10 s.
#pragma once
#include <chrono>
#include <cstdint>
#include <string>

namespace faceswap {

class Progress {
 public:
  // total 0: unknown. quiet: print nothing.
  Progress(std::string what, std::int64_t total, bool quiet = false);
  ~Progress();                                                   // ends the line
  void update(std::int64_t done, const std::string& note = "");  // note: "loss A 0.0312 B 0.0298"
  void finish(const std::string& note = "");

 private:
  void print(bool last);
  std::string what_, note_;
  std::int64_t total_, done_ = 0;
  bool quiet_, terminal_, finished_ = false, drawn_ = false;
  std::chrono::steady_clock::time_point begin_, printed_;
};

// The printed line as text, for tests without a terminal.
struct ProgressState {
  std::string what, note;
  std::int64_t done = 0, total = 0;  // total 0: unknown
  double seconds = 0;                // since the beginning
  bool last = false, terminal = false, colour = false;
  int columns = 80;  // of the terminal
};
std::string progress_line(const ProgressState&);

// Call once at the start of a long command. The first SIGINT, SIGTERM or SIGHUP sets
// stop_signal(); a second one ends the program at once.
void install_stop_handlers();
int stop_signal();  // 0, or the signal received; poll between pieces of work
}  // namespace faceswap
