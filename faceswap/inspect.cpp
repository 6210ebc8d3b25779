#include "faceswap/inspect.h"

#include <fmt/format.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include "faceswap/faces/face_file.h"
#include "faceswap/faces/face_json.h"
#include "faceswap/media/media.h"
#include "faceswap/models/model_file.h"
#include "faceswap/provenance.h"
#include "faceswap/train/preview.h"

namespace faceswap {
namespace {

using Json = nlohmann::ordered_json;

Json inspect_safetensors(const std::filesystem::path& path) {
  const nn::SafetensorsFile file(path, false);
  const auto format = file.metadata().find("format");
  const bool is_model = format != file.metadata().end() && format->second == kModelFormat;
  Json json = {{"kind", is_model ? "model" : "safetensors"},
               {"file", path.string()},
               {"bytes", std::filesystem::file_size(path)},
               {"checksum", file.has_checksum() ? "correct" : "absent"}};
  std::int64_t parameters = 0;
  Json tensors = Json::array();
  for (const nn::TensorRecord& t : file.tensors()) {
    const bool moment = t.name.starts_with("adam.");
    std::int64_t numel = 1;
    for (const std::int64_t extent : t.shape) numel *= extent;
    if (is_model && (moment || t.name.starts_with("__"))) continue;
    parameters += numel;
    Json entry = {{"name", t.name}, {"dtype", nn::name(t.dtype)}, {"shape", t.shape}};
    if (t.dtype == nn::DType::f32) {
      const float* values = reinterpret_cast<const float*>(t.data);
      double sum = 0, square = 0;
      bool finite = true;
      for (std::int64_t i = 0; i < numel; ++i) {
        sum += values[i];
        square += static_cast<double>(values[i]) * values[i];
        finite = finite && std::isfinite(values[i]);
      }
      const double mean = numel ? sum / static_cast<double>(numel) : 0;
      entry["mean"] = mean;
      entry["deviation"] =
          numel ? std::sqrt(std::max(0.0, square / static_cast<double>(numel) - mean * mean)) : 0;
      entry["finite"] = finite;
    }
    tensors.push_back(std::move(entry));
  }
  json["parameters"] = parameters;
  json["metadata"] = file.metadata();
  json["tensors"] = std::move(tensors);
  return json;
}

Json inspect_image(const std::filesystem::path& path) {
  const bool png = path.extension() == ".png" || path.extension() == ".PNG";
  if (png && read_png_text(path, "doppel-face")) {
    const FaceFile file = read_face(path);
    return {{"kind", "face"},
            {"file", path.string()},
            {"width", file.crop.width},
            {"height", file.crop.height},
            {"face", Json::parse(to_json(file.face))}};
  }
  const Image image = read_image(path);
  return {{"kind", "image"},
          {"file", path.string()},
          {"width", image.width},
          {"height", image.height},
          {"marked_synthetic", png && has_synthetic_mark(path)}};
}

Json inspect_media(const std::filesystem::path& path) {
  const std::unique_ptr<FrameSource> source = open_source(path);
  const SourceInfo& info = source->info();
  Json json = {{"kind", info.kind == SourceInfo::folder ? "folder" : "video"},
               {"file", path.string()},
               {"width", info.width},
               {"height", info.height},
               {"frames", info.frames},
               {"frame_rate", info.frame_rate.value()},
               {"seconds", info.seconds},
               {"rotation", info.rotation},
               {"codec", info.codec},
               {"pixel_format", info.pixel_format},
               {"sound", info.has_audio}};
  if (info.kind == SourceInfo::video) json["marked_synthetic"] = has_synthetic_mark(path);
  return json;
}
}  // namespace

std::string inspect_json(const std::filesystem::path& path) {
  if (!std::filesystem::exists(path))
    throw Error(ErrorKind::input,
                fmt::format("{}: there is no such file or folder. Check the path", path.string()));
  if (std::filesystem::is_directory(path))
    return (std::filesystem::exists(path / kModelFile) ? inspect_safetensors(path / kModelFile)
                                                       : inspect_media(path))
        .dump(2);
  if (path.extension() == ".safetensors" || path.extension() == ".prev")
    return inspect_safetensors(path).dump(2);
  return (is_image_file(path) ? inspect_image(path) : inspect_media(path)).dump(2);
}

void dump_swap_samples(const std::filesystem::path& model_dir, const std::filesystem::path& faces_a,
                       const std::filesystem::path& faces_b, int count,
                       const std::filesystem::path& out) {
  const LoadedModel loaded =
      load_model(model_dir / kModelFile, nn::Device::host, nn::DType::f32, false);
  const int size = loaded.model->size();
  const FaceSet a(faces_a, stored_size_for(size, faces_a), nn::Device::host, true),
      b(faces_b, stored_size_for(size, faces_b), nn::Device::host, true);
  const SwapSamples samples =
      swap_samples(*loaded.model, a, b, std::min({count, a.count(), b.count()}));
  std::vector<nn::TensorRecord> records;
  for (const auto& [name, tensor] :
       {std::pair("input_a", samples.input[0]), std::pair("a_to_a", samples.same[0]),
        std::pair("a_to_b", samples.swapped[0]), std::pair("input_b", samples.input[1]),
        std::pair("b_to_b", samples.same[1]), std::pair("b_to_a", samples.swapped[1])}) {
    std::vector<std::int64_t> shape;
    for (int i = 0; i < tensor.shape().rank(); ++i) shape.push_back(tensor.shape(i));
    records.push_back({name, nn::DType::f32, shape, static_cast<const std::byte*>(tensor.raw()),
                       tensor.numel() * sizeof(float)});
  }
  nn::save_safetensors(out, {{"model", loaded.model->name()}}, records);
}
}  // namespace faceswap
