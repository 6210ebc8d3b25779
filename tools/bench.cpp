// doppel bench: every kernel against the ceilings of this machine, in one table; and whether a change made any of them slower.
#include "tools/command.h"

#if DOPPEL_HAS_BENCH
#include <fmt/format.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <memory>

#include "bench/ab/ab.h"
#include "bench/report/report.h"
#include "bench/suite/machine.h"
#include "bench/suite/suite.h"
#include "bench/suite/table.h"
#include "faceswap/image.h"
#include "faceswap/progress.h"

namespace {

using faceswap::Error;
using faceswap::ErrorKind;
using nlohmann::ordered_json;

struct Arguments {
  bench::SuiteOptions suite;
  std::string json, compare, against;
  double find = 10;
  bool list = false, serve = false, force = false;
};

double now() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

// As many rounds as fit: a round is begun only if the last one's length is left.
ordered_json measure(bench::Suite& suite, const bench::SuiteOptions& options, bool quiet) {
  const double begin = now();
  const ordered_json before = bench::machine_state();
  const bool progress = !quiet && isatty(STDERR_FILENO);
  double longest = 0;
  for (int round = 0; round < options.rounds && faceswap::stop_signal() == 0; ++round) {
    const double round_begin = now();
    // The first round checks every row, which takes longer than the timing.
    if (round > 0 && round_begin - begin + (round == 1 ? 0.3 * longest : longest) > options.seconds)
      break;
    suite.round([&](std::size_t i) {
      if (progress && i % 4 == 0)
        fmt::print(stderr, "\rround {} of at most {}, row {} of {}, {:.0f} s ", round + 1,
                   options.rounds, i + 1, suite.rows().size(), now() - begin);
      return faceswap::stop_signal() == 0;
    });
    longest = now() - round_begin;
  }
  if (progress) fmt::print(stderr, "\r{:70}\r", "");
  return bench::to_json(suite, before, bench::machine_state());
}

void write_record(const std::string& path, const ordered_json& record) {
  const std::string text = record.dump(1) + "\n";
  if (path == "-") {
    fmt::print("{}", text);
    return;
  }
  std::ofstream file(path);
  if (!(file << text << std::flush))
    throw Error(ErrorKind::disk, fmt::format("cannot write {}", path));
}

// Every row of this program and of another, in turn.
void run_turns(const Arguments& args, const std::string& json, bool quiet) {
  const auto command = [&](const std::string& program) {
    std::vector<std::string> words{program,           "bench",    "--serve",        "--filter",
                                   args.suite.filter, "--device", args.suite.device};
    if (args.suite.every_case) words.push_back("--all");
    return words;
  };
  bench::TurnOptions options;
  options.seconds = args.suite.seconds;
  options.judge.find = args.find / 100;
  options.judge.smallest = 0.3 * options.judge.find;
  const ordered_json before = bench::machine_state();
  std::unique_ptr<faceswap::Progress> progress;
  int processes = -1;
  const bench::Turns turns = bench::take_turns(
      command(args.against), command(std::filesystem::read_symlink("/proc/self/exe")), options,
      [&](const bench::TurnState& at) {
        if (at.processes != processes) {
          processes = at.processes;
          progress = std::make_unique<faceswap::Progress>(
              fmt::format("pass {} of at most {}", processes + 1, options.judge.most_processes),
              static_cast<std::int64_t>(at.rows), quiet);
        }
        progress->update(static_cast<std::int64_t>(at.row));
        return faceswap::stop_signal() == 0;
      });
  progress.reset();
  if (turns.rows.empty())
    throw Error(
        ErrorKind::usage,
        fmt::format("--filter '{}' matches no row that both have: see 'doppel bench --list'",
                    args.suite.filter));
  if (!json.empty()) {
    ordered_json record = bench::to_json(turns);
    record.update({{"machine", bench::describe_machine()},
                   {"before", before},
                   {"after", bench::machine_state()}});
    write_record(json, record);
  }
  fmt::print(json == "-" ? stderr : stdout, "{}", bench::describe(turns, options.judge));
  for (const bench::TurnRow& row : turns.rows)
    if (!row.error.empty())
      throw Error(ErrorKind::failure, fmt::format("{}: {}", row.name, row.error));
  for (const bench::TurnRow& row : turns.rows)
    if (row.judgement.verdict == bench::Verdict::slower)
      throw Error(ErrorKind::failure, "a kernel got slower");
}

void run(const Arguments& args, const Context& context) {
  const std::string json = args.json.empty() && context.json ? "-" : args.json;
  if (!json.empty() && json != "-") {  // before minutes are spent
    const std::filesystem::path folder = std::filesystem::absolute(json).parent_path();
    if (::access(folder.c_str(), W_OK) != 0)
      throw Error(ErrorKind::disk,
                  fmt::format("cannot write {}: no folder {} that can be written to", json,
                              folder.string()));
    if (!args.force && std::filesystem::exists(json))
      throw Error(ErrorKind::usage,
                  fmt::format("{} exists: name another file, or add --force to replace it", json));
  }
  if (!args.against.empty()) return run_turns(args, json, context.quiet);
  ordered_json old;
  if (!args.compare.empty()) old = bench::read_record(args.compare);
  bench::SuiteOptions options = args.suite;
  options.peers = !args.serve;
  bench::Suite suite(bench::op_table(), options);
  if (args.serve) return bench::serve_turns(suite, stdin, stdout);
  if (args.list) {
    for (const bench::Row& row : suite.rows()) fmt::print("{}\n", row.name);
    return;
  }
  if (suite.rows().empty())
    throw Error(
        ErrorKind::usage,
        fmt::format("--filter '{}' matches no row: see 'doppel bench --list'", args.suite.filter));
  ordered_json record = measure(suite, options, context.quiet);

  bool slower = false;
  std::string report;
  if (!old.is_null()) {
    const bench::Comparison comparison =
        bench::compare_runs(bench::series(old), bench::series(record));
    record["compared"] = bench::to_json(comparison);
    report = bench::describe(comparison, old, record);
    for (const bench::Change& change : comparison.changes)
      slower |= change.verdict == bench::Verdict::slower;
  }
  if (!json.empty()) write_record(json, record);
  if (json != "-") fmt::print("{}{}{}", bench::table(record), report.empty() ? "" : "\n", report);
  else if (!report.empty()) fmt::print(stderr, "{}", report);
  for (const auto& row : record.at("rows"))
    if (row.contains("error") && row.at("peer").get<std::string>().empty() &&
        !row.at("error").get<std::string>().starts_with("not measured"))
      throw Error(ErrorKind::failure, fmt::format("{}: {}", row.at("name").get<std::string>(),
                                                  row.at("error").get<std::string>()));
  if (slower) throw Error(ErrorKind::failure, "a kernel got slower");
}

}  // namespace

