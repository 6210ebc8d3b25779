#include <memory>

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

void print_memory(const faceswap::TrainingPlan& plan, int micro_batches) {
  const faceswap::MemoryForecast& f = plan.forecast;
  const auto row = [](const char* what, std::size_t bytes, const std::string& note) {
    fmt::print("  {:<12} {:>9.1f} MiB  {}\n", what, static_cast<double>(bytes) / (1 << 20), note);
  };
  fmt::print("{} on the {}, {}, batch of {} per person{}:\n", plan.options.model,
             kernels::name(plan.device), nn::name(plan.dtype), f.batch,
             f.micro_batches > 1 ? fmt::format(" in {} micro-batches", f.micro_batches) : "");
  row("parameters", f.parameters,
      fmt::format("{:.1f} M", static_cast<double>(f.parameter_count) / 1e6));
  row("gradients", f.gradients, "");
  row("optimizer", f.optimizer, "Adam's two moments");
  row("activations", f.activations, "grow with the batch");
  row("workspace", f.workspace, "of the convolution and matrix libraries, at most");
  row("data set", f.data_set, fmt::format("{} faces of A, {} of B", plan.faces[0], plan.faces[1]));
  row("together", f.total(), "");
  row("available", plan.available, "");
  fmt::print("A step is {} launches: kernels, convolutions, matrix products.\n", f.launches);
  fmt::print("The largest batch that fits is {} per person{}.\n", plan.largest_batch,
             plan.largest_batch == faceswap::kLargestBatch ? " (more is never taken)" : "");
  if (f.micro_batches > micro_batches)
    fmt::print("A batch of {} goes through the network in {} micro-batches.\n", f.batch,
               f.micro_batches);
}

void dry_run(const faceswap::TrainOptions& options, bool json) {
  const faceswap::TrainingPlan plan = faceswap::make_plan(options, /*dry_run=*/true);
  if (!json) return print_memory(plan, options.micro_batches);
  const faceswap::MemoryForecast& f = plan.forecast;
  print_json({{"model", options.model},
              {"device", kernels::name(plan.device)},
              {"precision", nn::name(plan.dtype)},
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
              {"available", plan.available},
              {"largest_batch", plan.largest_batch}});
}

void train(const faceswap::TrainOptions& options, const Context& context) {
  faceswap::install_stop_handlers();
  faceswap::Trainer trainer(faceswap::make_plan(options));
  if (!context.quiet)
    fmt::print(stderr, "{} {}: {:.1f} M parameters, step {}\n",
               trainer.resumed() ? "going on with" : "beginning", trainer.model().name(),
               static_cast<double>(trainer.model().arena().count()) / 1e6, trainer.state().step);
  trainer.run();
  const nn::StepState state = trainer.state();
  const faceswap::StepLosses last =
      trainer.history().empty() ? faceswap::StepLosses{} : trainer.history().back();
  const std::string file = (options.model_dir / faceswap::kModelFile).string();
  if (context.json)
    return print_json({{"model", file},
                       {"step", state.step},
                       {"loss_a", last.a},
                       {"loss_b", last.b},
                       {"skipped_steps", state.skipped},
                       {"graph", trainer.graph().captured()},
                       {"graph_why_not", trainer.graph().why_not()},
                       {"stopped_by_signal", faceswap::stop_signal()}});
  fmt::print("step {}, loss A {:.4f}, loss B {:.4f}: saved {}, look at {}\n", state.step, last.a,
             last.b, file, (options.model_dir / "preview.png").string());
  if (faceswap::stop_signal() != 0)
    fmt::print(stderr, "stopped; go on with: {}\n", context.command_line);
}
}  // namespace

