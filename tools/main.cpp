// doppel: one program, one command per job. Results go to stdout, everything else to
// stderr; the exit codes are faceswap::ErrorKind's.
#include <algorithm>
#include <csignal>
#include <new>
#include <vector>

#include "faceswap/image.h"
#include "faceswap/progress.h"
#include "faceswap/system_report.h"
#include "tools/command.h"

namespace {

constexpr const char* kAbout =
    R"(doppel trains a shared encoder and one decoder per person, and swaps faces with them.

  doppel demo                               all steps on synthetic people, minutes on a laptop
  doppel extract anna.mp4 -o faces/anna     faces out of a clip
  doppel review faces/anna faces/bert       keep one person in each, in the browser
  doppel faces coverage faces/anna          say which poses and light are missing
  doppel train -A faces/anna -B faces/bert -m model
  doppel convert anna.mp4 -m model -o swapped.mp4

Get the consent of the people shown. The output of convert is marked as synthetic.)";

constexpr const char* kExitCodes =
    R"(Exit codes: 0 ok, 1 failure, 2 usage, 3 input unreadable, 4 checkpoint or face data damaged,
5 nothing found, 6 device unavailable, 7 out of memory, 8 disk, 9 stopped by the NaN guard,
128+N stopped by signal N after saving.)";

// Levenshtein distance, for "did you mean".
std::size_t distance(const std::string& a, const std::string& b) {
  std::vector<std::size_t> row(b.size() + 1);
  for (std::size_t j = 0; j <= b.size(); ++j) row[j] = j;
  for (std::size_t i = 1; i <= a.size(); ++i) {
    std::size_t diagonal = row[0];
    row[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t substitution = diagonal + (a[i - 1] != b[j - 1]);
      diagonal = row[j];
      row[j] = std::min({row[j] + 1, row[j - 1] + 1, substitution});
    }
  }
  return row.back();
}

// The command nearest to the word, or nothing.
std::string did_you_mean(const CLI::App& app, const std::string& word) {
  const std::vector<const CLI::App*> commands = app.get_subcommands({});
  const auto far = [&](const CLI::App* command) { return distance(word, command->get_name()); };
  const CLI::App* best = *std::min_element(commands.begin(), commands.end(),
                                           [&](auto* a, auto* b) { return far(a) < far(b); });
  return far(best) < 3 ? best->get_name() : "";
}

// An empty list is no default worth showing.
void tidy_help(CLI::App& app) {
  for (CLI::Option* option : app.get_options())
    if (option->get_default_str() == "[]") option->default_str("");
  for (CLI::App* command : app.get_subcommands({})) tidy_help(*command);
}

int run(int argc, char** argv) {
  CLI::App app{kAbout, "doppel"};
  app.footer(kExitCodes);
  app.set_version_flag("--version", std::string("doppel ") + DOPPEL_VERSION);
  app.require_subcommand(1);
  app.fallthrough();
  app.option_defaults()->always_capture_default();
  Context context;
  app.add_flag("--json", context.json, "Print the result as JSON on stdout");
  app.add_flag("-q,--quiet", context.quiet, "No progress on stderr");
  app.add_option_function<int>("--gpu", faceswap::select_gpu,
                               "Number of the GPU, as nvidia-smi counts; 0 by default")
      ->check(CLI::Range(0, 1023))
      ->trigger_on_parse();
  for (int i = 0; i < argc; ++i) context.command_line += fmt::format("{}{}", i ? " " : "", argv[i]);
  add_extract(app, context);
  add_review(app, context);
  add_faces(app, context);
  add_train(app, context);
  add_convert(app, context);
  add_demo(app, context);
  add_synth(app, context);
  add_inspect(app, context);
  add_doctor(app, context);
  add_bench(app, context);
  tidy_help(app);

  if (argc == 1) {
    fmt::print("{}", app.help());
    return 2;
  }
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    if (error.get_exit_code() == static_cast<int>(CLI::ExitCodes::Success))
      return app.exit(error);  // --help, --version
    const std::string first = argv[1], guess = did_you_mean(app, first);
    if (first.starts_with('-'))
      fmt::print(stderr, "doppel: {}\nSee 'doppel --help'.\n", error.what());
    else if (guess == first)
      fmt::print(stderr, "doppel: {}\nSee 'doppel {} --help'.\n", error.what(), first);
    else
      fmt::print(stderr, "doppel: there is no command '{}'{}\nSee 'doppel --help'.\n", first,
                 guess.empty() ? "" : fmt::format(": did you mean '{}'?", guess));
    return static_cast<int>(faceswap::ErrorKind::usage);
  }
  return faceswap::stop_signal() != 0 ? 128 + faceswap::stop_signal() : 0;
}
}  // namespace

int main(int argc, char** argv) {
  std::signal(SIGPIPE, SIG_IGN);
  std::signal(SIGXFSZ, SIG_IGN);  // a file over the size limit becomes a write error
  try {
    return run(argc, argv);
  } catch (const faceswap::Error& error) {
    fmt::print(stderr, "doppel: {}\n", error.what());
    return static_cast<int>(error.kind());
  } catch (const std::bad_alloc&) {
    fmt::print(stderr, "doppel: out of memory: try a smaller --batch or a smaller model\n");
    return static_cast<int>(faceswap::ErrorKind::memory);
  } catch (const std::exception& error) {
    fmt::print(stderr, "doppel: {}\n", error.what());
    return static_cast<int>(faceswap::ErrorKind::failure);
  }
}
