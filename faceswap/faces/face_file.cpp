// The JSON comes from outside as soon as folders are shared, so the reader is strict:
// bounded size and depth, exactly the known fields, finite numbers within limits.
#include "faceswap/faces/face_file.h"

#include <algorithm>
#include <cmath>
#include <system_error>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "faceswap/media/media.h"

namespace faceswap {
namespace {

using nlohmann::json;

constexpr const char* kSchema = "doppel-face/1";
constexpr const char* kKeyword = "doppel-face";
constexpr std::size_t kMaxJson = 16384;  // bytes; a real record has about 500
constexpr std::size_t kMaxName = 1024;   // bytes of the source's file name
constexpr int kMaxDepth = 4;
constexpr double kMaxCoordinate = 1e7;  // pixels

[[noreturn]] void refuse(const std::string& why) {
  throw Error(ErrorKind::damaged, fmt::format("face metadata: {}; extract the faces again", why));
}

[[noreturn]] void refuse(const std::string& field, const std::string& why) {
  refuse(fmt::format("field \"{}\" {}", field, why));
}

const json& member(const json& object, const char* field) {
  const auto found = object.find(field);
  if (found == object.end()) refuse(field, "is missing");
  return *found;
}

double number(const json& value, const std::string& field, double lowest, double highest) {
  if (!value.is_number()) refuse(field, fmt::format("must be a number, got {}", value.type_name()));
  const double v = value.get<double>();
  if (!std::isfinite(v) || v < lowest || v > highest)
    refuse(field, fmt::format("must lie in [{}, {}], got {}", lowest, highest, v));
  return v;
}

std::int64_t integer(const json& value, const std::string& field, std::int64_t lowest,
                     std::int64_t highest) {
  const bool fits = value.is_number_unsigned()
                        ? value.get<std::uint64_t>() <= static_cast<std::uint64_t>(INT64_MAX)
                        : value.is_number_integer();
  if (!fits)
    refuse(field, fmt::format("must be a 64-bit whole number, got {}", value.dump().substr(0, 40)));
  const auto v = value.get<std::int64_t>();
  if (v < lowest || v > highest)
    refuse(field, fmt::format("must lie in [{}, {}], got {}", lowest, highest, v));
  return v;
}

double coordinate(const json& value, const std::string& field) {
  return number(value, field, -kMaxCoordinate, kMaxCoordinate);
}

const json& array_of(const json& value, const std::string& field, std::size_t count) {
  if (!value.is_array() || value.size() != count)
    refuse(field, fmt::format("must be a list of {} entries, got {}", count, value.type_name()));
  return value;
}
}  // namespace

std::string to_json(const Face& face) {
  const Similarity& s = face.to_canonical;
  for (const double v :
       {s.a, s.b, s.tx, s.ty, face.eyes[0].x, face.eyes[0].y, face.eyes[1].x, face.eyes[1].y,
        face.box_x, face.box_y, face.box_side, face.confidence, face.sharpness, face.seconds})
    if (!std::isfinite(v))
      throw Error(ErrorKind::failure,
                  fmt::format("face of {} frame {}: a value is not finite, so it cannot be written",
                              face.source, face.frame));
  const json record = {
      {"schema", kSchema},
      {"source", face.source.substr(0, kMaxName)},
      {"frame", face.frame},
      {"pts", face.pts},
      {"seconds", face.seconds},
      {"track", face.track},
      {"to_canonical", {s.a, s.b, s.tx, s.ty}},
      {"eyes", {{face.eyes[0].x, face.eyes[0].y}, {face.eyes[1].x, face.eyes[1].y}}},
      {"box", {face.box_x, face.box_y, face.box_side}},
      {"confidence", face.confidence},
      {"sharpness", face.sharpness},
      {"crop_size", face.crop_size}};
  // JSON must be UTF-8; file names need not be.
  return record.dump(-1, ' ', false, json::error_handler_t::replace);
}

Face face_from_json(const std::string& text) {
  if (text.size() > kMaxJson)
    refuse(fmt::format("{} bytes, expected at most {}", text.size(), kMaxJson));
  const auto shallow = [](int depth, json::parse_event_t, json&) {
    if (depth > kMaxDepth) refuse(fmt::format("nested deeper than {} levels", kMaxDepth));
    return true;
  };
  json record;
  try {
    record = json::parse(text, shallow);
  } catch (const json::exception& e) { refuse(fmt::format("not JSON: {}", e.what())); }
  if (!record.is_object())
    refuse(fmt::format("expected a JSON object, got {}", record.type_name()));
  static const std::vector<std::string> known = {
      "schema",       "source", "frame", "pts",        "seconds",   "track",
      "to_canonical", "eyes",   "box",   "confidence", "sharpness", "crop_size"};
  for (const auto& item : record.items())
    if (std::find(known.begin(), known.end(), item.key()) == known.end())
      refuse(item.key().substr(0, 40), fmt::format("is not part of {}", kSchema));

  const json& schema = member(record, "schema");
  if (!schema.is_string() || schema.get_ref<const std::string&>() != kSchema)
    refuse("schema", fmt::format("must be \"{}\"", kSchema));
  Face face;
  const json& source = member(record, "source");
  if (!source.is_string() || source.get_ref<const std::string&>().size() > 3 * kMaxName)
    refuse("source", fmt::format("must be a text of at most {} bytes", 3 * kMaxName));
  face.source = source.get<std::string>();
  face.frame = integer(member(record, "frame"), "frame", 0, std::int64_t{1} << 40);
  face.pts = integer(member(record, "pts"), "pts", INT64_MIN, INT64_MAX);
  face.seconds = number(member(record, "seconds"), "seconds", -1e9, 1e9);
  face.track = static_cast<int>(integer(member(record, "track"), "track", 0, 1 << 30));
  const json& similarity = array_of(member(record, "to_canonical"), "to_canonical", 4);
  double values[4];
  for (std::size_t i = 0; i < 4; ++i) values[i] = coordinate(similarity[i], "to_canonical");
  face.to_canonical = {values[0], values[1], values[2], values[3]};
  const double scale = face.to_canonical.scale();
  if (scale < 1e-3 || scale > 1e3)
    refuse("to_canonical", fmt::format("has scale {}, expected 0.001 to 1000", scale));
  const json& eyes = array_of(member(record, "eyes"), "eyes", 2);
  for (std::size_t i = 0; i < 2; ++i) {
    const json& eye = array_of(eyes[i], "eyes", 2);
    face.eyes[i] = {coordinate(eye[0], "eyes"), coordinate(eye[1], "eyes")};
  }
  const json& box = array_of(member(record, "box"), "box", 3);
  face.box_x = coordinate(box[0], "box");
  face.box_y = coordinate(box[1], "box");
  face.box_side = number(box[2], "box", 0, kMaxCoordinate);
  face.confidence = number(member(record, "confidence"), "confidence", 0, 1e6);
  face.sharpness = number(member(record, "sharpness"), "sharpness", 0, 1e9);
  face.crop_size = static_cast<int>(integer(member(record, "crop_size"), "crop_size", 16, 4096));
  return face;
}

void write_face(const std::filesystem::path& path, const Image& crop, const Face& face) {
  if (crop.channels != 3 || crop.width != face.crop_size || crop.height != face.crop_size)
    throw Error(
        ErrorKind::failure,
        fmt::format("write_face: {}: the crop is {}x{}x{}, expected {}x{}x3", path.string(),
                    crop.width, crop.height, crop.channels, face.crop_size, face.crop_size));
  write_png(path, crop, {{kKeyword, to_json(face)}});
}

FaceFile read_face(const std::filesystem::path& path) {
  PngFile png = read_png(path);
  const std::optional<std::string> text = find_text(png.texts, kKeyword);
  if (!text)
    throw Error(ErrorKind::input,
                fmt::format("{}: not a face picture: no \"{}\" chunk, which `doppel extract` "
                            "writes; move the file out of the folder",
                            path.string(), kKeyword));
  FaceFile file;
  file.path = path;
  try {
    file.face = face_from_json(*text);
  } catch (const Error& e) {
    throw Error(e.kind(), fmt::format("{}: {}", path.string(), e.what()));
  }
  file.crop = std::move(png.rgb);
  if (file.crop.width != file.face.crop_size || file.crop.height != file.face.crop_size)
    throw Error(
        ErrorKind::damaged,
        fmt::format("{}: the picture is {}x{}, its metadata says {}x{}; extract the faces again",
                    path.string(), file.crop.width, file.crop.height, file.face.crop_size,
                    file.face.crop_size));
  return file;
}

std::vector<std::filesystem::path> list_faces(const std::filesystem::path& folder) {
  std::error_code problem;
  if (!std::filesystem::is_directory(folder, problem))
    throw Error(ErrorKind::input,
                fmt::format("{}: no such folder of faces; make one with `doppel extract`",
                            folder.string()));
  std::vector<std::filesystem::path> faces;
  std::filesystem::directory_iterator entries(folder, problem);
  if (problem)
    throw Error(ErrorKind::input,
                fmt::format("{}: the folder cannot be listed: {}; check its permissions",
                            folder.string(), problem.message()));
  for (const auto& entry : entries) {
    const std::string name = entry.path().filename().string();
    if (entry.is_regular_file(problem) && entry.path().extension() == ".png" &&
        name != "sheet.png" && name.front() != '.')
      faces.push_back(entry.path());
  }
  if (faces.empty())
    throw Error(
        ErrorKind::nothing_found,
        fmt::format("{}: no face pictures (*.png) in this folder; run `doppel extract` first",
                    folder.string()));
  std::sort(faces.begin(), faces.end());
  return faces;
}
}  // namespace faceswap
