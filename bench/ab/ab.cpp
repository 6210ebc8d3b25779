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

constexpr std::string_view kFormat = "doppel-bench-ab-1";  // of the protocol and of the record
constexpr std::string_view kOldFormat = "doppel-bench-turns-1";  // of builds before its new name

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

// Makes OpenMP's threads sleep soon after a loop and stay on their cores. By default
// they spin for some milliseconds on cores that the other process needs. The user's own
// settings stay.
void settle_threads() {
  constexpr int keep = 0;
  ::setenv("GOMP_SPINCOUNT", "20000", keep);
  ::setenv("KMP_BLOCKTIME", "1", keep);
  ::setenv("OMP_PROC_BIND", "true", keep);
}
constexpr std::chrono::milliseconds kUntilThreadsSleep{2};
}  // namespace

void serve(Suite& suite, std::FILE* in, std::FILE* out) {
  std::vector<Row>& rows = suite.rows();
  fmt::print(out, "{} {} {}\n", kFormat, describe_machine().at("commit").get<std::string>(),
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
      // The other process has used the caches since: the first timing does not count.
      double seconds = suite.time_row(row);
      if (seconds < 3e-2) seconds = suite.time_row(row);
      std::this_thread::sleep_for(kUntilThreadsSleep);
      fmt::print(out, "{:.9e}\n", seconds);
    } catch (const std::exception& error) { fmt::print(out, "error {}\n", one_line(error.what())); }
  }
}

ChildBenchmark::ChildBenchmark(const std::vector<std::string>& command) : program_(command.at(0)) {
  const auto require = [&](bool done, const char* lack) {
    if (!done)
      throw Error(ErrorKind::failure, fmt::format("cannot start {}: no more {}", program_, lack));
  };
  int request[2], answer[2];  // read end, write end; O_CLOEXEC keeps them out of the other child
  require(pipe2(request, O_CLOEXEC) == 0, "pipes");
  to_.reset(fdopen(request[1], "w"));
  require(pipe2(answer, O_CLOEXEC) == 0, "pipes");
  from_.reset(fdopen(answer[0], "r"));
  std::vector<char*> words;
  for (const std::string& word : command) words.push_back(const_cast<char*>(word.c_str()));
  words.push_back(nullptr);
  std::signal(SIGPIPE, SIG_IGN);  // a dead child shows as a missing answer
  process_.pid = fork();
  if (process_.pid == 0) {
    settle_threads();
    dup2(request[0], STDIN_FILENO);
    dup2(answer[1], STDOUT_FILENO);
    execvp(words[0], words.data());
    _exit(127);
  }
  close(request[0]), close(answer[1]);
  require(process_.pid >= 0, "processes");
  std::string hello;
  char commit[64] = "";
  std::size_t count = 0;
  const bool answered = read_line(from_.get(), &hello);
  const bool known = hello.starts_with(kFormat) || hello.starts_with(kOldFormat);
  if (!answered || !known || std::sscanf(hello.c_str(), "%*s %63s %zu", commit, &count) != 2)
    throw Error(
        ErrorKind::input,
        fmt::format("{} has no matching 'bench --serve'{}: --against takes another build "
                    "of doppel that has 'bench --against'",
                    program_, hello.empty() ? "" : fmt::format(" (it printed '{}')", hello)));
  commit_ = commit;
  for (std::size_t i = 0; i < count; ++i) rows_.push_back(receive());
}

ChildBenchmark::Process::~Process() {
  if (pid > 0) waitpid(pid, nullptr, 0);
}

std::string ChildBenchmark::receive() {
  std::string text;
  if (!read_line(from_.get(), &text))
    throw Error(ErrorKind::failure,
                fmt::format("{} ended in the middle of its benchmark", program_));
  return text;
}

void ChildBenchmark::send(const char* request, std::size_t row) {
  fmt::print(to_.get(), "{} {}\n", request, row);
  std::fflush(to_.get());
}

void ChildBenchmark::begin_check(std::size_t row) { send("check", row); }

std::string ChildBenchmark::end_check() {
  std::string answer = receive();
  return answer == "ok" ? "" : answer;
}

double ChildBenchmark::time(std::size_t row, std::string* error) {
  send("time", row);
  const std::string answer = receive();
  double seconds = 0;
  if (std::sscanf(answer.c_str(), "%lf", &seconds) != 1 || !(seconds > 0)) *error = answer;
  return seconds;
}

namespace {

// Of each row: its index in the old and in the new program.
using Indices = std::vector<std::pair<std::size_t, std::size_t>>;

Indices match_rows(const ChildBenchmark& old_one, const ChildBenchmark& new_one, AbResult* result) {
  Indices indices;
  std::map<std::string, std::size_t> old_rows;
  for (std::size_t i = 0; i < old_one.rows().size(); ++i) old_rows[old_one.rows()[i]] = i;
  for (std::size_t i = 0; i < new_one.rows().size(); ++i) {
    const std::string& name = new_one.rows()[i];
    const auto found = old_rows.find(name);
    if (found == old_rows.end()) {
      result->only_new.push_back(name);
      continue;
    }
    result->rows.push_back({name, {}, {}, {}});
    indices.emplace_back(found->second, i);
    old_rows.erase(found);
  }
  for (const auto& [name, index] : old_rows) result->only_old.push_back(name);
  return indices;
}

// Both children check at the same time; empty where both rows are right.
std::string check_both(ChildBenchmark& old_one, ChildBenchmark& new_one,
                       std::pair<std::size_t, std::size_t> index) {
  old_one.begin_check(index.first), new_one.begin_check(index.second);
  const std::string old_error = old_one.end_check(), new_error = new_one.end_check();
  return !new_error.empty()  ? new_error
         : old_error.empty() ? ""
                             : "the old program's is wrong: " + old_error;
}

bool is_open(const AbRow& row) {
  return row.error.empty() && row.judgement.verdict == Verdict::undecided;
}

Judgement judge_row(const AbRow& row, std::size_t rows, const AbOptions& options) {
  std::vector<double> log_ratios;
  for (const auto& [old_seconds, new_seconds] : row.seconds)
    log_ratios.push_back(std::log(new_seconds / old_seconds));
  return judge(log_ratios, static_cast<int>(row.seconds.size()) / options.pairs, rows,
               options.judge);
}
}  // namespace

