#include "faceswap/train/training_plan.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "faceswap/faces/face_file.h"
#include "faceswap/train/face_set.h"
#include "kernels/core/memory.h"

namespace faceswap {
namespace {

template <class T> T number_or(const Metadata& metadata, const std::string& key, T fallback) {
  const auto entry = metadata.find(key);
  if (entry == metadata.end()) return fallback;
  T value{};
  std::from_chars(entry->second.data(), entry->second.data() + entry->second.size(), value);
  return value;
}

void check(const TrainOptions& options) {
  if (options.batch < 0)
    throw Error(ErrorKind::usage,
                fmt::format("batch is {}, should be at least 1, or 0 for the largest that fits",
                            options.batch));
  if (options.micro_batches < 1)
    throw Error(ErrorKind::usage,
                fmt::format("micro-batches is {}, should be at least 1", options.micro_batches));
  if (options.loss.dssim == 0.f && options.loss.mse == 0.f && options.loss.mae == 0.f)
    throw Error(ErrorKind::usage,
                "all loss weights are zero: give at least one of --dssim, --mse and --mae");
}

// Opens the checkpoint in the model folder and takes over the settings of its run.
void resume(TrainingPlan& plan) {
  TrainOptions& options = plan.options;
  const std::filesystem::path path = options.model_dir / kModelFile;
  const bool exists =
      std::filesystem::exists(path) || std::filesystem::exists(path.string() + ".prev");
  if (!exists || options.force) return;
  plan.checkpoint = open_checkpoint(path);
  const Metadata& metadata = plan.checkpoint->file.metadata();
  const auto model = metadata.find("model");
  if (model != metadata.end() && model->second != options.model)
    throw Error(ErrorKind::usage,
                fmt::format("{} holds a '{}' model, not '{}': name another folder, or use --force "
                            "to begin anew",
                            path.string(), model->second, options.model));
  options.batch = number_or(metadata, "batch", options.batch);
  options.micro_batches = std::max(options.micro_batches, number_or(metadata, kMicroBatchesKey, 1));
  options.loss.dssim = number_or(metadata, "loss.dssim", options.loss.dssim);
  options.loss.mse = number_or(metadata, "loss.mse", options.loss.mse);
  options.loss.mae = number_or(metadata, "loss.mae", options.loss.mae);
  plan.seconds = number_or(metadata, "seconds", 0.0);
}

// A system that overcommits memory would kill the program later, without a message.
void refuse_too_little_memory(const TrainingPlan& plan) {
  if (plan.forecast.total() <= plan.available) return;
  const std::string& model = plan.options.model;
  const std::size_t least =
      forecast_memory(model, plan.device, plan.dtype, {.batch = 1}, 0).total();
  if (least <= plan.available) return;
  throw Error(
      ErrorKind::memory,
      fmt::format("model {} needs at least {:.1f} GiB on the {}, with --batch 1; {:.1f} GiB are "
                  "available. Choose a smaller --model or close other programs",
                  model, gibibytes(least), kernels::name(plan.device), gibibytes(plan.available)));
}
}  // namespace

StepPlan step_plan(const TrainOptions& options) {
  return {options.batch, options.micro_batches, options.clip_norm, options.loss, options.augment};
}

TrainingPlan make_plan(const TrainOptions& given, bool dry_run) {
  if (!dry_run) check(given);
  TrainingPlan plan;
  plan.options = given;
  plan.device = kernels::choose_device(given.device);
  plan.dtype = choose_dtype(given.precision, plan.device);
  plan.available = kernels::available_memory(plan.device);
  const int model_size = make_model(given.model)->size();
  if (!dry_run) resume(plan);
  std::size_t face_bytes = 0;
  for (const int k : {0, 1}) {
    const std::filesystem::path& folder = k == 0 ? given.faces_a : given.faces_b;
    plan.faces[k] = static_cast<int>(list_faces(folder).size());
    const auto stored = static_cast<std::size_t>(stored_size_for(model_size, folder));
    face_bytes += resident_bytes(static_cast<std::size_t>(plan.faces[k]) * stored * stored * 4,
                                 plan.device, plan.available);
  }
  int& batch = plan.options.batch;
  MemoryPlanner planner{given.model, plan.device,   plan.dtype, step_plan(plan.options),
                        face_bytes,  plan.available};
  if (dry_run || batch == 0) plan.largest_batch = planner.largest_batch();
  if (batch == 0) batch = plan.largest_batch;
  plan.forecast = planner.fitting(batch, plan.options.micro_batches);
  if (!dry_run) refuse_too_little_memory(plan);
  return plan;
}
}  // namespace faceswap
