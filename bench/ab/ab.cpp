#include "bench/ab/ab.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <csignal>
#include <cstdlib>
#include <map>
#include <optional>
#include <string_view>
#include <thread>

#include "bench/suite/machine.h"
#include "kernels/core/error.h"

namespace bench {

using kernels::Error;
using kernels::ErrorKind;

namespace {

constexpr std::string_view kHello = "doppel-bench-turns-1";  // of the protocol and of the record

std::string one_line(std::string text) {
  std::replace(text.begin(), text.end(), '\n', ' ');
  return text;
}

bool read_line(std::FILE* in, std::string* text) {
  text->clear();
  for (int c; (c = std::fgetc(in)) != EOF;) {
    if (c == '\n') return true;
    text->push_back(static_cast<char>(c));
  }
  return false;
}

double now() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

// One process must not work while the other is timed, and its threads must not be where the other's want to be. By default OpenMP's threads
// spin for some milliseconds after each loop, on the core that the other process is about to use, and a scheduler may put both threads of a process
// that wakes onto one core for a while: of 4,096 timings of 16 rows one in six was over a third too long, and neighbours' ratios scattered by 49 %.
// With these it was one in 35, and 10 %.
void settle_threads() {
  const int keep = 0;  // what the user has set
  ::setenv("GOMP_SPINCOUNT", "20000", keep);
  ::setenv("KMP_BLOCKTIME", "1", keep);
  ::setenv("OMP_PROC_BIND", "true", keep);
}
constexpr std::chrono::milliseconds kUntilThreadsSleep{2};

}  // namespace

// ---- the child

void serve_turns(Suite& suite, std::FILE* in, std::FILE* out) {
  std::vector<Row>& rows = suite.rows();
  fmt::print(out, "{} {} {}\n", kHello, describe_machine().at("commit").get<std::string>(),
             rows.size());
  for (const Row& row : rows) fmt::print(out, "{}\n", row.name);
  std::fflush(out);
  for (std::string request; read_line(in, &request); std::fflush(out)) {
    char word[8] = "";
    std::size_t index = 0;
    if (std::sscanf(request.c_str(), "%7s %zu", word, &index) != 2 || index >= rows.size()) {
      fmt::print(out, "error not a request: '{}'\n", request);
      continue;
    }
    Row& row = rows[index];
    try {
      if (word == std::string("check")) {
        fmt::print(out, "{}\n", suite.check(row) ? "ok" : one_line(row.error));
        continue;
      }
      // The other process has used the caches since: the first timing finds them as it left them.
      double seconds = suite.sample(row);
      if (seconds < 3e-2) seconds = suite.sample(row);
      std::this_thread::sleep_for(kUntilThreadsSleep);
      fmt::print(out, "{:.9e}\n", seconds);
    } catch (const std::exception& error) { fmt::print(out, "error {}\n", one_line(error.what())); }
  }
}

// ---- the parent

Partner::Partner(const std::vector<std::string>& command) : program_(command.at(0)) {
  int request[2],
      answer[2];  // read, write; closed in the children, or each would keep the other's input open
  if (pipe2(request, O_CLOEXEC) != 0)
    throw Error(ErrorKind::failure, fmt::format("cannot start {}: no more pipes", program_));
  to_.reset(fdopen(request[1], "w"));
  if (pipe2(answer, O_CLOEXEC) != 0)
    throw Error(ErrorKind::failure, fmt::format("cannot start {}: no more pipes", program_));
  from_.reset(fdopen(answer[0], "r"));
  std::vector<char*> words;
  for (const std::string& word : command) words.push_back(const_cast<char*>(word.c_str()));
  words.push_back(nullptr);
  std::signal(SIGPIPE, SIG_IGN);  // a child that died is told of by its missing answer
  child_.pid = fork();
  if (child_.pid == 0) {
    settle_threads();
    dup2(request[0], STDIN_FILENO);
    dup2(answer[1], STDOUT_FILENO);
    execvp(words[0], words.data());
    _exit(127);
  }
  close(request[0]), close(answer[1]);
  if (child_.pid < 0)
    throw Error(ErrorKind::failure, fmt::format("cannot start {}: no more processes", program_));
  std::string hello;
  char commit[64] = "";
  std::size_t count = 0;
  if (!read_line(from_.get(), &hello) || !hello.starts_with(kHello) ||
      std::sscanf(hello.c_str() + kHello.size(), " %63s %zu", commit, &count) != 2)
    throw Error(ErrorKind::input,
                fmt::format("{} cannot take turns{}: --against takes another build of doppel, one "
                            "that has 'bench --against'",
                            program_, hello.empty() ? "" : fmt::format(" (it says '{}')", hello)));
  commit_ = commit;
  for (std::size_t i = 0; i < count; ++i) rows_.push_back(line());
}

Partner::Child::~Child() {
  if (pid > 0) waitpid(pid, nullptr, 0);
}

std::string Partner::line() {
  std::string text;
  if (!read_line(from_.get(), &text))
    throw Error(ErrorKind::failure,
                fmt::format("{} ended in the middle of its benchmark", program_));
  return text;
}

void Partner::ask(const char* what, std::size_t row) {
  fmt::print(to_.get(), "{} {}\n", what, row);
  std::fflush(to_.get());
}

void Partner::ask_check(std::size_t row) { ask("check", row); }

std::string Partner::checked() {
  std::string answer = line();
  return answer == "ok" ? "" : answer;
}

double Partner::time(std::size_t row, std::string* error) {
  ask("time", row);
  const std::string answer = line();
  double seconds = 0;
  if (std::sscanf(answer.c_str(), "%lf", &seconds) != 1 || !(seconds > 0)) *error = answer;
  return seconds;
}

namespace {

using Numbers = std::vector<
    std::pair<std::size_t, std::size_t>>;  // of each row, in the old and in the new program

Numbers match_rows(const Partner& old_one, const Partner& new_one, Turns* turns) {
  Numbers numbers;
  std::map<std::string, std::size_t> old_rows;
  for (std::size_t i = 0; i < old_one.rows().size(); ++i) old_rows[old_one.rows()[i]] = i;
  for (std::size_t i = 0; i < new_one.rows().size(); ++i) {
    const std::string& name = new_one.rows()[i];
    const auto found = old_rows.find(name);
    if (found == old_rows.end()) {
      turns->only_new.push_back(name);
      continue;
    }
    turns->rows.push_back({name, {}, {}, {}});
    numbers.emplace_back(found->second, i);
    old_rows.erase(found);
  }
  for (const auto& [name, number] : old_rows) turns->only_old.push_back(name);
  return numbers;
}

// Right before fast; both at once.
std::string check_both(Partner& old_one, Partner& new_one,
                       std::pair<std::size_t, std::size_t> number) {
  old_one.ask_check(number.first), new_one.ask_check(number.second);
  const std::string old_error = old_one.checked(), new_error = new_one.checked();
  return !new_error.empty()  ? new_error
         : old_error.empty() ? ""
                             : "the old program's is wrong: " + old_error;
}

bool is_open(const TurnRow& row) {
  return row.error.empty() && row.judgement.verdict == Verdict::undecided;
}

Judgement judge_row(const TurnRow& row, std::size_t rows, const TurnOptions& options) {
  std::vector<double> log_ratios;
  for (const auto& [old_seconds, new_seconds] : row.seconds)
    log_ratios.push_back(std::log(new_seconds / old_seconds));
  return judge(log_ratios, static_cast<int>(row.seconds.size()) / options.pairs, rows,
               options.judge);
}

}  // namespace

Turns take_turns(const std::vector<std::string>& old_command,
                 const std::vector<std::string>& new_command, const TurnOptions& options,
                 const std::function<bool(const TurnState&)>& watch) {
  const double begin = now();
  Turns turns;
  Numbers numbers;
  std::size_t open = 1;
  for (bool go_on = true; go_on && open > 0 && turns.processes < options.judge.most_processes;
       ++turns.processes) {
    const bool first = turns.processes == 0;
    std::optional<Partner> old_one, new_one;
    if (turns.processes % 2 == 0) old_one.emplace(old_command), new_one.emplace(new_command);
    else new_one.emplace(new_command), old_one.emplace(old_command);
    if (first) {
      turns.old_commit = old_one->commit(), turns.new_commit = new_one->commit();
      numbers = match_rows(*old_one, *new_one, &turns);
      open = turns.rows.size();
    }
    std::size_t done = 0;
    for (std::size_t r = 0; r < turns.rows.size(); ++r) {
      TurnRow& row = turns.rows[r];
      if (!is_open(row)) continue;
      go_on = (first || now() - begin < options.seconds) && watch({turns.processes, done++, open});
      if (!go_on) break;
      if (first) row.error = check_both(*old_one, *new_one, numbers[r]);
      for (int k = 0; k < options.pairs && row.error.empty(); ++k) {
        double seconds[2];  // old, new
        for (const bool is_new : {k % 2 != 0, k % 2 == 0})
          seconds[is_new] = is_new ? new_one->time(numbers[r].second, &row.error)
                                   : old_one->time(numbers[r].first, &row.error);
        row.seconds.emplace_back(seconds[0], seconds[1]);
      }
    }
    open = 0;
    for (TurnRow& row : turns.rows) {
      if (is_open(row)) row.judgement = judge_row(row, turns.rows.size(), options);
      open += is_open(row);
    }
  }
  return turns;
}

// ---- for people

std::string describe(const Turns& turns, const JudgeOptions& options) {
  const auto percent = [](double log_ratio) {
    return std::isfinite(log_ratio) ? fmt::format("{:+.1f} %", 100 * std::expm1(log_ratio)) : "?";
  };
  std::string text = fmt::format("{} against {}, {} processes each\n", turns.new_commit,
                                 turns.old_commit, turns.processes);
  std::vector<const TurnRow*> rows;
  std::size_t count[4] = {}, failed = 0;
  for (const TurnRow& row : turns.rows) {
    if (!row.error.empty()) {
      text += fmt::format("no number: {}: {}\n", row.name, row.error);
      ++failed;
      continue;
    }
    ++count[static_cast<int>(row.judgement.verdict)];
    if (row.judgement.verdict != Verdict::equal && !row.seconds.empty()) rows.push_back(&row);
  }
  std::stable_sort(rows.begin(), rows.end(), [](const TurnRow* a, const TurnRow* b) {
    return std::fabs(a->judgement.log_ratio) > std::fabs(b->judgement.log_ratio);
  });
  for (const Verdict verdict : {Verdict::slower, Verdict::faster, Verdict::undecided})
    for (const TurnRow* row : rows) {
      const Judgement& j = row->judgement;
      if (j.verdict != verdict) continue;
      text += fmt::format("{}  {}  time {}  ({} to {}, {} pairs)\n",
                          verdict == Verdict::slower   ? "SLOWER"
                          : verdict == Verdict::faster ? "faster"
                                                       : "open  ",
                          row->name, percent(j.log_ratio), percent(j.low), percent(j.high),
                          row->seconds.size());
    }
  text += fmt::format(
      "{} slower, {} faster, {} equal (not by {:.0f} % or more), {} open (give it more --seconds)",
      count[static_cast<int>(Verdict::slower)], count[static_cast<int>(Verdict::faster)],
      count[static_cast<int>(Verdict::equal)], 100 * options.find,
      count[static_cast<int>(Verdict::undecided)]);
  text += failed > 0 ? fmt::format(", {} without a number\n", failed) : "\n";
  if (!turns.only_new.empty())
    text += fmt::format("{} rows are new, the first: {}\n", turns.only_new.size(),
                        turns.only_new.front());
  if (!turns.only_old.empty())
    text += fmt::format("{} rows of the old program are gone, the first: {}\n",
                        turns.only_old.size(), turns.only_old.front());
  return text;
}

nlohmann::ordered_json to_json(const Turns& turns) {
  nlohmann::ordered_json json{{"format", kHello},
                              {"old", turns.old_commit},
                              {"new", turns.new_commit},
                              {"processes", turns.processes},
                              {"only_old", turns.only_old},
                              {"only_new", turns.only_new},
                              {"rows", nlohmann::ordered_json::array()}};
  for (const TurnRow& row : turns.rows) {
    nlohmann::ordered_json r{{"name", row.name}};
    if (!row.error.empty()) {
      r["error"] = row.error;
    } else {
      const Judgement& j = row.judgement;
      const auto ratio = [](double log_ratio) {
        return std::isfinite(log_ratio) ? nlohmann::ordered_json(std::exp(log_ratio)) : nullptr;
      };
      r.update({{"verdict", name(j.verdict)},
                {"time_ratio", ratio(j.log_ratio)},
                {"low", ratio(j.low)},
                {"high", ratio(j.high)}});
      r["seconds_old_new"] = row.seconds;
    }
    json["rows"].push_back(r);
  }
  return json;
}

}  // namespace bench
