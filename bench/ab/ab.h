// Two builds of doppel measured in turn, row by row: what the machine does to one it does to the other.
//
// Two processes stay alive side by side, each with the same row's operands in memory. They are asked in turn for one timing of some
// milliseconds, A B, B A, A B, and so on; while one works the other waits. On a shared machine a row's time wanders by 10 % within a second and
// from process to process; two timings next to each other see the same machine, and only their ratio is used (the idea is that of Bulej et al.
// 2020, "Duet benchmarking", who let both run at once: on a machine whose cores all take part in a kernel they would fight for them).
// A process may be lucky for all of its life in where its memory lies, so both are started anew after a few pairs; which is first turns.
// Rows are let go when they are decided (judge() in statistics.h), so what is undecided gets the time.
//
//   protocol   lines of text over two pipes. The child says `doppel-bench-turns-1 COMMIT N` and N row names; asked `check I` it holds row I
//              against its reference and answers `ok` or what is wrong; asked `time I` it answers seconds, or `error` and why. It ends
//              with its input.
#pragma once
#include <sys/types.h>
#include <cstdio>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "bench/ab/statistics.h"
#include "bench/suite/suite.h"

namespace bench {

// The child's side, until the end of `in`.
void serve_turns(Suite& suite, std::FILE* in, std::FILE* out);

// The parent's side: a child that runs `command`, which must end in serve_turns().
class Partner {
 public:
  explicit Partner(
      const std::vector<std::string>&
          command);  // a child until the end of this; throws Error(input) where that does not speak as above
  // All throw Error(failure) where the child has ended.
  const std::string& commit() const { return commit_; }
  const std::vector<std::string>& rows() const { return rows_; }
  void ask_check(std::size_t row);
  std::string checked();  // waits for the answer; empty: the row is right
  double time(std::size_t row,
              std::string* error);  // seconds per launch, or why there is no number

 private:
  void ask(const char* what, std::size_t row);
  std::string line();
  std::string program_, commit_;
  struct Child {
    pid_t pid = -1;
    Child() = default;
    Child(const Child&) = delete;
    ~Child();
  } child_;
  struct Close {
    void operator()(std::FILE* file) const { std::fclose(file); }
  };
  std::unique_ptr<std::FILE, Close> to_,
      from_;  // closed first: the end of its input is the child's end
  std::vector<std::string> rows_;
};

struct TurnRow {
  std::string name;
  std::string error;                               // why there is no number
  std::vector<std::pair<double, double>> seconds;  // old and new, next to each other
  Judgement judgement;
};
struct Turns {
  std::string old_commit, new_commit;
  std::vector<TurnRow> rows;  // that both have, in the new program's order
  std::vector<std::string> only_old, only_new;
  int processes = 0;  // of each program
};

struct TurnOptions {
  JudgeOptions judge;
  double seconds = 900;  // for all, but the first pairs of every row are always taken
  int pairs = 8;         // of a row in one life of the two processes
};
// `watch` is told where we are, and stops it all by returning false.
struct TurnState {
  int processes = 0;
  std::size_t row = 0, rows = 0;
};
Turns take_turns(const std::vector<std::string>& old_command,
                 const std::vector<std::string>& new_command, const TurnOptions& options,
                 const std::function<bool(const TurnState&)>& watch);

std::string describe(const Turns& turns, const JudgeOptions& options);
nlohmann::ordered_json to_json(const Turns& turns);

}  // namespace bench
