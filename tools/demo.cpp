#include "faceswap/demo.h"

#include <fstream>
#include <iostream>
#include <memory>

#include "faceswap/progress.h"
#include "tools/command.h"

namespace {

void demo(const faceswap::DemoOptions& options, bool json) {
  faceswap::install_stop_handlers();
  const faceswap::DemoReport r = faceswap::run_demo(options);
  if (faceswap::stop_signal() != 0) return;
  if (json) {
    std::cout << std::ifstream(r.report).rdbuf();
    return;
  }
  fmt::print("\nInside the face, against the true swap ({} frames):\n", r.swap.frames);
  fmt::print(
      "                     SSIM (higher is better)   colour difference (lower is better)\n");
  const auto row = [](const char* what, const faceswap::SwapQuality& quality) {
    fmt::print("  {:<18} {:.3f}                     {:.2f}\n", what, quality.ssim, quality.delta_e);
  };
  row("swapped", r.swap);
  row("not swapped", r.unswapped);
  row("mean face", r.mean_face);
  fmt::print("\n  swapped video    {}\n  preview          {}\n  quality report   {}\n",
             r.video.string(), r.preview.string(), r.report.string());
  fmt::print("  took             {:.0f} s, of which training {:.0f} s\n", r.seconds,
             r.train_seconds);
}
}  // namespace

void add_demo(CLI::App& app, Context& context) {
  CLI::App* command = app.add_subcommand(
      "demo",
      "Render two synthetic people, extract, train, convert one into the other, and measure the "
      "swap\n\n  doppel demo -o demo");
  const auto options = std::make_shared<faceswap::DemoOptions>();
  const OptionAdder add(command);
  add("-o,--out", options->out, "Folder for everything")->type_name("DIR");
  add("--steps", options->steps, "Training steps; 0: the demo's own number")
      ->check(CLI::NonNegativeNumber);
  add("--frames", options->frames, "Frames of each clip")->check(CLI::Range(20, 5000));
  add("--model", options->model, "See doppel train --help");
  add.device(options->device);
  add("--seed", options->seed, "Of all random numbers in training");
  command->add_flag("--force", options->force, "Write into a folder that holds an earlier demo");
  command->callback([options, &context] {
    options->quiet = context.quiet;
    demo(*options, context.json);
  });
}
