#include "faceswap/train/trainer.h"

#include <fmt/format.h>
#include <fmt/os.h>

#include <cmath>
#include <charconv>
#include <numbers>

#include "faceswap/media/media.h"
#include "faceswap/progress.h"
#include "faceswap/train/preview.h"
#include "kernels/dispatch.h"

namespace faceswap {
namespace {

constexpr int kPreviewRows = 7;
constexpr int kNanGuard = 5;          // steps in a row without finite gradients before training stops
constexpr std::size_t kHistory = 4000;

nn::DType choose_dtype(const std::string& precision, nn::Device device) {
  if (precision == "f32") return nn::DType::f32;
  if (precision == "bf16") return nn::DType::bf16;
  if (precision == "auto") return device == nn::Device::cuda && kernels::probe_cuda().compute_capability >= 80 ? nn::DType::bf16 : nn::DType::f32;
  throw Error(ErrorKind::usage, fmt::format("precision '{}' is not known: choose auto, f32 or bf16", precision));
}

template <class T> T metadata_number(const Metadata& metadata, const std::string& key, T fallback) {
  const auto entry = metadata.find(key);
  if (entry == metadata.end()) return fallback;
  T value{};
  std::from_chars(entry->second.data(), entry->second.data() + entry->second.size(), value);
  return value;
}

nn::Tensor side_loss(const nn::Tensor& pred, const nn::Tensor& target, const nn::Tensor& mask, const LossWeights& weights) {
  nn::Tensor total;
  const auto accumulate = [&](const nn::Tensor& loss, float weight) {
    const nn::Tensor weighted = weight == 1.f ? loss : scale(loss, weight);
    total = total.defined() ? add(total, weighted) : weighted;
  };
  if (weights.dssim != 0.f) accumulate(dssim_loss(pred, target, mask), weights.dssim);
  if (weights.mse != 0.f) accumulate(mse_loss(pred, target, mask), weights.mse);
  if (weights.mae != 0.f) accumulate(mae_loss(pred, target, mask), weights.mae);
  return total;
}

}  // namespace

Trainer::Trainer(const TrainOptions& options) : options_(options), device_(kernels::choose_device(options.device)), dtype_(choose_dtype(options.precision, device_)) {
  if (options_.batch < 1) throw Error(ErrorKind::usage, fmt::format("batch is {}, should be at least 1", options_.batch));
  if (options_.loss.dssim == 0.f && options_.loss.mse == 0.f && options_.loss.mae == 0.f) throw Error(ErrorKind::usage, "all loss weights are zero: there is nothing to learn");
  begin_or_resume();

  const int stored = stored_size_for(model_->size());
  faces_[0] = std::make_unique<FaceSet>(options_.faces_a, stored, device_, options_.quiet);
  faces_[1] = std::make_unique<FaceSet>(options_.faces_b, stored, device_, options_.quiet);

  const std::int64_t n = options_.batch, size = model_->size();
  input_ = nn::Tensor::zeros({2 * n, size, size, 3}, dtype_, device_);
  target_ = nn::Tensor::zeros({2 * n, size, size, 3}, dtype_, device_);
  mask_ = nn::Tensor::zeros({2 * n, size, size}, dtype_, device_);
  losses_ = nn::Tensor::zeros({2}, nn::DType::f32, device_);
  adam_ = std::make_unique<nn::Adam>(model_->arena(), nn::AdamOptions{}, options_.clip_norm);
  graph_ = std::make_unique<nn::StepGraph>(device_);
}

void Trainer::begin_or_resume() {
  const std::filesystem::path path = options_.model_dir / kModelFile;
  const bool exists = std::filesystem::exists(path) || std::filesystem::exists(path.string() + ".prev");
  nn::StepState state;
  if (exists && !options_.force) {
    LoadedModel loaded = load_model(path, device_, dtype_, true);
    if (loaded.used != path) fmt::print(stderr, "{} is damaged or missing: going on from {}\n", path.string(), loaded.used.string());
    if (loaded.model->name() != options_.model)
      throw Error(ErrorKind::usage, fmt::format("{} holds a '{}' model, but '{}' was asked for: name another folder, or use --force to begin anew", path.string(),
                                                loaded.model->name(), options_.model));
    model_ = std::move(loaded.model);
    state = loaded.state;
    options_.batch = metadata_number(loaded.metadata, "batch", options_.batch);
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
    state.learning_rate = options_.learning_rate > 0.f ? options_.learning_rate : model_->learning_rate();
  }
  options_.learning_rate = state.learning_rate;
  step_ = static_cast<std::int64_t>(state.step);
  skipped_ = state.skipped;
  state_ = std::make_unique<nn::StepStateBlock>(device_, state);
  std::error_code error;
  std::filesystem::create_directories(options_.model_dir, error);
  if (error) throw Error(ErrorKind::disk, fmt::format("cannot make the model folder {}: {}", options_.model_dir.string(), error.message()));
}

// The work of one step, always on the same memory; what differs between steps lives in StepState. Captured as a graph.
void Trainer::train_on_batch() {
  const std::int64_t n = options_.batch;
  const int size = model_->size();
  kernels::Stream& stream = kernels::Stream::of(device_);
  const auto draw = [&]<class D, class T>() {
    kernels::advance_step<D>(stream, state_->device_pointer());
    for (int k = 0; k < 2; ++k)
      kernels::augment<D, T>(stream, faces_[k]->data(), faces_[k]->count(), faces_[k]->stored_size(), kModelView, state_->device_pointer(), k, options_.batch, size,
                             input_.rows(k * n, (k + 1) * n).template data<T>(), target_.rows(k * n, (k + 1) * n).template data<T>(),
                             mask_.rows(k * n, (k + 1) * n).template data<T>(), options_.augment);
  };
  kernels::on_device(device_, [&]<class D>() {
    if (dtype_ == nn::DType::bf16) draw.template operator()<D, kernels::bf16>();
    else draw.template operator()<D, float>();
  });

  const nn::Tensor code = model_->encode(input_);
  nn::Tensor losses[2];
  for (int k = 0; k < 2; ++k) {
    const nn::Tensor pred = model_->decode(k == 0 ? Side::a : Side::b, code.rows(k * n, (k + 1) * n));
    losses[k] = side_loss(pred, target_.rows(k * n, (k + 1) * n), mask_.rows(k * n, (k + 1) * n), options_.loss);
  }
  model_->arena().begin_gradients();
  nn::backward(losses);
  adam_->step(*state_);
  for (int k = 0; k < 2; ++k) kernels::copy(losses_.data<float>() + k, device_, losses[k].data<float>(), device_, sizeof(float));
}

float Trainer::learning_rate_at(std::int64_t step) const {
  if (options_.final_learning_rate <= 0.f || options_.steps <= 0) return options_.learning_rate;
  const double t = std::min(1.0, static_cast<double>(step) / static_cast<double>(options_.steps));
  return static_cast<float>(options_.final_learning_rate + (options_.learning_rate - options_.final_learning_rate) * 0.5 * (1 + std::cos(std::numbers::pi * t)));
}

StepLosses Trainer::step() {
  if (options_.final_learning_rate > 0.f) {
    nn::StepState state = state_->read();
    state.learning_rate = learning_rate_at(step_);
    state_->write(state);
  }
  graph_->run([this] { train_on_batch(); });
  ++step_;
  const std::vector<float> values = losses_.to_host<float>();
  const StepLosses losses{step_, values[0], values[1]};

  const nn::StepState state = state_->read();
  skipped_in_a_row_ = state.skipped > skipped_ ? skipped_in_a_row_ + 1 : 0;
  skipped_ = state.skipped;
  if (skipped_in_a_row_ >= kNanGuard)
    throw Error(ErrorKind::not_finite, fmt::format("training stopped at step {}: no finite gradient in {} steps (loss A {}, loss B {}). The weights in {} are those from before. "
                                                   "Resume with a lower --learning-rate (now {}) or with --clip-norm 1",
                                                   step_, kNanGuard, losses.a, losses.b, (options_.model_dir / kModelFile).string(), state.learning_rate));
  history_.push_back(losses);
  if (history_.size() > kHistory) {  // keep every second entry: the curve stays, the memory does not grow
    for (std::size_t i = 0; 2 * i < history_.size(); ++i) history_[i] = history_[2 * i];
    history_.resize((history_.size() + 1) / 2);
  }
  return losses;
}

void Trainer::save() {
  save_model(options_.model_dir / kModelFile, *model_, state_->read(),
             {{"batch", fmt::format("{}", options_.batch)},
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
  write_png(options_.model_dir / "preview.png", preview_grid(*model_, *faces_[0], *faces_[1], rows));
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
  const auto seconds_since = [](clock::time_point t) { return std::chrono::duration<double>(clock::now() - t).count(); };
  const auto checkpoint = [&] {
    seconds_before_ += seconds_since(counted);
    counted = saved = clock::now();
    save();
    write_losses();
  };

  Progress progress(fmt::format("training {}", model_->name()), options_.steps, options_.quiet);
  float mean_a = 0, mean_b = 0;
  bool first = true;
  while (options_.steps == 0 || step_ < options_.steps) {
    const StepLosses losses = step();
    mean_a = first ? losses.a : 0.95f * mean_a + 0.05f * losses.a;
    mean_b = first ? losses.b : 0.95f * mean_b + 0.05f * losses.b;
    first = false;
    progress.update(step_, fmt::format("loss A {:.4f} B {:.4f}", mean_a, mean_b));
    if (stop_signal() != 0) break;
    if (options_.hours > 0 && seconds_since(begin) > options_.hours * 3600) break;
    if (options_.preview_every > 0 && step_ % options_.preview_every == 0) write_preview();
    if (seconds_since(saved) >= options_.save_every_seconds) checkpoint();
  }
  progress.finish(fmt::format("loss A {:.4f} B {:.4f}", mean_a, mean_b));
  checkpoint();
  write_preview();
}

}  // namespace faceswap