void add_train(CLI::App& app, Context& context) {
  CLI::App* command = app.add_subcommand(
      "train",
      "Train a model on the faces of two people, or go on training one\n\n"
      "  doppel train -A faces/anna -B faces/bert -m model\n\n"
      "Stop with Ctrl-C: the model is saved, and the same command goes on from there.");
  struct Arguments {
    faceswap::TrainOptions options;
    std::string batch = "16";
    bool dry_run = false;
  };
  const auto args = std::make_shared<Arguments>();
  faceswap::TrainOptions& o = args->options;
  kernels::AugmentOptions& augment = o.augment;
  const CLI::Validator not_negative = CLI::NonNegativeNumber;
  using CLI::Range;
  const OptionAdder add(command);
  add.required("-A,--faces-a", o.faces_a, "FACES_A", "Folder with the faces of person A");
  add.required("-B,--faces-b", o.faces_b, "FACES_B", "Folder with the faces of person B");
  add.required("-m,--model-dir", o.model_dir, "MODEL_DIR",
               "Folder of the model: checkpoint, preview.png, losses.csv");
  add("--model", o.model, model_help());
  add("--steps", o.steps, "Train until this step; 0: until stopped")->check(not_negative);
  add("--hours", o.hours, "Stop after this long; 0: no limit")->check(not_negative);
  add("--batch", args->batch,
      fmt::format("Batch per person; auto: the largest that fits into memory, at most {}",
                  faceswap::kLargestBatch))
      ->check(
          CLI::Validator(Range(1, 1024) | CLI::IsMember({"auto"})).description("1..1024 or auto"));
  add("--micro-batches", o.micro_batches,
      "Micro-batches per batch, one after the other: less memory, the same gradients")
      ->check(Range(1, 1024));
  add("--parts", o.micro_batches, "")->check(Range(1, 1024))->group("");  // its old name, hidden
  command->add_flag("--dry-run", args->dry_run,
                    "Only report the memory of the training and the largest batch that fits");
  add("--seed", o.seed, "Of all random numbers");
  add.device(o.device);
  add.choice("--precision", o.precision,
             "auto (bf16 on a GPU, f16 on one older than 8.0; on the CPU bf16 where its products "
             "are faster, else f32), f32, tf32 (float whose products a GPU rounds to 10 bits: "
             "faster), bf16, or f16 (with a scaled loss)",
             {"auto", "f32", "tf32", "bf16", "f16"});
  add("--learning-rate", o.learning_rate, "Of Adam; 0: the model's default")->check(not_negative);
  add("--final-learning-rate", o.final_learning_rate,
      "End of the learning rate's cosine over --steps; 0: a constant rate")
      ->check(not_negative);
  add("--clip-norm", o.clip_norm, "Largest norm of the gradient; 0: no clipping")
      ->check(not_negative);
  add("--dssim", o.loss.dssim, "Weight of the structural loss (1 - SSIM) / 2")->check(not_negative);
  add("--mse", o.loss.mse, "Weight of the squared error")->check(not_negative);
  add("--mae", o.loss.mae, "Weight of the absolute error")->check(not_negative);
  add("--save-every", o.save_every_seconds, "Seconds between two saves")
      ->check(CLI::PositiveNumber);
  add("--preview-every", o.preview_every, "Steps between two previews; 0: only at the end")
      ->check(not_negative);
  add("--warp", augment.warp,
      "Random distortion of the input, share of the view; 0: none, for the last hours of a long "
      "training")
      ->check(Range(0.0, 0.1));
  add("--zoom", augment.zoom, "Random zoom, +- share")->check(Range(0.0, 0.3));
  add("--rotation", augment.rotation, "Random rotation, +- degrees")->check(Range(0.0, 45.0));
  add("--shift", augment.shift, "Random shift, +- share of the view")->check(Range(0.0, 0.3));
  add("--flip", augment.flip, "Chance of mirroring a face")->check(Range(0.0, 1.0));
  add("--lightness", augment.lightness, "Random change of lightness, +- share")
      ->check(Range(0.0, 1.0));
  add("--chroma", augment.chroma, "Random change of colour, +- share")->check(Range(0.0, 1.0));
  command->add_flag("--force", o.force,
                    "Begin anew where a model exists (the old file stays as .prev)");
  command->callback([args, &context] {
    faceswap::TrainOptions& options = args->options;
    options.batch = args->batch == "auto" ? 0 : std::stoi(args->batch);
    options.quiet = context.quiet;
    if (args->dry_run) dry_run(options, context.json);
    else train(options, context);
  });
}
