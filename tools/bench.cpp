// doppel bench: every kernel against the ceilings of this machine, in one table; and whether a change made any of them slower.
#include "tools/command.h"

#if DOPPEL_HAS_BENCH
#include <fmt/format.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <memory>

#include "bench/machine.h"
#include "bench/report.h"
#include "bench/suite.h"
#include "bench/table.h"
#include "faceswap/progress.h"
#include "kernels/error.h"

namespace {

using kernels::Error;
using kernels::ErrorKind;
using nlohmann::ordered_json;

struct Arguments {
  bench::SuiteOptions suite;
  std::string json, compare, against;
  int turns = 3;
  bool list = false;
};

double now() { return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count(); }

// As many rounds as fit: a round is begun only if the last one's length is left.
ordered_json measure(bench::Suite& suite, const bench::SuiteOptions& options, bool quiet) {
  const double begin = now();
  const ordered_json before = bench::machine_state();
  const bool progress = !quiet && isatty(STDERR_FILENO);
  double longest = 0;
  for (int round = 0; round < options.rounds && faceswap::stop_signal() == 0; ++round) {
    const double round_begin = now();
    // The first round checks every row, which takes longer than the timing.
    if (round > 0 && round_begin - begin + (round == 1 ? 0.3 * longest : longest) > options.seconds) break;
    suite.round([&](std::size_t i) {
      if (progress && i % 4 == 0)
        fmt::print(stderr, "\rround {} of at most {}, row {} of {}, {:.0f} s ", round + 1, options.rounds, i + 1, suite.rows().size(), now() - begin);
    });
    longest = now() - round_begin;
  }
  if (progress) fmt::print(stderr, "\r{:70}\r", "");
  return bench::to_json(suite, before, bench::machine_state());
}

// Set by run_other for a program that has checked the same rows before: it only times our own.
constexpr const char* kAgain = "DOPPEL_BENCH_AGAIN";

// What another doppel measures, as a child of its own: the same rows, a share of the time.
ordered_json run_other(const std::string& program, const Arguments& args, bool again) {
  const std::filesystem::path record = std::filesystem::temp_directory_path() / fmt::format("doppel_bench_{}.json", ::getpid());
  std::vector<std::string> words{program, "bench", "--quiet", "--json", record.string(), "--filter", args.suite.filter, "--device", args.suite.device};
  words.insert(words.end(), {"--rounds", std::to_string(args.suite.rounds), "--seconds", fmt::format("{:.2f}", args.suite.seconds)});
  if (args.suite.every_case) words.push_back("--all");
  std::vector<char*> pointers;
  for (std::string& word : words) pointers.push_back(word.data());
  pointers.push_back(nullptr);
  const pid_t child = fork();
  if (child < 0) throw Error(ErrorKind::failure, fmt::format("cannot start {}: no more processes", program));
  if (child == 0) {
    if (again) ::setenv(kAgain, "1", 1);
    if (std::freopen("/dev/null", "w", stdout) == nullptr) _exit(127);  // its table is nobody's: the record is what we want
    execvp(program.c_str(), pointers.data());
    _exit(127);
  }
  int status = 0;
  while (waitpid(child, &status, 0) < 0) {}
  if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
    throw Error(ErrorKind::input, fmt::format("{} bench failed{}: --against takes another build of doppel that has bench", program,
                                              WIFEXITED(status) && WEXITSTATUS(status) == 127 ? " to start" : ""));
  ordered_json result = bench::read_record(record);
  std::filesystem::remove(record);
  return result;
}

// The second look of bench/statistics.h: many short processes of both programs in turn, one sample of each row from each.
bench::Comparison look_again(const bench::Comparison& first, const std::string& self, Arguments args, bool quiet) {
  constexpr int looks = 12;
  const std::vector<std::string> names = bench::suspects(first);
  if (names.empty()) return first;
  if (!quiet) fmt::print(stderr, "{} rows look different: measured again by themselves, {} times each\n", names.size(), looks);
  args.suite.filter.clear();
  for (const std::string& name : names) {
    args.suite.filter += args.suite.filter.empty() ? "^(" : "|";
    for (const char c : name) {
      if (!std::isalnum(static_cast<unsigned char>(c)) && c != '/' && c != '_') args.suite.filter += '\\';
      args.suite.filter += c;
    }
  }
  args.suite.filter += ")$";
  args.suite.rounds = 8;
  args.suite.seconds = std::max(4.0, args.suite.seconds / (2 * looks));
  std::vector<bench::Series> samples[2];  // theirs, ours
  for (int look = 0; look < looks; ++look)
    for (const bool mine : {look % 2 == 0, look % 2 != 0}) {
      std::vector<bench::Series>& rows = samples[mine];
      for (const bench::Series& row : bench::series(run_other(mine ? self : args.against, args, true))) {
        if (row.values.empty()) continue;
        auto found = std::find_if(rows.begin(), rows.end(), [&](const bench::Series& s) { return s.name == row.name; });
        if (found == rows.end()) found = rows.insert(rows.end(), {row.name, row.group, {}});
        found->values.push_back(bench::quantile(row.values, 0));
      }
    }
  return bench::after_second_look(first, samples[0], samples[1]);
}

void write_record(const std::string& path, const ordered_json& record) {
  const std::string text = record.dump(1) + "\n";
  if (path == "-") {
    fmt::print("{}", text);
    return;
  }
  std::ofstream file(path);
  if (!(file << text << std::flush)) throw Error(ErrorKind::disk, fmt::format("cannot write {}", path));
}

void run(const Arguments& args, const Context& context) {
  const std::string json = args.json.empty() && context.json ? "-" : args.json;
  const std::string self = std::filesystem::read_symlink("/proc/self/exe");
  ordered_json old, record;
  if (!args.compare.empty()) old = bench::read_record(args.compare);  // before minutes are spent
  if (!args.against.empty()) {
    // Ours, theirs, ours, ...: what the machine does to one it does to the other. Both as programs of their own, so that neither has
    // a process that is warmer than the other's.
    Arguments part = args;
    part.suite.seconds = args.suite.seconds / 2 / args.turns;
    for (int turn = 0; turn < args.turns; ++turn) {
      const ordered_json ours = run_other(self, part, turn > 0), theirs = run_other(args.against, part, turn > 0);
      if (turn == 0) record = ours, old = theirs;
      else bench::append_samples(record, ours), bench::append_samples(old, theirs);
    }
  } else {
    bench::SuiteOptions options = args.suite;
    if (std::getenv(kAgain) != nullptr) options.checked = true, options.peers = options.renew_ceilings = false;
    bench::Suite suite(bench::op_table(), options);
    if (args.list) {
      for (const bench::Row& row : suite.rows()) fmt::print("{}\n", row.name);
      return;
    }
    if (suite.rows().empty()) throw Error(ErrorKind::usage, fmt::format("--filter '{}' matches no row: see 'doppel bench --list'", args.suite.filter));
    record = measure(suite, options, context.quiet);
  }

  bool slower = false;
  std::string report;
  if (!old.is_null()) {
    bench::Comparison comparison = bench::compare_runs(bench::series(old), bench::series(record));
    if (!args.against.empty()) comparison = look_again(comparison, self, args, context.quiet);
    record["compared"] = bench::to_json(comparison);
    report = bench::describe(comparison, old, record);
    for (const bench::Change& change : comparison.changes) slower |= change.verdict == bench::Verdict::slower;
  }
  if (!json.empty()) write_record(json, record);
  if (json != "-") fmt::print("{}{}{}", bench::table(record), report.empty() ? "" : "\n", report);
  else if (!report.empty()) fmt::print(stderr, "{}", report);
  for (const auto& row : record.at("rows"))
    if (row.contains("error") && row.at("peer").get<std::string>().empty() && !row.at("error").get<std::string>().starts_with("not measured"))
      throw Error(ErrorKind::failure, fmt::format("{}: {}", row.at("name").get<std::string>(), row.at("error").get<std::string>()));
  if (slower) throw Error(ErrorKind::failure, "a kernel got slower");
}

}  // namespace

