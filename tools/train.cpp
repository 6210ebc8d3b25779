#include <fmt/format.h>

#include <memory>
#include <nlohmann/json.hpp>

#include "faceswap/progress.h"
#include "faceswap/train/trainer.h"
#include "tools/command.h"

namespace {

std::string model_help() {
  std::string text = "Model:";
  for (const faceswap::ModelInfo& info : faceswap::model_list())
    text += fmt::format("\n  {}: {}", info.name, info.summary);
  return text;
}

// Memory of a training that has not begun.
void print_forecast(const faceswap::TrainOptions& options, bool json) {
  const faceswap::MemoryReport report = faceswap::report_memory(options);
  const faceswap::MemoryForecast& f = report.forecast;
  if (json) {
    fmt::print("{}\n", nlohmann::ordered_json{{"model", options.model},
                                              {"device", kernels::name(report.device)},
                                              {"precision", nn::name(report.dtype)},
                                              {"batch", f.batch},
                                              {"micro_batches", f.micro_batches},
                                              {"parameter_count", f.parameter_count},
                                              {"parameters", f.parameters},
                                              {"gradients", f.gradients},
                                              {"optimizer", f.optimizer},
                                              {"activations", f.activations},
                                              {"workspace", f.workspace},
                                              {"data_set", f.data_set},
                                              {"launches", f.launches},
                                              {"total", f.total()},
                                              {"available", report.available},
                                              {"largest_batch", report.largest_batch}}
                           .dump(2));
    return;
  }
  const auto row = [](const char* what, std::size_t bytes, const std::string& note) {
    fmt::print("  {:<12} {:>9.1f} MiB  {}\n", what, static_cast<double>(bytes) / (1 << 20), note);
  };
  fmt::print("{} on the {}, {}, {} faces a side{}:\n", options.model, kernels::name(report.device),
             nn::name(report.dtype), f.batch,
             f.micro_batches > 1 ? fmt::format(" in {} micro-batches", f.micro_batches) : "");
  row("parameters", f.parameters,
      fmt::format("{:.1f} M", static_cast<double>(f.parameter_count) / 1e6));
  row("gradients", f.gradients, "");
  row("optimizer", f.optimizer, "Adam's two moments");
  row("activations", f.activations, "grow with the batch");
  row("workspace", f.workspace, "of the convolution and matrix libraries, at most");
  row("data set", f.data_set,
      fmt::format("{} faces of A, {} of B", report.faces[0], report.faces[1]));
  row("together", f.total(), "");
  row("available", report.available, "");
  fmt::print("A step is {} launches: kernels, convolutions, matrix products.\n", f.launches);
  fmt::print("The largest batch that fits is {} faces a side{}.\n", report.largest_batch,
             report.largest_batch == faceswap::kLargestBatch ? " (more is never taken)" : "");
  if (f.micro_batches > options.micro_batches)
    fmt::print("A batch of {} goes through the network in {} micro-batches.\n", f.batch,
               f.micro_batches);
}

}  // namespace

