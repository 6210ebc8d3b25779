// An A/B measurement: two builds of doppel timed in alternation, row by row.
//
// Each build runs in a child process with the row's operands in memory. The parent
// requests one timing of some milliseconds from each child, A B, B A, A B, while the
// other waits, and uses only the ratio of neighbouring timings: both see the same state
// of the machine. (Bulej et al. 2020, "Duet benchmarking", run both at once; kernels on
// all cores would then compete for them.) Memory placement lasts as long as a process,
// so both restart after a few pairs and the first to start alternates. A decided row
// (judge() in statistics.h) leaves its time to the others.
//
//   protocol   lines of text over two pipes. The child prints `doppel-bench-ab-1 COMMIT
//              N` and N row names. `check I` compares row I with its reference; the
//              answer is `ok` or the difference. `time I` returns seconds, or `error`
//              and the reason. The child ends with its input.
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

// The child's side of the protocol, until the end of `in`.
void serve(Suite& suite, std::FILE* in, std::FILE* out);

// The parent's side: runs `command`, which must end in serve(). Throws Error(input) for
// another protocol, Error(failure) once the child has ended.
class ChildBenchmark {
 public:
  explicit ChildBenchmark(const std::vector<std::string>& command);
  const std::string& commit() const { return commit_; }
  const std::vector<std::string>& rows() const { return rows_; }
  void begin_check(std::size_t row);
  std::string end_check();  // waits for the answer; empty: the row is right
  // Seconds per launch; 0 with the reason in `error` for a row without a number.
  double time(std::size_t row, std::string* error);

 private:
  void send(const char* request, std::size_t row);
  std::string receive();
  std::string program_, commit_;
  std::vector<std::string> rows_;
  struct Process {
    pid_t pid = -1;
    Process() = default;
    Process(const Process&) = delete;
    ~Process();
  } process_;
  struct Close {
    void operator()(std::FILE* file) const { std::fclose(file); }
  };
  std::unique_ptr<std::FILE, Close> to_, from_;  // closed before the wait in ~Process
};

struct AbRow {
  std::string name;
  std::string error;                               // the reason for no number
  std::vector<std::pair<double, double>> seconds;  // neighbouring timings of old and new
  Judgement judgement;
};
struct AbResult {
  std::string old_commit, new_commit;
  std::vector<AbRow> rows;  // of both builds, in the new one's order
  std::vector<std::string> only_old, only_new;
  int processes = 0;  // of each build
};
struct AbOptions {
  JudgeOptions judge;
  double seconds = 900;  // of the whole run; the first pairs of every row are always taken
  int pairs = 8;         // of a row per process
};
struct AbProgress {
  int processes = 0;
  std::size_t row = 0, rows = 0;
};
// `progress` is called before each row; false ends the run.
AbResult run_ab(const std::vector<std::string>& old_command,
                const std::vector<std::string>& new_command, const AbOptions& options,
                const std::function<bool(const AbProgress&)>& progress);

std::string describe(const AbResult& result, const JudgeOptions& options);
nlohmann::ordered_json to_json(const AbResult& result);
}  // namespace bench