AbResult run_ab(const std::vector<std::string>& old_command,
                const std::vector<std::string>& new_command, const AbOptions& options,
                const std::function<bool(const AbProgress&)>& progress) {
  const double begin = now();
  AbResult result;
  Indices indices;
  std::size_t open = 1;
  for (bool go_on = true; go_on && open > 0 && result.processes < options.judge.most_processes;
       ++result.processes) {
    const bool first = result.processes == 0;
    std::optional<ChildBenchmark> old_one, new_one;
    if (result.processes % 2 == 0) old_one.emplace(old_command), new_one.emplace(new_command);
    else new_one.emplace(new_command), old_one.emplace(old_command);
    if (first) {
      result.old_commit = old_one->commit(), result.new_commit = new_one->commit();
      indices = match_rows(*old_one, *new_one, &result);
      open = result.rows.size();
    }
    std::size_t done = 0;
    for (std::size_t r = 0; r < result.rows.size(); ++r) {
      AbRow& row = result.rows[r];
      if (!is_open(row)) continue;
      go_on =
          (first || now() - begin < options.seconds) && progress({result.processes, done++, open});
      if (!go_on) break;
      if (first) row.error = check_both(*old_one, *new_one, indices[r]);
      for (int k = 0; k < options.pairs && row.error.empty(); ++k) {
        double seconds[2];  // old, new
        for (const bool is_new : {k % 2 != 0, k % 2 == 0})
          seconds[is_new] = is_new ? new_one->time(indices[r].second, &row.error)
                                   : old_one->time(indices[r].first, &row.error);
        row.seconds.emplace_back(seconds[0], seconds[1]);
      }
    }
    open = 0;
    for (AbRow& row : result.rows) {
      if (is_open(row)) row.judgement = judge_row(row, result.rows.size(), options);
      open += is_open(row);
    }
  }
  return result;
}

std::string describe(const AbResult& result, const JudgeOptions& options) {
  const auto percent = [](double log_ratio) {
    return std::isfinite(log_ratio) ? fmt::format("{:+.1f} %", 100 * std::expm1(log_ratio)) : "?";
  };
  std::string text = fmt::format("{} against {}, {} processes each\n", result.new_commit,
                                 result.old_commit, result.processes);
  std::vector<const AbRow*> rows;
  std::size_t count[4] = {}, failed = 0;
  for (const AbRow& row : result.rows) {
    if (!row.error.empty()) {
      text += fmt::format("no number: {}: {}\n", row.name, row.error);
      ++failed;
      continue;
    }
    ++count[static_cast<int>(row.judgement.verdict)];
    if (row.judgement.verdict != Verdict::equal && !row.seconds.empty()) rows.push_back(&row);
  }
  std::stable_sort(rows.begin(), rows.end(), [](const AbRow* a, const AbRow* b) {
    return std::fabs(a->judgement.log_ratio) > std::fabs(b->judgement.log_ratio);
  });
  for (const auto& [verdict, word] :
       {std::pair{Verdict::slower, "SLOWER"}, std::pair{Verdict::faster, "faster"},
        std::pair{Verdict::undecided, "open  "}})
    for (const AbRow* row : rows)
      if (const Judgement& j = row->judgement; j.verdict == verdict)
        text +=
            fmt::format("{}  {}  time {}  ({} to {}, {} pairs)\n", word, row->name,
                        percent(j.log_ratio), percent(j.low), percent(j.high), row->seconds.size());
  const auto counted = [&](Verdict verdict) { return count[static_cast<int>(verdict)]; };
  text += fmt::format(
      "{} slower, {} faster, {} equal (not by {:.0f} % or more), {} open (give it more --seconds)",
      counted(Verdict::slower), counted(Verdict::faster), counted(Verdict::equal),
      100 * options.detectable, counted(Verdict::undecided));
  text += failed > 0 ? fmt::format(", {} without a number\n", failed) : "\n";
  if (!result.only_new.empty())
    text += fmt::format("{} rows are new, the first: {}\n", result.only_new.size(),
                        result.only_new.front());
  if (!result.only_old.empty())
    text += fmt::format("{} rows of the old program are gone, the first: {}\n",
                        result.only_old.size(), result.only_old.front());
  return text;
}

nlohmann::ordered_json to_json(const AbResult& result) {
  nlohmann::ordered_json json{{"format", kFormat},
                              {"old", result.old_commit},
                              {"new", result.new_commit},
                              {"processes", result.processes},
                              {"only_old", result.only_old},
                              {"only_new", result.only_new},
                              {"rows", nlohmann::ordered_json::array()}};
  for (const AbRow& row : result.rows) {
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
