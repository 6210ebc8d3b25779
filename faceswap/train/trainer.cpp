#include "faceswap/train/trainer.h"

#include <fmt/format.h>

#include <cmath>
#include <numbers>

#include "faceswap/media/media.h"
#include "faceswap/progress.h"
#include "faceswap/train/preview.h"
#include "kernels/core/memory.h"
#include "nn/checkpoint/atomic_file.h"

namespace faceswap {
namespace {

constexpr int kPreviewRows = 7;
// Steps in a row without finite gradients before training stops.
constexpr std::uint32_t kNanGuard = 5;
// Good steps until an f16 training tries twice the loss scale.
constexpr std::uint32_t kScaleInterval = 2000;
constexpr float kFirstLossScale = 65536.f;
constexpr std::size_t kHistory = 4000;
// Between two reads of a GPU's losses, each of which waits for the steps queued so far.
constexpr double kCollectSeconds = 0.25;
}  // namespace

Trainer::Trainer(TrainingPlan plan)
    : options_(std::move(plan.options)),
      device_(plan.device),
      dtype_(plan.dtype),
      forecast_(plan.forecast),
      seconds_before_(plan.seconds) {
  begin_or_resume(std::move(plan.checkpoint));
  for (const int k : {0, 1}) {
    const std::filesystem::path& folder = k == 0 ? options_.faces_a : options_.faces_b;
    faces_[k] = std::make_unique<FaceSet>(folder, stored_size_for(model_->size(), folder), device_,
                                          options_.quiet);
  }
  forecast_.data_set = faces_[0]->bytes() + faces_[1]->bytes();
  if (forecast_.micro_batches > options_.micro_batches && !options_.quiet)
    fmt::print(stderr,
               "memory is short: each batch of {} per person goes through the network in {} "
               "micro-batches\n",
               options_.batch, forecast_.micro_batches);
  options_.micro_batches = forecast_.micro_batches;
  build_step();
}

void Trainer::begin_or_resume(std::optional<Checkpoint> checkpoint) {
  nn::StepState state;
  if (checkpoint) {
    const std::filesystem::path path = options_.model_dir / kModelFile;
    if (checkpoint->used != path)
      fmt::print(stderr, "{} is damaged or missing: going on from {}\n", path.string(),
                 checkpoint->used.string());
    LoadedModel loaded = load_model(*checkpoint, device_, dtype_, true);
    model_ = std::move(loaded.model);
    state = loaded.state;
    if (options_.learning_rate > 0.f) state.learning_rate = options_.learning_rate;
    resumed_ = true;
  } else {
    model_ = make_model(options_.model);
    model_->arena().allocate(device_, dtype_, options_.seed);
    state.seed = options_.seed;
    state.learning_rate =
        options_.learning_rate > 0.f ? options_.learning_rate : model_->learning_rate();
  }
  options_.learning_rate = state.learning_rate;
  state.scale_interval = dtype_ == nn::DType::f16 ? kScaleInterval : 0;
  if (state.scale_interval == 0) state.loss_scale = 1.f;
  else if (state.loss_scale == 1.f) state.loss_scale = kFirstLossScale;
  step_ = collected_ = static_cast<std::int64_t>(state.step);
  state_ = std::make_unique<nn::StepStateBlock>(device_, state);
  std::error_code error;
  std::filesystem::create_directories(options_.model_dir, error);
  if (error)
    throw Error(ErrorKind::disk, fmt::format("cannot make the model folder {}: {}",
                                             options_.model_dir.string(), error.message()));
}

void Trainer::build_step() {
  const auto on_device = [](const FaceSet& set) {
    return FacesOnDevice{set.data(), set.count(), set.stored_size()};
  };
  while (true) {
    try {
      step_work_ = std::make_unique<TrainingStep>(
          *model_, dtype_, std::array{on_device(*faces_[0]), on_device(*faces_[1])}, *state_,
          step_plan(options_));
      graph_ = std::make_unique<nn::StepGraph>(device_);
      return;
    } catch (const Error& error) {
      if (error.kind() != ErrorKind::memory || !use_less_memory(error.what())) throw;
    }
  }
}

// Doubles the micro-batches after memory ran out. False where they hold one face.
bool Trainer::use_less_memory(const std::string& why) {
  if (options_.micro_batches >= options_.batch) return false;
  if (step_work_) collect();  // its losses are lost with it
  options_.micro_batches = std::min(2 * options_.micro_batches, options_.batch);
  graph_.reset();
  step_work_.reset();
  kernels::release_cached(device_);
  fmt::print(stderr, "{}\ngoing on with each batch of {} per person in {} micro-batches\n", why,
             options_.batch, options_.micro_batches);
  return true;
}

float Trainer::learning_rate() const {
  if (options_.final_learning_rate <= 0.f || options_.steps <= 0) return options_.learning_rate;
  const double t = std::min(1.0, static_cast<double>(step_) / static_cast<double>(options_.steps));
  return static_cast<float>(options_.final_learning_rate +
                            (options_.learning_rate - options_.final_learning_rate) * 0.5 *
                                (1 + std::cos(std::numbers::pi * t)));
}

void Trainer::step() {
  if (options_.final_learning_rate > 0.f) state_->set_learning_rate(learning_rate());
  while (true) {
    try {
      graph_->run([this] { step_work_->run(); });
      break;
    } catch (const Error& error) {
      if (error.kind() != ErrorKind::memory) throw;
      if (!use_less_memory(error.what())) {
        const MemoryForecast least =
            forecast_memory(options_.model, device_, dtype_, {.batch = 1}, forecast_.data_set);
        throw Error(
            ErrorKind::memory,
            fmt::format("{}\nNot even one face at a time fits: model {} needs about {:.1f} GiB "
                        "with --batch 1. Try a smaller model, --precision bf16 on a GPU, or close "
                        "other programs. The last save is in {}",
                        error.what(), options_.model, gibibytes(least.total()),
                        (options_.model_dir / kModelFile).string()));
      }
      // The step broke off before the optimizer touched a weight, so it begins again.
      nn::StepState state = state_->read();
      state.step = static_cast<std::uint64_t>(step_);
      state_->write(state);
      build_step();
    }
  }
  ++step_;
  report_lost_graph();
}

// Without the graph a GPU waits for the launches of every step: days of training pass
// more slowly, and nothing else would show it.
void Trainer::report_lost_graph() {
  if (device_ != nn::Device::cuda || lost_graph_reported_ || !graph_->gave_up()) return;
  lost_graph_reported_ = true;
  fmt::print(stderr, "\ntraining runs without a CUDA graph, so its steps take longer: {}\n",
             graph_->why_not());
}

void Trainer::collect() {
  if (collected_ == step_) return;
  const nn::StepState state = state_->read();
  const std::vector<float> rows = step_work_->losses().to_host<float>();
  for (; collected_ < step_; ++collected_) {
    const std::size_t row = 2 * static_cast<std::size_t>(collected_ % TrainingStep::kLossRows);
    history_.push_back({collected_ + 1, rows[row], rows[row + 1]});
  }
  // While there is a scale to halve, a gradient that is too large is no reason to stop.
  if (state.skipped_in_a_row >= kNanGuard && state.loss_scale == 1.f)
    throw Error(ErrorKind::not_finite,
                fmt::format("training stopped at step {}: no finite gradient in {} steps (loss A "
                            "{}, loss B {}). The weights in {} are those from before. "
                            "Resume with a lower --learning-rate (now {}) or with --clip-norm 1",
                            step_, state.skipped_in_a_row, history_.back().a, history_.back().b,
                            (options_.model_dir / kModelFile).string(), state.learning_rate));
  while (history_.size() > kHistory) {  // every second entry stays, and so does the curve
    for (std::size_t i = 0; 2 * i < history_.size(); ++i) history_[i] = history_[2 * i];
    history_.resize((history_.size() + 1) / 2);
  }
}

void Trainer::save() {
  save_model(
      options_.model_dir / kModelFile, *model_, state_->read(),
      {{"batch", fmt::format("{}", options_.batch)},
       {kMicroBatchesKey, fmt::format("{}", options_.micro_batches)},
       {"loss.dssim", fmt::format("{}", options_.loss.dssim)},
       {"loss.mse", fmt::format("{}", options_.loss.mse)},
       {"loss.mae", fmt::format("{}", options_.loss.mae)},
       {"loss.a", history_.empty() ? "" : fmt::format("{}", history_.back().a)},
       {"loss.b", history_.empty() ? "" : fmt::format("{}", history_.back().b)},
       {"faces.a", faces_[0]->fingerprint()},
       {"faces.b", faces_[1]->fingerprint()},
       {"view", fmt::format("{} {} {}", kModelView.center_x, kModelView.center_y, kModelView.side)},
       {"seconds", fmt::format("{:.1f}", seconds_before_)}});
}

void Trainer::write_preview() {
  const int rows = std::min({kPreviewRows, faces_[0]->count(), faces_[1]->count()});
  write_png(options_.model_dir / "preview.png",
            preview_grid(*model_, *faces_[0], *faces_[1], rows));
}

void Trainer::write_losses() const {
  std::string text = "step,loss_a,loss_b\n";
  for (const StepLosses& l : history_) text += fmt::format("{},{:.6f},{:.6f}\n", l.step, l.a, l.b);
  const std::span<const std::byte> piece = std::as_bytes(std::span(text));
  nn::write_file_atomically(options_.model_dir / "losses.csv", std::span(&piece, 1), false);
}

void Trainer::run() {
  using clock = std::chrono::steady_clock;
  const clock::time_point begin = clock::now();
  clock::time_point saved = begin, counted = begin;
  const auto seconds_since = [](clock::time_point t) {
    return std::chrono::duration<double>(clock::now() - t).count();
  };
  const auto checkpoint = [&] {
    seconds_before_ += seconds_since(counted);
    counted = saved = clock::now();
    save();
    write_losses();
  };

  Progress progress(fmt::format("training {}", model_->name()), options_.steps, options_.quiet);
  float mean_a = 0, mean_b = 0;
  clock::time_point shown = begin;
  const auto show_losses = [&] {
    const std::int64_t before = collected_;
    collect();
    shown = clock::now();
    const auto fresh = std::min<std::int64_t>(step_ - before, std::ssize(history_));
    for (const StepLosses& losses : std::span(history_).last(static_cast<std::size_t>(fresh))) {
      const float keep = mean_a == 0 ? 0.f : 0.95f;
      mean_a = keep * mean_a + (1 - keep) * losses.a;
      mean_b = keep * mean_b + (1 - keep) * losses.b;
    }
    progress.update(step_, fmt::format("loss A {:.4f} B {:.4f}", mean_a, mean_b));
  };
  while (options_.steps == 0 || step_ < options_.steps) {
    step();
    if (device_ == nn::Device::host || seconds_since(shown) > kCollectSeconds ||
        step_ - collected_ == TrainingStep::kLossRows)
      show_losses();
    if (stop_signal() != 0) break;
    if (options_.hours > 0 && seconds_since(begin) > options_.hours * 3600) break;
    if (options_.preview_every > 0 && step_ % options_.preview_every == 0) write_preview();
    if (seconds_since(saved) >= options_.save_every_seconds) {
      show_losses();
      checkpoint();
    }
  }
  show_losses();
  progress.finish(fmt::format("loss A {:.4f} B {:.4f}", mean_a, mean_b));
  checkpoint();
  write_preview();
}
}  // namespace faceswap