void add_train(CLI::App& app, Context& context) {
  CLI::App* command = app.add_subcommand(
      "train",
      "Train a model on the faces of two people, or go on training one\n\n  doppel train -A "
      "faces/anna -B faces/bert -m model\n\n"
      "Stop with Ctrl-C: the model is saved, and the same command goes on from there.");
  const auto options = std::make_shared<faceswap::TrainOptions>();
  command->add_option("-A,--faces-a", options->faces_a, "Folder with the faces of person A")
      ->required()
      ->type_name("FACES_A");
  command->add_option("-B,--faces-b", options->faces_b, "Folder with the faces of person B")
      ->required()
      ->type_name("FACES_B");
  command
      ->add_option("-m,--model-dir", options->model_dir,
                   "Folder of the model: checkpoint, preview.png, losses.csv")
      ->required()
      ->type_name("MODEL_DIR");
  command->add_option("--model", options->model, model_help());
  command->add_option("--steps", options->steps, "Train until this step; 0: until stopped")
      ->check(CLI::NonNegativeNumber);
  command->add_option("--hours", options->hours, "Stop after this long; 0: no limit")
      ->check(CLI::NonNegativeNumber);
  const auto batch = std::make_shared<std::string>("16");
  command
      ->add_option("--batch", *batch,
                   "Faces a side in each step; auto: as many as fit into memory, at most " +
                       std::to_string(faceswap::kLargestBatch))
      ->check(
          [](const std::string& text) {
            return text == "auto" ? std::string() : CLI::Range(1, 1024)(text);
          },
          "1..1024 or auto", "batch");
  command
      ->add_option("--micro-batches", options->micro_batches,
                   "Send each batch through the network in so many micro-batches: less memory, the "
                   "same gradients")
      ->check(CLI::Range(1, 1024));
  command->add_option("--parts", options->micro_batches)->check(CLI::Range(1, 1024))->group("");
  const auto dry_run = std::make_shared<bool>(false);
  command->add_flag("--dry-run", *dry_run,
                    "Only say how much memory the training takes and which batch fits");
  command->add_option("--seed", options->seed, "Of everything random");
  command->add_option("--device", options->device, "auto, cpu or cuda")
      ->check(CLI::IsMember({"auto", "cpu", "cuda"}));
  command
      ->add_option(
          "--precision", options->precision,
          "auto (bf16 on the GPU, f16 on one older than 8.0, f32 on the CPU), f32, tf32 (float "
          "whose products a GPU rounds to 10 bits: faster), bf16, or f16 (with a scaled loss)")
      ->check(CLI::IsMember({"auto", "f32", "tf32", "bf16", "f16"}));
  command->add_option("--learning-rate", options->learning_rate, "Of Adam; 0: what suits the model")
      ->check(CLI::NonNegativeNumber);
  command
      ->add_option("--final-learning-rate", options->final_learning_rate,
                   "Let the rate fall to this along a cosine over --steps; 0: keep it constant")
      ->check(CLI::NonNegativeNumber);
  command
      ->add_option("--clip-norm", options->clip_norm,
                   "Largest norm of the gradient; 0: no clipping")
      ->check(CLI::NonNegativeNumber);
  command
      ->add_option("--dssim", options->loss.dssim, "Weight of the structural loss (1 - SSIM) / 2")
      ->check(CLI::NonNegativeNumber);
  command->add_option("--mse", options->loss.mse, "Weight of the squared error")
      ->check(CLI::NonNegativeNumber);
  command->add_option("--mae", options->loss.mae, "Weight of the absolute error")
      ->check(CLI::NonNegativeNumber);
  command->add_option("--save-every", options->save_every_seconds, "Seconds between two saves")
      ->check(CLI::PositiveNumber);
  command
      ->add_option("--preview-every", options->preview_every,
                   "Steps between two previews; 0: only at the end")
      ->check(CLI::NonNegativeNumber);
  command
      ->add_option("--warp", options->augment.warp,
                   "Random distortion of the input, share of the view; 0: none (for the last hours "
                   "of a long training)")
      ->check(CLI::Range(0.0, 0.1));
  command->add_option("--zoom", options->augment.zoom, "Random zoom, +- share")
      ->check(CLI::Range(0.0, 0.3));
  command->add_option("--rotation", options->augment.rotation, "Random rotation, +- degrees")
      ->check(CLI::Range(0.0, 45.0));
  command->add_option("--shift", options->augment.shift, "Random shift, +- share of the view")
      ->check(CLI::Range(0.0, 0.3));
  command->add_option("--flip", options->augment.flip, "Chance of mirroring a face")
      ->check(CLI::Range(0.0, 1.0));
  command
      ->add_option("--lightness", options->augment.lightness,
                   "Random change of lightness, +- share")
      ->check(CLI::Range(0.0, 1.0));
  command->add_option("--chroma", options->augment.chroma, "Random change of colour, +- share")
      ->check(CLI::Range(0.0, 1.0));
  command->add_flag("--force", options->force,
                    "Begin anew where a model exists (the old file stays as .prev)");
  command->callback([options, batch, dry_run, &context] {
    options->batch = *batch == "auto" ? 0 : std::stoi(*batch);
    options->quiet = context.quiet;
    if (*dry_run) return print_forecast(*options, context.json);
    faceswap::install_stop_handlers();
    faceswap::Trainer trainer(*options);
    if (!context.quiet)
      fmt::print(stderr, "{} {}: {:.1f} M parameters, step {}\n",
                 trainer.resumed() ? "going on with" : "beginning", trainer.model().name(),
                 static_cast<double>(trainer.model().arena().count()) / 1e6, trainer.state().step);
    trainer.run();
    const nn::StepState state = trainer.state();
    const bool any = !trainer.history().empty();
    const float a = any ? trainer.history().back().a : 0, b = any ? trainer.history().back().b : 0;
    const std::filesystem::path file = options->model_dir / faceswap::kModelFile;
    if (context.json) {
      fmt::print("{}\n", nlohmann::ordered_json{{"model", file.string()},
                                                {"step", state.step},
                                                {"loss_a", a},
                                                {"loss_b", b},
                                                {"skipped_steps", state.skipped},
                                                {"stopped_by_signal", faceswap::stop_signal()}}
                             .dump(2));
      return;
    }
    fmt::print("step {}, loss A {:.4f}, loss B {:.4f}: saved {}, look at {}\n", state.step, a, b,
               file.string(), (options->model_dir / "preview.png").string());
    if (faceswap::stop_signal() != 0)
      fmt::print(stderr, "stopped; go on with: {}\n", context.command_line);
  });
}
