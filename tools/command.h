// What the commands share. Each file tools/<command>.cpp adds one subcommand: its flags and a callback that calls faceswap.
#pragma once
#include <CLI/CLI.hpp>
#include <string>

struct Context {
  bool json = false;   // machine-readable results on stdout
  bool quiet = false;  // no progress
  std::string command_line;
};

void add_extract(CLI::App& app, Context& context);
void add_train(CLI::App& app, Context& context);
void add_convert(CLI::App& app, Context& context);
void add_demo(CLI::App& app, Context& context);
void add_synth(CLI::App& app, Context& context);
void add_inspect(CLI::App& app, Context& context);
void add_doctor(CLI::App& app, Context& context);
void add_bench(CLI::App& app, Context& context);
