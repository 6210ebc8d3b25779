// doppel bench: every kernel against the ceilings of this machine, and against another
// build.
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
#include "faceswap/image.h"
#include "faceswap/progress.h"

namespace {

using faceswap::Error;
using faceswap::ErrorKind;
using nlohmann::ordered_json;

struct Arguments {
  bench::SuiteOptions suite;
  std::string json, compare, against;
  double detectable = 10;
  bool list = false, serve = false, force = false;
};

double now() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

// Runs as many rounds as fit; a round begins only if the longest one's time is left.
ordered_json measure(bench::Suite& suite, const bench::SuiteOptions& options, bool quiet) {
  const double begin = now();
  const ordered_json before = bench::machine_state();
  const bool progress = !quiet && isatty(STDERR_FILENO);
  double longest = 0;
  for (int round = 0; round < options.rounds && faceswap::stop_signal() == 0; ++round) {
    const double round_begin = now();
    // The first round also checks every row, which takes longer than the timing.
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

// Times every row of this build and of another in alternation.
void run_against(const Arguments& args, const std::string& json, bool quiet) {
  const auto command = [&](const std::string& program) {
    std::vector<std::string> words{program,           "bench",    "--serve",        "--filter",
                                   args.suite.filter, "--device", args.suite.device};
    if (args.suite.every_case) words.push_back("--all");
    return words;
  };
  bench::AbOptions options;
  options.seconds = args.suite.seconds;
  options.judge.detectable = args.detectable / 100;
  options.judge.smallest = 0.3 * options.judge.detectable;
  const ordered_json before = bench::machine_state();
  std::unique_ptr<faceswap::Progress> progress;
  int processes = -1;
  const bench::AbResult result = bench::run_ab(
      command(args.against), command(std::filesystem::read_symlink("/proc/self/exe")), options,
      [&](const bench::AbProgress& at) {
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
  if (result.rows.empty())
    throw Error(
        ErrorKind::usage,
        fmt::format("--filter '{}' matches no row of both builds: see 'doppel bench --list'",
                    args.suite.filter));
  if (!json.empty()) {
    ordered_json record = bench::to_json(result);
    record.update({{"machine", bench::describe_machine()},
                   {"before", before},
                   {"after", bench::machine_state()}});
    write_record(json, record);
  }
  fmt::print(json == "-" ? stderr : stdout, "{}", bench::describe(result, options.judge));
  bool slower = false;
  for (const bench::AbRow& row : result.rows) {
    slower |= row.judgement.verdict == bench::Verdict::slower;
    if (!row.error.empty())
      throw Error(ErrorKind::failure, fmt::format("{}: {}", row.name, row.error));
  }
  if (slower) throw Error(ErrorKind::failure, "a kernel got slower: see the rows above");
}

void run(const Arguments& args, const Context& context) {
  const std::string json = args.json.empty() && context.json ? "-" : args.json;
  if (!json.empty() && json != "-") {  // checked before minutes of measurement
    const std::filesystem::path folder = std::filesystem::absolute(json).parent_path();
    if (::access(folder.c_str(), W_OK) != 0)
      throw Error(ErrorKind::disk, fmt::format("cannot write {}: folder {} is missing or read-only",
                                               json, folder.string()));
    if (!args.force && std::filesystem::exists(json))
      throw Error(ErrorKind::usage,
                  fmt::format("{} exists: name another file, or add --force to replace it", json));
  }
  if (!args.against.empty()) return run_against(args, json, context.quiet);
  ordered_json old;
  if (!args.compare.empty()) old = bench::read_record(args.compare);
  bench::SuiteOptions options = args.suite;
  options.peers = !args.serve;
  bench::Suite suite(bench::cases::op_cases(), options);
  if (args.serve) return bench::serve(suite, stdin, stdout);
  if (args.list) {
    for (const bench::Row& row : suite.rows()) fmt::print("{}\n", row.name);
    return;
  }
  if (suite.rows().empty())
    throw Error(
        ErrorKind::usage,
        fmt::format("--filter '{}' matches no row: see 'doppel bench --list'", args.suite.filter));
  const ordered_json record = measure(suite, options, context.quiet);
  if (!json.empty()) write_record(json, record);
  if (json != "-") fmt::print("{}", bench::table(record));
  if (!old.is_null())
    fmt::print(json == "-" ? stderr : stdout, "\n{}", bench::compare(old, record));
  for (const auto& row : record.at("rows"))
    if (row.contains("error") && row.at("peer").get<std::string>().empty() &&
        !row.at("error").get<std::string>().starts_with("not measured"))
      throw Error(ErrorKind::failure, fmt::format("{}: {}", row.at("name").get<std::string>(),
                                                  row.at("error").get<std::string>()));
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
                   "Rows whose name matches this regular expression; see --list")
      ->type_name("REGEX");
  command->add_option("--json", args->json, "Write the record here, - for stdout without the table")
      ->type_name("FILE");
  command->add_flag("--force", args->force, "Replace the file of --json");
  CLI::Option* compare =
      command
          ->add_option("--compare", args->compare,
                       "Print ratios of shortest times to those of this record, without a "
                       "verdict: use --against to judge a change")
          ->type_name("OLD.json");
  CLI::Option* against =
      command
          ->add_option("--against", args->against,
                       "Time another build of doppel in alternation with this one and judge "
                       "every row; exit code 1 if a kernel got slower. The other build needs "
                       "'bench --against' too")
          ->type_name("PROGRAM")
          ->excludes(compare);
  command
      ->add_option("--detectable", args->detectable,
                   "With --against: the smallest change to detect. Half of it takes four times "
                   "as long")
      ->type_name("PERCENT")
      ->check(CLI::Range(1.0, 100.0))
      ->needs(against)
      ->capture_default_str();
  command
      ->add_option("--device", args->suite.device, "auto (host, and GPU if present), cpu or cuda")
      ->check(CLI::IsMember({"auto", "cpu", "cuda"}));
  CLI::Option* seconds =
      command
          ->add_option("--seconds", args->suite.seconds,
                       "Time of the whole run, which limits the rounds (default 150, with "
                       "--against at most 900)")
          ->check(CLI::PositiveNumber);
  command->add_option("--rounds", args->suite.rounds, "At most so many rounds")
      ->check(CLI::Range(1, 1000));
  command->add_flag("--all", args->suite.every_case,
                    "The tests' small shapes and the series of sizes too");
  command->add_flag("--serve", args->serve)->group("");  // see bench/ab/ab.h
  command->add_flag("--list", args->list, "Print the names of the rows and end");
  command->callback([args, seconds, &context] {
    // Ctrl-C ends the run with the rows so far. It reaches the children too; they
    // ignore it until their input ends.
    faceswap::install_stop_handlers();
    if (!args->against.empty() && seconds->count() == 0)
      args->suite.seconds = bench::AbOptions{}.seconds;
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
