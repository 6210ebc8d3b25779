#include "faceswap/demo.h"

#include <fmt/format.h>

#include <fstream>
#include <iostream>
#include <memory>

#include "faceswap/models/model.h"
#include "faceswap/progress.h"
#include "tools/command.h"

void add_demo(CLI::App& app, Context& context) {
  CLI::App* command =
      app.add_subcommand("demo",
                         "Render two synthetic people, extract, train, convert one into the other, "
                         "and measure the swap\n\n  doppel demo -o demo");
  const auto options = std::make_shared<faceswap::DemoOptions>();
  command->add_option("-o,--out", options->out, "Folder for everything")->type_name("DIR");
  command->add_option("--steps", options->steps, "Training steps; 0: what the demo is tuned for")
      ->check(CLI::NonNegativeNumber);
  command->add_option("--frames", options->frames, "Frames of each clip")
      ->check(CLI::Range(20, 5000));
  command->add_option("--model", options->model, "See doppel train --help");
  command->add_option("--device", options->device, "auto, cpu or cuda")
      ->check(CLI::IsMember({"auto", "cpu", "cuda"}));
  command->add_option("--seed", options->seed, "Of everything random in training");
  command->add_flag("--force", options->force, "Write into a folder that holds an earlier demo");
  command->callback([options, &context] {
    faceswap::install_stop_handlers();
    options->quiet = context.quiet;
    const faceswap::DemoReport r = faceswap::run_demo(*options);
    if (faceswap::stop_signal() != 0) return;
    if (context.json) {
      std::ifstream report(r.report);
      std::cout << report.rdbuf();
      return;
    }
    fmt::print("\nInside the face, against the true swap ({} frames):\n", r.swap.frames);
    fmt::print(
        "                     SSIM (higher is better)   colour difference (lower is better)\n");
    fmt::print("  swapped            {:.3f}                     {:.2f}\n", r.swap.ssim,
               r.swap.delta_e);
    fmt::print("  not swapped        {:.3f}                     {:.2f}\n", r.unswapped.ssim,
               r.unswapped.delta_e);
    fmt::print("  mean face          {:.3f}                     {:.2f}\n", r.mean_face.ssim,
               r.mean_face.delta_e);
    fmt::print(
        "\n  swapped video    {}\n  preview          {}\n  quality report   {}\n  took             "
        "{:.0f} s, of which training {:.0f} s\n",
        r.video.string(), r.preview.string(), r.report.string(), r.seconds, r.train_seconds);
  });
}
