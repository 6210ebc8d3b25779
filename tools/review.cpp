// doppel review: a page in the browser on which a person cleans face sets.
#include "tools/command.h"

#if DOPPEL_REVIEW
#include <spawn.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <memory>
#include <vector>

#include "faceswap/progress.h"
#include "faceswap/review/server.h"

extern char** environ;

namespace {

struct Arguments {
  std::vector<std::filesystem::path> folders;
  int port = 0;
  bool open = true;
};

bool has_display() {
  return isatty(STDOUT_FILENO) &&
         (std::getenv("DISPLAY") != nullptr || std::getenv("WAYLAND_DISPLAY") != nullptr);
}

// Best effort: the address is printed in any case.
void open_browser(std::string address) {
  std::string program = "xdg-open";
  char* const arguments[] = {program.data(), address.data(), nullptr};
  pid_t child;
  posix_spawnp(&child, program.c_str(), nullptr, nullptr, arguments, environ);
}

void review(const Arguments& args, const Context& context) {
  faceswap::install_stop_handlers();
  faceswap::ReviewServer server(args.folders, args.port);
  if (context.json) print_json({{"address", server.address()}});
  else fmt::print("{}\n", server.address());
  std::fflush(stdout);
  if (!context.quiet)
    fmt::print(stderr, "Open the address in a browser of this computer. Ctrl-C or Done ends.\n");
  if (args.open && has_display()) open_browser(server.address());
  constexpr std::chrono::milliseconds kPoll{100};
  while (faceswap::stop_signal() == 0 && !server.done_within(kPoll)) {}
}
}  // namespace

void add_review(CLI::App& app, Context& context) {
  CLI::App* command = app.add_subcommand(
      "review",
      "Clean face sets on a page in the browser\n\n"
      "  doppel review faces/anna faces/bert\n\n"
      "People are rows, faces are tiles, the doubtful first. Drop, keep, move and name them\n"
      "by keys (? lists them); every step can be undone. No picture is touched: decisions go\n"
      "into FACES/decisions.jsonl, which training honours. The page is for this computer alone.");
  const auto args = std::make_shared<Arguments>();
  const OptionAdder add(command);
  add.required("folders", args->folders, "FACES", "Folders of extracted faces, a tab each");
  add("--port", args->port, "Port of the page; 0: a free one")->check(CLI::Range(0, 65535));
  command->add_flag("!--no-open", args->open,
                    "Print the address only, as is done without a terminal or a display");
  command->callback([args, &context] { review(*args, context); });
}

#else

#include "faceswap/image.h"

void add_review(CLI::App& app, Context&) {
  CLI::App* command =
      app.add_subcommand("review", "Clean face sets on a page in the browser (not in this build)");
  command->callback([] {
    throw faceswap::Error(faceswap::ErrorKind::usage,
                          "this build has no review page: configure it with -DDOPPEL_REVIEW=ON");
  });
}

#endif
