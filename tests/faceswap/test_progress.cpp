// Progress lines as text, silence if quiet, and the first and second signal.
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <functional>

#include "faceswap/progress.h"

using namespace faceswap;

namespace {

// Runs the action in a child process. Returns its exit status and its stderr.
std::pair<int, std::string> in_child(const std::function<void()>& action) {
  int ends[2];
  if (::pipe(ends) != 0) return {-1, ""};
  std::fflush(nullptr);
  const pid_t child = ::fork();
  if (child == 0) {
    ::dup2(ends[1], STDERR_FILENO);
    ::close(ends[0]);
    ::close(ends[1]);
    action();
    std::fflush(stderr);
    ::_exit(0);
  }
  ::close(ends[1]);
  std::string printed;
  char buffer[4096];
  for (ssize_t n; (n = ::read(ends[0], buffer, sizeof buffer)) > 0;)
    printed.append(buffer, static_cast<std::size_t>(n));
  ::close(ends[0]);
  int status = 0;
  ::waitpid(child, &status, 0);
  return {WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status), printed};
}

// The characters a terminal shows, without the escape sequences.
std::size_t visible(const std::string& line) {
  std::size_t count = 0;
  for (std::size_t i = 0; i < line.size(); ++i) {
    if (line[i] == '\x1b') {
      while (i < line.size() && line[i] != 'm') ++i;
    } else if ((static_cast<unsigned char>(line[i]) & 0xc0) != 0x80) {
      ++count;
    }
  }
  return count;
}
}  // namespace

TEST(Progress, LinesSayHowFarAndHowLong) {
  const auto line = [](const char* what, std::int64_t done, std::int64_t total, double seconds,
                       const char* note = "", bool last = false) {
    ProgressState s;
    s.what = what, s.note = note, s.done = done, s.total = total, s.seconds = seconds,
    s.last = last;
    return progress_line(s);
  };
  EXPECT_EQ(line("training", 250, 1000, 50, "loss A 0.0312"),
            "training: 250/1000  25%  5.00/s  2:30 left  loss A 0.0312");
  EXPECT_EQ(line("training", 250, 1000, 50, "loss A 0.0312", true),
            "training: 250/1000  25%  5.00/s  took 0:50  loss A 0.0312");
  EXPECT_EQ(line("reading", 4200, 0, 10), "reading: 4200  420/s");
  EXPECT_EQ(line("reading", 0, 10, 0), "reading: 0/10   0%");
  EXPECT_EQ(line("training", 10, 100000, 10), "training: 10/100000   0%  1.00/s  27:46:30 left");
  EXPECT_EQ(line("converting", 12, 10, 1),
            "converting: 12/10 100%  12/s  0:00 left");  // an estimate that was too low
}

TEST(Progress, BarsFitTheTerminal) {
  for (const int columns : {1, 5, 20, 40, 60, 80, 200})
    for (const bool colour : {false, true}) {
      ProgressState s;
      s.what = "training original", s.note = "loss A 0.0312 B 0.0298 \xe2\x9c\x93", s.done = 250,
      s.total = 1000, s.seconds = 50;
      s.terminal = true, s.colour = colour, s.columns = columns;
      const std::string line = progress_line(s);
      EXPECT_LE(visible(line),
                std::max<std::size_t>(static_cast<std::size_t>(columns), s.what.size() + 1))
          << columns;
      EXPECT_EQ(line.find('\x1b') != std::string::npos, colour);
      EXPECT_EQ(line.find("[######..................]") != std::string::npos, columns >= 80)
          << line;
    }
}

TEST(Progress, PrintsPlainLinesIntoAPipeAndNothingWhenQuiet) {
  const auto [code, printed] = in_child([] {
    Progress progress("reading", 100);
    for (int i = 0; i <= 100; ++i) progress.update(i);
    progress.finish("done");
    progress.finish("twice");
  });
  EXPECT_EQ(code, 0);
  EXPECT_EQ(printed.rfind("reading: 100/100 100%", 0), 0u) << printed;
  EXPECT_EQ(std::count(printed.begin(), printed.end(), '\n'), 1)
      << printed;  // too short for a line every ten seconds
  EXPECT_NE(printed.find("done"), std::string::npos);
  EXPECT_EQ(printed.find('\x1b'), std::string::npos);
  EXPECT_EQ(printed.find('\r'), std::string::npos);
  EXPECT_EQ(in_child([] {
              Progress progress("reading", 100, true);
              progress.update(5);
              progress.finish("done");
            }).second,
            "");
}

TEST(Progress, TheFirstSignalAsksAndTheSecondEnds) {
  for (const int signal : {SIGINT, SIGTERM, SIGHUP}) {
    EXPECT_EQ(in_child([&] {
                std::signal(SIGHUP, SIG_DFL);
                std::signal(SIGINT, SIG_IGN);  // as in a script's background job
                install_stop_handlers();
                if (stop_signal() != 0) ::_exit(1);
                ::raise(signal);
                ::_exit(stop_signal() == signal ? 42 : 2);
              }).first,
              42);
    EXPECT_EQ(in_child([&] {
                std::signal(SIGHUP, SIG_DFL);
                install_stop_handlers();
                ::raise(SIGINT);
                ::raise(signal);
                ::_exit(3);
              }).first,
              128 + signal);
  }
}

TEST(Progress, NohupStaysInForce) {
  EXPECT_EQ(in_child([] {
              std::signal(SIGHUP, SIG_IGN);
              install_stop_handlers();
              ::raise(SIGHUP);
              ::_exit(stop_signal() == 0 ? 7 : 8);
            }).first,
            7);
}
