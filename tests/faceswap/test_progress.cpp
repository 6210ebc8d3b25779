// Progress lines as text, silence where asked, and the two ways a signal ends a program.
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <algorithm>
#include <functional>

#include "faceswap/progress.h"

using namespace faceswap;

namespace {

// Runs the action in a child whose stderr is a pipe; its exit status and what it printed.
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
  for (ssize_t n; (n = ::read(ends[0], buffer, sizeof buffer)) > 0;) printed.append(buffer, static_cast<std::size_t>(n));
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
  ProgressState s{.what = "training", .note = "loss A 0.0312", .done = 250, .total = 1000, .seconds = 50};
  EXPECT_EQ(progress_line(s), "training: 250/1000  25%  5.00/s  2:30 left  loss A 0.0312");
  s.last = true;
  EXPECT_EQ(progress_line(s), "training: 250/1000  25%  5.00/s  took 0:50  loss A 0.0312");
  s = {.what = "reading", .done = 4200, .total = 0, .seconds = 10};
  EXPECT_EQ(progress_line(s), "reading: 4200  420/s");
  s = {.what = "reading", .done = 0, .total = 10, .seconds = 0};
  EXPECT_EQ(progress_line(s), "reading: 0/10   0%");
  s = {.what = "training", .done = 10, .total = 100000, .seconds = 10};
  EXPECT_EQ(progress_line(s), "training: 10/100000   0%  1.00/s  27:46:30 left");
  s = {.what = "converting", .done = 12, .total = 10, .seconds = 1};  // an estimate that was too low
  EXPECT_EQ(progress_line(s), "converting: 12/10 100%  12/s  0:00 left");
}

TEST(Progress, BarsFitTheTerminal) {
  for (const int columns : {1, 5, 20, 40, 60, 80, 200})
    for (const bool colour : {false, true}) {
      const ProgressState s{.what = "training original", .note = "loss A 0.0312 B 0.0298 \xe2\x9c\x93", .done = 250, .total = 1000, .seconds = 50, .terminal = true, .colour = colour, .columns = columns};
      const std::string line = progress_line(s);
      EXPECT_LE(visible(line), std::max<std::size_t>(static_cast<std::size_t>(columns), s.what.size() + 1)) << columns;
      EXPECT_EQ(line.find('\x1b') != std::string::npos, colour);
      if (columns >= 80) EXPECT_NE(line.find("[######..................]"), std::string::npos) << line;
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
  EXPECT_EQ(std::count(printed.begin(), printed.end(), '\n'), 1) << printed;  // too short for a line every ten seconds
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
