// The JSON comes from outside as soon as folders are shared, so the reader is strict:
// bounded size and depth, exactly the known fields, finite numbers within limits.
#include "faceswap/faces/face_json.h"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace faceswap {
namespace {

using nlohmann::json;

constexpr const char* kSchema = "doppel-face/2";
constexpr const char* kOldSchema = "doppel-face/1";  // ends with crop_size
constexpr std::size_t kMaxJson = 65536;              // bytes; a real record has about 9000
constexpr std::size_t kMaxName = 1024;               // bytes of the source's file name
constexpr int kMaxDepth = 4;

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

std::string short_text(const json& value, const std::string& field) {
  if (!value.is_string() || value.get_ref<const std::string&>().size() > 3 * kMaxName)
    refuse(field, fmt::format("must be a text of at most {} bytes", 3 * kMaxName));
  return value.get<std::string>();
}

const json& array_of(const json& value, const std::string& field, std::size_t count) {
  if (!value.is_array() || value.size() != count)
    refuse(field, fmt::format("must be a list of {} entries, got {}", count, value.type_name()));
  return value;
}
}  // namespace

namespace {

constexpr std::size_t kIdentitySize = 128, kLandmarks = 468;

struct Measure {
  const char* name;
  double FaceMeasures::*value;
  double lowest, highest;
};
constexpr Measure kMeasures[] = {{"presence", &FaceMeasures::presence, 0, 1},
                                 {"yaw", &FaceMeasures::yaw, -180, 180},
                                 {"pitch", &FaceMeasures::pitch, -180, 180},
                                 {"roll", &FaceMeasures::roll, -180, 180},
                                 {"mouth_open", &FaceMeasures::mouth_open, 0, 100},
                                 {"brightness", &FaceMeasures::brightness, 0, 1},
                                 {"contrast", &FaceMeasures::contrast, 0, 1},
                                 {"visible", &FaceMeasures::visible, 0, 1},
                                 {"covered", &FaceMeasures::covered, 0, 1}};

double rounded(double value, double step) { return std::round(value / step) * step; }

json measures_record(const FaceMeasures& measures) {
  json record = {{"eye_open", {measures.eye_open[0], measures.eye_open[1]}}};
  for (const Measure& m : kMeasures) record[m.name] = measures.*m.value;
  return record;
}

FaceMeasures read_measures(const json& record) {
  if (!record.is_object()) refuse("measures", "must be an object");
  FaceMeasures measures;
  for (const Measure& m : kMeasures)
    measures.*m.value = number(member(record, m.name), m.name, m.lowest, m.highest);
  const json& eyes = array_of(member(record, "eye_open"), "eye_open", 2);
  for (std::size_t i = 0; i < 2; ++i) measures.eye_open[i] = number(eyes[i], "eye_open", 0, 100);
  if (record.size() != std::size(kMeasures) + 1) refuse("measures", "has unknown entries");
  return measures;
}

std::vector<FaceMark> read_marks(const json& list) {
  if (!list.is_array()) refuse("marks", "must be a list");
  std::vector<FaceMark> marks;
  for (const json& entry : list) {
    if (!entry.is_string()) refuse("marks", "must hold names");
    int mark = 0;
    while (mark < kFaceMarks && entry.get<std::string>() != name(static_cast<FaceMark>(mark)))
      ++mark;
    if (mark == kFaceMarks) refuse("marks", "holds an unknown name");
    if (!marks.empty() && static_cast<int>(marks.back()) >= mark)
      refuse("marks", "must be ascending");
    marks.push_back(static_cast<FaceMark>(mark));
  }
  return marks;
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
  const auto all_finite = [](const auto& values, const auto& size) {
    return std::ranges::all_of(values, [&](const auto& v) { return std::isfinite(size(v)); });
  };
  if (!all_finite(face.landmarks, [](Point p) { return p.x + p.y; }) ||
      !all_finite(face.identity, [](float v) { return v; }))
    throw Error(ErrorKind::failure,
                fmt::format("face of {} frame {}: a landmark or its identity is not finite",
                            face.source, face.frame));
  json marks = json::array(), landmarks = json::array(), identity = json::array();
  for (const FaceMark mark : face.marks) marks.push_back(name(mark));
  for (const Point p : face.landmarks)
    landmarks.push_back({rounded(p.x, 1. / 64), rounded(p.y, 1. / 64)});
  for (const float v : face.identity) identity.push_back(rounded(v, 1. / 8192));
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
      {"crop_size", face.crop_size},
      {"person", face.person},
      {"landmarks", landmarks},
      {"measures", measures_record(face.measures)},
      {"marks", marks},
      {"refused", face.refused.substr(0, kMaxName)},
      {"identity", identity}};
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
  const json& schema = member(record, "schema");
  const bool old = schema == kOldSchema;
  if (schema != kSchema && !old) refuse("schema", fmt::format("must be \"{}\"", kSchema));
  static const std::vector<std::string> known = {
      "schema",       "source",    "frame",    "pts",        "seconds",   "track",
      "to_canonical", "eyes",      "box",      "confidence", "sharpness", "crop_size",
      "person",       "landmarks", "measures", "marks",      "identity",  "refused"};
  constexpr int kOldFields = 12;
  for (const auto& item : record.items())
    if (std::find(known.begin(), old ? known.begin() + kOldFields : known.end(), item.key()) ==
        (old ? known.begin() + kOldFields : known.end()))
      refuse(item.key().substr(0, 40), fmt::format("is not part of {}", schema.dump()));

  Face face;
  face.source = short_text(member(record, "source"), "source");
  face.frame = integer(member(record, "frame"), "frame", 0, std::int64_t{1} << 40);
  face.pts = integer(member(record, "pts"), "pts", INT64_MIN, INT64_MAX);
  face.seconds = number(member(record, "seconds"), "seconds", -1e9, 1e9);
  face.track = static_cast<int>(integer(member(record, "track"), "track", -1, 1 << 30));
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
  if (old) return face;

  face.person = static_cast<int>(integer(member(record, "person"), "person", -1, kMaxPerson));
  face.measures = read_measures(member(record, "measures"));
  face.marks = read_marks(member(record, "marks"));
  face.refused = short_text(member(record, "refused"), "refused");
  const json &landmarks = member(record, "landmarks"), &identity = member(record, "identity");
  array_of(landmarks, "landmarks", landmarks.empty() ? 0 : kLandmarks);
  for (const json& point : landmarks) {
    array_of(point, "landmarks", 2);
    face.landmarks.push_back(
        {coordinate(point[0], "landmarks"), coordinate(point[1], "landmarks")});
  }
  array_of(identity, "identity", identity.empty() ? 0 : kIdentitySize);
  for (const json& value : identity)
    face.identity.push_back(static_cast<float>(number(value, "identity", -100, 100)));
  return face;
}
}  // namespace faceswap
