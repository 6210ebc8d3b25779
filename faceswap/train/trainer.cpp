#include "faceswap/train/trainer.h"

#include <fmt/format.h>
#include <fmt/os.h>

#include <charconv>
#include <cmath>
#include <numbers>

#include "faceswap/media/media.h"
#include "faceswap/progress.h"
#include "faceswap/train/preview.h"
#include "kernels/core/device.h"
#include "kernels/core/memory.h"

namespace faceswap {
namespace {

constexpr const char* kMicroBatchesKey = "parts";  // as checkpoints of doppel 0.1 spell it

constexpr int kPreviewRows = 7;
constexpr std::uint32_t kNanGuard =
    5;  // steps in a row without finite gradients before training stops
constexpr std::uint32_t kScaleInterval =
    2000;  // good steps until an f16 training tries twice the loss scale
constexpr float kFirstLossScale = 65536.f;
constexpr std::size_t kHistory = 4000;
constexpr double kCollectSeconds =
    0.25;  // between two looks at a GPU's losses: looking waits for the steps queued so far

nn::DType choose_dtype(const std::string& precision, nn::Device device) {
  kernels::allow_tf32 = precision == "tf32";
  if (precision == "f32" || precision == "tf32") return nn::DType::f32;
  if (precision == "bf16") return nn::DType::bf16;
  if (precision == "f16") return nn::DType::f16;
  if (precision == "auto" && device == nn::Device::host) return nn::DType::f32;
  if (precision == "auto")
    return kernels::probe_cuda().compute_capability >= 80 ? nn::DType::bf16 : nn::DType::f16;
  throw Error(
      ErrorKind::usage,
      fmt::format("precision '{}' is not known: choose auto, f32, tf32, bf16 or f16", precision));
}

template <class T> T metadata_number(const Metadata& metadata, const std::string& key, T fallback) {
  const auto entry = metadata.find(key);
  if (entry == metadata.end()) return fallback;
  T value{};
  std::from_chars(entry->second.data(), entry->second.data() + entry->second.size(), value);
  return value;
}

double gibibytes(std::size_t bytes) { return static_cast<double>(bytes) / (1 << 30); }

// Before anything is allocated: systems that promise more memory than they have would end the program later, without a word.
void refuse_what_cannot_fit(const std::string& model, nn::Device device, nn::DType dtype) {
  const MemoryForecast least = forecast_least_memory(model, device, dtype);
  const std::size_t available = kernels::available_memory(device);
  if (least.total() <= available) return;
  throw Error(
      ErrorKind::memory,
      fmt::format("model {} needs at least {:.1f} GiB on the {}, with --batch 1; {:.1f} GiB are "
                  "available. Choose a smaller --model or close other programs",
                  model, gibibytes(least.total()), kernels::name(device), gibibytes(available)));
}

}  // namespace

MemoryReport report_memory(const TrainOptions& options) {
  MemoryReport report;
  report.device = kernels::choose_device(options.device);
  report.dtype = choose_dtype(options.precision, report.device);
  const int model_size = make_model(options.model)->size();
  std::size_t face_bytes = 0;
  for (const int k : {0, 1}) {
    const std::filesystem::path& folder = k == 0 ? options.faces_a : options.faces_b;
    report.faces[k] = static_cast<int>(list_faces(folder).size());
    const auto stored = static_cast<std::size_t>(stored_size_for(model_size, folder));
    face_bytes += static_cast<std::size_t>(report.faces[k]) * stored * stored * 4;
  }
  report.available = kernels::available_memory(report.device);
  StepPlan plan;
  plan.batch = options.batch;
  plan.micro_batches = options.micro_batches;
  plan.loss = options.loss;
  report.largest_batch =
      largest_batch(options.model, report.device, report.dtype, plan, face_bytes, report.available);
  if (plan.batch == 0) plan.batch = report.largest_batch;
  plan.micro_batches = std::min(plan.micro_batches, plan.batch);
  report.forecast = forecast_that_fits(options.model, report.device, report.dtype, plan, face_bytes,
                                       report.available);
  return report;
}

Trainer::Trainer(const TrainOptions& options)
    : options_(options),
      device_(kernels::choose_device(options.device)),
      dtype_(choose_dtype(options.precision, device_)) {
  if (options_.batch < 0)
    throw Error(ErrorKind::usage,
                fmt::format("batch is {}, should be at least 1, or 0 for the largest that fits",
                            options_.batch));
  if (options_.micro_batches < 1)
    throw Error(ErrorKind::usage,
                fmt::format("micro-batches is {}, should be at least 1", options_.micro_batches));
  if (options_.loss.dssim == 0.f && options_.loss.mse == 0.f && options_.loss.mae == 0.f)
    throw Error(ErrorKind::usage, "all loss weights are zero: there is nothing to learn");
  refuse_what_cannot_fit(options_.model, device_, dtype_);
  begin_or_resume();

  faces_[0] = std::make_unique<FaceSet>(
      options_.faces_a, stored_size_for(model_->size(), options_.faces_a), device_, options_.quiet);
  faces_[1] = std::make_unique<FaceSet>(
      options_.faces_b, stored_size_for(model_->size(), options_.faces_b), device_, options_.quiet);
  plan_memory();
  build_step();
}

void Trainer::begin_or_resume() {
  const std::filesystem::path path = options_.model_dir / kModelFile;
  const bool exists =
      std::filesystem::exists(path) || std::filesystem::exists(path.string() + ".prev");
  nn::StepState state;
  if (exists && !options_.force) {
    LoadedModel loaded = load_model(path, device_, dtype_, true);
    if (loaded.used != path)
      fmt::print(stderr, "{} is damaged or missing: going on from {}\n", path.string(),
                 loaded.used.string());
    if (loaded.model->name() != options_.model)
      throw Error(ErrorKind::usage,
                  fmt::format("{} holds a '{}' model, but '{}' was asked for: name another folder, "
                              "or use --force to begin anew",
                              path.string(), loaded.model->name(), options_.model));
    model_ = std::move(loaded.model);
    state = loaded.state;
    options_.batch = metadata_number(loaded.metadata, "batch", options_.batch);
    options_.micro_batches =
        std::max(options_.micro_batches, metadata_number(loaded.metadata, kMicroBatchesKey, 1));
    options_.loss.dssim = metadata_number(loaded.metadata, "loss.dssim", options_.loss.dssim);
    options_.loss.mse = metadata_number(loaded.metadata, "loss.mse", options_.loss.mse);
    options_.loss.mae = metadata_number(loaded.metadata, "loss.mae", options_.loss.mae);
    seconds_before_ = metadata_number(loaded.metadata, "seconds", 0.0);
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

StepPlan Trainer::plan() const {
  StepPlan plan;
  plan.batch = options_.batch;
  plan.micro_batches = std::min(options_.micro_batches, options_.batch);
  plan.clip_norm = options_.clip_norm;
  plan.loss = options_.loss;
  plan.augment = options_.augment;
  return plan;
}

// Settles the batch and its micro-batches. Weights and faces are in memory already; what is asked here is whether the rest fits.
void Trainer::plan_memory() {
  const auto held = [](const MemoryForecast& f) {
    return f.parameters + f.gradients + f.optimizer;
  };
  const std::size_t available = kernels::available_memory(device_) +
                                held(forecast_least_memory(options_.model, device_, dtype_));
  if (options_.batch == 0)
    options_.batch = largest_batch(options_.model, device_, dtype_, plan(), 0, available);
  forecast_ = forecast_that_fits(options_.model, device_, dtype_, plan(), 0, available);
  forecast_.data_set = faces_[0]->bytes() + faces_[1]->bytes();
  if (forecast_.micro_batches > options_.micro_batches && !options_.quiet)
    fmt::print(stderr,
               "memory is short: each batch of {} faces a side goes through the network in {} "
               "micro-batches\n",
               options_.batch, forecast_.micro_batches);
  options_.micro_batches = forecast_.micro_batches;
}

void Trainer::build_step() {
  const FacesOnDevice a{faces_[0]->data(), faces_[0]->count(), faces_[0]->stored_size()},
      b{faces_[1]->data(), faces_[1]->count(), faces_[1]->stored_size()};
  while (true) {
    try {
      step_work_ = std::make_unique<TrainingStep>(
          *model_, dtype_, std::array<FacesOnDevice, 2>{a, b}, *state_, plan());
      graph_ = std::make_unique<nn::StepGraph>(device_);
      return;
    } catch (const Error& error) {
      if (error.kind() != ErrorKind::memory || !use_less_memory(error.what())) throw;
    }
  }
}

// Memory ran out: the next try sends the batch through in twice as many micro-batches. False where one face a part is too much.
bool Trainer::use_less_memory(const std::string& why) {
  if (options_.micro_batches >= options_.batch) return false;
  if (step_work_) collect();  // its losses go with it
  options_.micro_batches = std::min(2 * options_.micro_batches, options_.batch);
  graph_.reset();
  step_work_.reset();
  kernels::release_cached(device_);
  fmt::print(stderr, "{}\ngoing on with each batch of {} faces a side in {} micro-batches\n", why,
             options_.batch, options_.micro_batches);
  return true;
}

float Trainer::learning_rate_at(std::int64_t step) const {
  if (options_.final_learning_rate <= 0.f || options_.steps <= 0) return options_.learning_rate;
  const double t = std::min(1.0, static_cast<double>(step) / static_cast<double>(options_.steps));
  return static_cast<float>(options_.final_learning_rate +
                            (options_.learning_rate - options_.final_learning_rate) * 0.5 *
                                (1 + std::cos(std::numbers::pi * t)));
}

void Trainer::step() {
  if (options_.final_learning_rate > 0.f) state_->set_learning_rate(learning_rate_at(step_));
  while (true) {
    try {
      graph_->run([this] { step_work_->run(); });
      break;
    } catch (const Error& error) {
      if (error.kind() != ErrorKind::memory) throw;
      if (!use_less_memory(error.what()))
        throw Error(
            ErrorKind::memory,
            fmt::format("{}\nNot even one face at a time fits: model {} needs about {:.1f} GiB "
                        "with --batch 1. Try a smaller model, --precision bf16 on a GPU, or close "
                        "other programs. What was saved last is in {}",
                        error.what(), options_.model,
                        gibibytes(forecast_least_memory(options_.model, device_, dtype_).total() +
                                  forecast_.data_set),
                        (options_.model_dir / kModelFile).string()));
      // The step broke off before the optimizer touched a weight: it is begun again, as if for the first time.
      nn::StepState state = state_->read();
      state.step = static_cast<std::uint64_t>(step_);
      state_->write(state);
      build_step();
    }
  }
  ++step_;
}

void Trainer::collect() {
  if (collected_ == step_) return;
  const nn::StepState state = state_->read();
  const std::vector<float> rows = step_work_->losses().to_host<float>();
  for (; collected_ < step_; ++collected_) {
    const std::size_t row = 2 * static_cast<std::size_t>(collected_ % TrainingStep::kLossRows);
    history_.push_back({collected_ + 1, rows[row], rows[row + 1]});
  }
  if (state.skipped_in_a_row >= kNanGuard &&
      state.loss_scale ==
          1.f)  // while there is a scale to halve, a gradient that is too large is not the end
    throw Error(ErrorKind::not_finite,
                fmt::format("training stopped at step {}: no finite gradient in {} steps (loss A "
                            "{}, loss B {}). The weights in {} are those from before. "
                            "Resume with a lower --learning-rate (now {}) or with --clip-norm 1",
                            step_, state.skipped_in_a_row, history_.back().a, history_.back().b,
                            (options_.model_dir / kModelFile).string(), state.learning_rate));
  while (history_.size() >
         kHistory) {  // keep every second entry: the curve stays, the memory does not grow
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
  clock::time_point looked = begin;
  const auto look = [&] {
    const std::int64_t before = collected_;
    collect();
    looked = clock::now();
    for (auto losses =
             history_.end() - std::min<std::int64_t>(step_ - before, std::ssize(history_));
         losses != history_.end(); ++losses) {
      const float keep = mean_a == 0 ? 0.f : 0.95f;
      mean_a = keep * mean_a + (1 - keep) * losses->a;
      mean_b = keep * mean_b + (1 - keep) * losses->b;
    }
    progress.update(step_, fmt::format("loss A {:.4f} B {:.4f}", mean_a, mean_b));
  };
  while (options_.steps == 0 || step_ < options_.steps) {
    step();
    if (device_ == nn::Device::host || seconds_since(looked) > kCollectSeconds ||
        step_ - collected_ == TrainingStep::kLossRows)
      look();
    if (stop_signal() != 0) break;
    if (options_.hours > 0 && seconds_since(begin) > options_.hours * 3600) break;
    if (options_.preview_every > 0 && step_ % options_.preview_every == 0) write_preview();
    if (seconds_since(saved) >= options_.save_every_seconds) {
      look();
      checkpoint();
    }
  }
  look();
  progress.finish(fmt::format("loss A {:.4f} B {:.4f}", mean_a, mean_b));
  checkpoint();
  write_preview();
}

}  // namespace faceswap