void add_bench(CLI::App& app, Context& context) {
  CLI::App* command = app.add_subcommand(
      "bench",
      "Measure every kernel against the ceilings of this machine\n\n  doppel bench\n  doppel bench "
      "--filter 'adam|conv' --json new.json --compare old.json\n"
      "  doppel bench --against ../before/build/release/tools/doppel");
  const auto args = std::make_shared<Arguments>();
  command
      ->add_option("--filter", args->suite.filter,
                   "Rows whose name this regular expression matches; see --list")
      ->type_name("REGEX");
  command
      ->add_option("--json", args->json, "Write the record here, - for stdout instead of the table")
      ->type_name("FILE");
  command->add_flag("--force", args->force, "Replace the file of --json where it exists");
  CLI::Option* compare =
      command
          ->add_option("--compare", args->compare,
                       "Say what changed since this record; exit code 1 where a kernel got slower")
          ->type_name("OLD.json");
  CLI::Option* against =
      command
          ->add_option("--against", args->against,
                       "Say what changed against another build, measured in turn with this one. "
                       "Much surer than --compare; exit code 1 as there")
          ->type_name("PROGRAM")
          ->excludes(compare);
  command
      ->add_option("--find", args->find,
                   "With --against: the change to look for. Half as much takes four times as long")
      ->type_name("PERCENT")
      ->check(CLI::Range(1.0, 100.0))
      ->needs(against)
      ->capture_default_str();
  command
      ->add_option("--device", args->suite.device,
                   "auto (host, and GPU where there is one), cpu or cuda")
      ->check(CLI::IsMember({"auto", "cpu", "cuda"}));
  CLI::Option* seconds =
      command
          ->add_option("--seconds", args->suite.seconds,
                       "Time for all: more rounds fit into more, and smaller changes show. With "
                       "--against at most, and 900 by default")
          ->check(CLI::PositiveNumber);
  command->add_option("--rounds", args->suite.rounds, "Rounds at most")->check(CLI::Range(1, 1000));
  command->add_flag("--all", args->suite.every_case,
                    "The small shapes of the tests and the series of sizes too");
  command->add_flag("--serve", args->serve)->group("");  // see bench/ab/ab.h
  command->add_flag("--list", args->list, "Only name the rows");
  command->callback([args, seconds, &context] {
    faceswap::
        install_stop_handlers();  // Ctrl-C ends it with what was seen so far; it reaches the children too, who go on until they are told
    if (!args->against.empty() && seconds->count() == 0)
      args->suite.seconds = bench::TurnOptions{}.seconds;
    try {
      run(*args, context);
    } catch (const std::regex_error& error) {
      throw Error(ErrorKind::usage, fmt::format("--filter '{}' is not a regular expression: {}",
                                                args->suite.filter, error.what()));
    }
  });
}

#else

#include "faceswap/image.h"

void add_bench(CLI::App& app, Context&) {
  CLI::App* command = app.add_subcommand(
      "bench", "Measure every kernel against the ceilings of this machine (not in this build)");
  command->callback([] {
    throw faceswap::Error(faceswap::ErrorKind::usage,
                          "this build has no benchmarks: configure it with -DDOPPEL_BENCH=ON");
  });
}

#endif