void add_bench(CLI::App& app, Context& context) {
  CLI::App* command = app.add_subcommand(
      "bench",
      "Measure every kernel against the ceilings of this machine\n\n  doppel bench\n  doppel bench --filter 'adam|conv' --json new.json --compare old.json");
  const auto args = std::make_shared<Arguments>();
  command->add_option("--filter", args->suite.filter, "Rows whose name this regular expression matches; see --list")->type_name("REGEX");
  command->add_option("--json", args->json, "Write the record here, - for stdout instead of the table")->type_name("FILE");
  CLI::Option* compare =
      command->add_option("--compare", args->compare, "Say what changed since this record; exit code 1 where a kernel got slower")->type_name("OLD.json");
  command
      ->add_option("--against", args->against,
                   "Say what changed against another build: the two in turn, and once more what looks different. Surer than --compare, and slower")
      ->type_name("PROGRAM")
      ->excludes(compare);
  command->add_option("--turns", args->turns, "Times that each of the two runs with --against")->check(CLI::Range(1, 50));
  command->add_option("--device", args->suite.device, "auto (host, and GPU where there is one), cpu or cuda")->check(CLI::IsMember({"auto", "cpu", "cuda"}));
  command->add_option("--seconds", args->suite.seconds, "Time for all; more rounds fit into more, and smaller changes show")->check(CLI::PositiveNumber);
  command->add_option("--rounds", args->suite.rounds, "Rounds at most")->check(CLI::Range(1, 1000));
  command->add_flag("--all", args->suite.every_case, "The small shapes of the tests and the series of sizes too");
  command->add_flag("--list", args->list, "Only name the rows");
  command->callback([args, &context] {
    try {
      run(*args, context);
    } catch (const std::regex_error& error) {
      throw Error(ErrorKind::usage, fmt::format("--filter '{}' is not a regular expression: {}", args->suite.filter, error.what()));
    }
  });
}

#else

#include "kernels/error.h"

void add_bench(CLI::App& app, Context&) {
  CLI::App* command = app.add_subcommand("bench", "Measure every kernel against the ceilings of this machine (not in this build)");
  command->callback([] { throw kernels::Error(kernels::ErrorKind::usage, "this build has no benchmarks: configure it with -DDOPPEL_BENCH=ON"); });
}

#endif
