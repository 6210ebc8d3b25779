#include "faceswap/system_report.h"
#include "tools/command.h"

void add_doctor(CLI::App& app, Context& context) {
  CLI::App* command = app.add_subcommand(
      "doctor", "Report the abilities of this machine and this build, and why one is not used");
  command->callback([&context] {
    const std::vector<faceswap::Finding> findings = faceswap::examine_system();
    if (context.json) {
      nlohmann::ordered_json json;
      for (const faceswap::Finding& f : findings)
        json[f.key] = {{"ok", f.ok}, {"value", f.value}, {"advice", f.advice}};
      return print_json(json);
    }
    for (const faceswap::Finding& f : findings) {
      fmt::print("{:3} {:18} {}\n", f.ok ? "ok" : "--", f.key, f.value);
      if (!f.advice.empty()) fmt::print("    {:18} {}\n", "", f.advice);
    }
  });
}
