#include "faceswap/models/model_file.h"

#include <fmt/format.h>

#include <charconv>
#include <cstring>

namespace faceswap {
namespace {

template <class... Args>
[[noreturn]] void damaged(const std::filesystem::path& path, fmt::format_string<Args...> format,
                          Args&&... args) {
  throw nn::Error(nn::ErrorKind::damaged,
                  path.string() + ": " + fmt::format(format, std::forward<Args>(args)...));
}

template <class T>
T parse_number(const Metadata& metadata, const std::string& key,
               const std::filesystem::path& path) {
  const auto entry = metadata.find(key);
  if (entry == metadata.end()) damaged(path, "metadata has no '{}': not a whole doppel model", key);
  const std::string& text = entry->second;
  T value{};
  const auto result = std::from_chars(text.data(), text.data() + text.size(), value);
  if (result.ec != std::errc() || result.ptr != text.data() + text.size())
    damaged(path, "metadata '{}' should be a number, is '{}'", key, text);
  return value;
}

// Copies one stored tensor into a piece of an arena.
void fill(const nn::SafetensorsFile& file, const std::filesystem::path& path,
          const std::string& stored_name, const nn::Tensor& into) {
  const nn::TensorRecord* record = file.find(stored_name);
  if (!record) damaged(path, "tensor '{}' is missing", stored_name);
  const nn::Shape shape{std::span<const std::int64_t>(record->shape)};
  if (shape != into.shape() || record->dtype != into.dtype())
    damaged(path, "tensor '{}' is {} {}, the model expects {} {}", stored_name,
            nn::name(record->dtype), shape.str(), nn::name(into.dtype()), into.shape().str());
  kernels::copy(into.raw(), into.device(), record->data, nn::Device::host, record->bytes);
}
}  // namespace

void save_model(const std::filesystem::path& path, const Model& model, const nn::StepState& state,
                const Metadata& extra) {
  Metadata metadata = extra;
  metadata["format"] = kModelFormat;
  metadata["version"] = DOPPEL_VERSION;
  metadata["model"] = model.name();
  metadata["step"] = fmt::format("{}", state.step);
  metadata["seed"] = fmt::format("{}", state.seed);
  metadata["skipped"] = fmt::format("{}", state.skipped);
  metadata["learning_rate"] = fmt::format("{}", state.learning_rate);
  if (state.scale_interval != 0) {
    metadata["loss_scale"] = fmt::format("{}", state.loss_scale);
    metadata["good_steps"] = fmt::format("{}", state.good_steps);
  }

  // Host copies of the arenas; the records point into them.
  const nn::Tensor arenas[3] = {model.arena().master().to(nn::Device::host),
                                model.arena().moment1().to(nn::Device::host),
                                model.arena().moment2().to(nn::Device::host)};
  const char* prefixes[3] = {"", "adam.m/", "adam.v/"};
  std::vector<nn::TensorRecord> records;
  for (int k = 0; k < 3; ++k)
    for (const nn::Parameter& p : model.arena().parameters()) {
      std::vector<std::int64_t> shape;
      for (int i = 0; i < p.shape.rank(); ++i) shape.push_back(p.shape[i]);
      const std::size_t item = nn::size_of(arenas[k].dtype());
      records.push_back({prefixes[k] + p.name, arenas[k].dtype(), shape,
                         static_cast<const std::byte*>(arenas[k].raw()) + item * p.offset,
                         item * p.shape.numel()});
    }
  nn::save_safetensors(path, metadata, records);
}

Checkpoint open_checkpoint(const std::filesystem::path& path) {
  std::filesystem::path used;
  nn::SafetensorsFile file = nn::load_newest(path, &used);
  const auto format = file.metadata().find("format");
  if (format == file.metadata().end() || format->second != kModelFormat)
    damaged(used, "a safetensors file, but no doppel model: metadata 'format' should be {}",
            kModelFormat);
  return {std::move(file), std::move(used)};
}

LoadedModel load_model(const Checkpoint& checkpoint, nn::Device device, nn::DType working,
                       bool with_optimizer) {
  const auto& [file, used] = checkpoint;
  LoadedModel loaded;
  loaded.used = used;
  loaded.metadata = file.metadata();
  loaded.model = make_model(loaded.metadata["model"]);
  nn::StepState& state = loaded.state;
  state.step = parse_number<std::uint64_t>(loaded.metadata, "step", used);
  state.seed = parse_number<std::uint64_t>(loaded.metadata, "seed", used);
  state.skipped = parse_number<std::uint32_t>(loaded.metadata, "skipped", used);
  state.learning_rate = parse_number<float>(loaded.metadata, "learning_rate", used);
  if (loaded.metadata.contains("loss_scale")) {
    state.loss_scale = parse_number<float>(loaded.metadata, "loss_scale", used);
    state.good_steps = parse_number<std::uint32_t>(loaded.metadata, "good_steps", used);
  }

  nn::ParameterArena& arena = loaded.model->arena();
  arena.allocate(
      device, working, state.seed,
      with_optimizer ? nn::ParameterArena::Use::training : nn::ParameterArena::Use::inference);
  for (const nn::Parameter& p : arena.parameters()) {
    fill(file, used, p.name, p.master);
    if (with_optimizer) {
      fill(file, used, "adam.m/" + p.name, p.moment1);
      fill(file, used, "adam.v/" + p.name, p.moment2);
    }
  }
  arena.refresh_working();
  return loaded;
}

LoadedModel load_model(const std::filesystem::path& path, nn::Device device, nn::DType working,
                       bool with_optimizer) {
  return load_model(open_checkpoint(path), device, working, with_optimizer);
}
}  // namespace faceswap
