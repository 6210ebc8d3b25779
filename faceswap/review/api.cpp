#include "faceswap/review/api.h"

#include <algorithm>
#include <cmath>
#include <map>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace faceswap {
namespace {

using nlohmann::json;

constexpr double kSamePerson = 0.6;      // distance of identities, see Face::identity
constexpr double kUsualDistance = 0.35;  // within one person
constexpr std::size_t kMaxText = 200;    // bytes of a name or a reason
constexpr double kLeastEyeDistance = 2;  // pixels

double rounded(double value) { return std::round(value * 1000) / 1000; }

[[noreturn]] void refuse(const std::string& why) {
  throw Error(ErrorKind::usage, "review: the request " + why);
}

using Identity = std::vector<double>;

double distance_between(const Identity& a, const std::vector<float>& b) {
  double sum = 0;
  for (std::size_t i = 0; i < a.size(); ++i) sum += (a[i] - b[i]) * (a[i] - b[i]);
  return std::sqrt(sum);
}

// The mean identity of each person's kept faces, or of all its faces where none is kept.
std::map<int, Identity> mean_identities(const FaceFolder& folder) {
  std::map<int, int> kept;
  for (const FolderPerson& person : folder.people()) kept[person.number] = person.kept;
  std::map<int, Identity> means;
  std::map<int, int> counts;
  for (const FolderFace& face : folder.faces()) {
    const int person = face.face.person;
    const std::vector<float>& identity = face.face.identity;
    if (identity.empty() || (face.dropped && kept[person] > 0)) continue;
    Identity& sum = means[person];
    sum.resize(identity.size());
    for (std::size_t i = 0; i < identity.size(); ++i) sum[i] += identity[i];
    ++counts[person];
  }
  for (auto& [person, sum] : means)
    for (double& value : sum) value /= counts[person];
  return means;
}

struct Near {
  int person = -1;
  double distance = -1;
};

Near nearest_person(int person, const std::map<int, Identity>& means) {
  Near near;
  const auto own = means.find(person);
  if (person < 0 || own == means.end()) return near;
  const std::vector<float> mine(own->second.begin(), own->second.end());
  for (const auto& [other, mean] : means) {
    if (other == person || other < 0) continue;
    const double distance = distance_between(mean, mine);
    if (near.person < 0 || distance < near.distance) near = {other, distance};
  }
  return near;
}

std::vector<double> numbers(const json& value, std::size_t count) {
  if (!value.is_array() || value.size() != count)
    refuse(fmt::format("must have {} numbers in \"eyes\"", count));
  std::vector<double> all;
  for (const json& entry : value) {
    if (!entry.is_number()) refuse("must have numbers in \"eyes\"");
    all.push_back(entry.get<double>());
    if (!(std::abs(all.back()) <= kMaxCoordinate)) refuse("has eyes outside of any picture");
  }
  return all;
}

std::string short_text(const json& request) {
  const auto found = request.find("text");
  if (found == request.end()) return "";
  if (!found->is_string()) refuse("must have a text in \"text\"");
  const std::string text = found->get<std::string>();
  const bool printable = std::ranges::none_of(text, [](unsigned char c) { return c < 32; });
  if (text.size() > kMaxText || !printable)
    refuse(fmt::format("has a text over {} bytes or with control characters", kMaxText));
  return text;
}

std::vector<std::string> face_list(const json& request, const std::vector<FolderFace>& faces) {
  const auto found = request.find("faces");
  if (found == request.end() || !found->is_array() || found->empty())
    refuse("must list at least one face in \"faces\"");
  std::vector<int> indices;
  for (const json& entry : *found) {
    if (!entry.is_number_unsigned() || entry.get<std::uint64_t>() >= faces.size())
      refuse(fmt::format("must have numbers below {} in \"faces\"", faces.size()));
    indices.push_back(entry.get<int>());
  }
  std::ranges::sort(indices);
  indices.erase(std::unique(indices.begin(), indices.end()), indices.end());
  std::vector<std::string> names;
  for (const int index : indices) names.push_back(faces[static_cast<std::size_t>(index)].name);
  return names;
}

int person_number(const json& request, const FaceFolder& folder) {
  const auto found = request.find("person");
  if (found != request.end() && *found == "new") return folder.unused_person();
  if (found == request.end() || !found->is_number_integer())
    refuse("must have a number in \"person\"");
  const auto number = found->get<std::int64_t>();
  if (number < -1 || number > 1 << 30) refuse("has no person's number in \"person\"");
  return static_cast<int>(number);
}

Decision decision_of(const std::string& what, const json& request, const FaceFolder& folder) {
  Decision decision;
  decision.text = short_text(request);
  if (what == "rename") {
    decision.kind = Decision::rename;
    decision.person = person_number(request, folder);
    return decision;
  }
  decision.faces = face_list(request, folder.faces());
  if (what == "drop") {
    decision.kind = Decision::drop;
  } else if (what == "keep") {
    decision.kind = Decision::keep;
  } else if (what == "move") {
    decision.kind = Decision::move;
    decision.person = person_number(request, folder);
  } else if (what == "align") {
    decision.kind = Decision::align;
    if (decision.faces.size() != 1) refuse("must align one face at a time");
    const std::vector<double> xy = numbers(request.value("eyes", json()), 4);
    decision.eyes[0] = {xy[0], xy[1]};
    decision.eyes[1] = {xy[2], xy[3]};
    if (distance(decision.eyes[0], decision.eyes[1]) < kLeastEyeDistance)
      refuse("has both eyes at one place");
  } else {
    refuse("must have drop, keep, move, rename, align, undo or redo in \"do\"");
  }
  return decision;
}

json coefficients(const Similarity& s) { return {s.a, s.b, s.tx, s.ty}; }

// Every text of a folder's file names and metadata may hold any bytes; JSON is UTF-8.
std::string text_of(const json& value) {
  return value.dump(-1, ' ', false, json::error_handler_t::replace);
}
}  // namespace

double face_doubt(const Face& face, double distance) {
  double doubt = 0.25 * static_cast<double>(face.marks.size());
  if (!face.landmarks.empty()) doubt += 2 * (1 - face.measures.presence);
  if (distance > kUsualDistance)
    doubt += (distance - kUsualDistance) / (kSamePerson - kUsualDistance);
  return doubt;
}

ReviewSet::ReviewSet(const std::filesystem::path& folder) : folder_(folder) {}

const std::filesystem::path& ReviewSet::face_path(int index) const {
  if (index < 0 || index >= count())
    throw Error(ErrorKind::usage, fmt::format("review: there is no face {} in {}, only 0 to {}",
                                              index, path().string(), count() - 1));
  return folder_.faces()[static_cast<std::size_t>(index)].path;
}

std::string ReviewSet::faces() const {
  const std::lock_guard lock(mutex_);
  json list = json::array();
  for (const FolderFace& entry : folder_.faces()) {
    const Face& face = entry.face;
    json marks = json::array();
    for (const FaceMark mark : face.marks) marks.push_back(name(mark));
    json one = {{"name", entry.name},
                {"source", face.source},
                {"frame", face.frame},
                {"seconds", rounded(face.seconds)},
                {"track", face.track},
                {"pixels", std::round(kCanonicalSize / entry.stored.scale())},
                {"sharpness", rounded(face.sharpness)},
                {"refused", face.refused},
                {"marks", marks}};
    if (!face.landmarks.empty()) {
      const FaceMeasures& m = face.measures;
      one.update({{"presence", rounded(m.presence)},
                  {"yaw", rounded(m.yaw)},
                  {"pitch", rounded(m.pitch)},
                  {"roll", rounded(m.roll)},
                  {"eyes_open", rounded(std::min(m.eye_open[0], m.eye_open[1]))},
                  {"mouth_open", rounded(m.mouth_open)},
                  {"brightness", rounded(m.brightness)},
                  {"contrast", rounded(m.contrast)},
                  {"visible", rounded(m.visible)},
                  {"covered", rounded(m.covered)}});
    }
    list.push_back(std::move(one));
  }
  return text_of(list);
}

std::string ReviewSet::state() {
  const std::lock_guard lock(mutex_);
  folder_.refresh();
  const std::map<int, Identity> means = mean_identities(folder_);
  json faces = json::array();
  for (const FolderFace& entry : folder_.faces()) {
    const Face& face = entry.face;
    const auto mean = means.find(face.person);
    const bool known = face.person >= 0 && !face.identity.empty() && mean != means.end();
    const double distance = known ? distance_between(mean->second, face.identity) : -1;
    faces.push_back({face.person, entry.dropped ? 1 : 0, entry.realigned ? 1 : 0,
                     rounded(face_doubt(face, distance)), rounded(distance), entry.reason});
  }
  json people = json::array();
  for (const FolderPerson& person : folder_.people()) {
    const Near near = nearest_person(person.number, means);
    people.push_back({{"number", person.number},
                      {"name", person.name},
                      {"kept", person.kept},
                      {"dropped", person.dropped},
                      {"near", near.person},
                      {"distance", rounded(near.distance)}});
  }
  return text_of({{"people", people},
                  {"faces", faces},
                  {"kept", folder_.kept()},
                  {"undoable", folder_.undoable()},
                  {"redoable", folder_.redoable()}});
}

std::string ReviewSet::face(int index) const {
  face_path(index);  // checks the index
  const std::lock_guard lock(mutex_);
  const FolderFace& entry = folder_.faces()[static_cast<std::size_t>(index)];
  const Face& face = entry.face;
  const Similarity to_picture = canonical_to_crop(face.crop_size);
  json landmarks = json::array();
  for (const Point p : face.landmarks) {
    landmarks.push_back(rounded(p.x));
    landmarks.push_back(rounded(p.y));
  }
  return text_of({{"size", face.crop_size},
                  {"crop", coefficients(entry.stored.then(to_picture))},
                  {"aligned", coefficients(face.to_canonical.then(to_picture))},
                  {"eyes", {face.eyes[0].x, face.eyes[0].y, face.eyes[1].x, face.eyes[1].y}},
                  {"landmarks", landmarks}});
}

std::string ReviewSet::change(const std::string& text) {
  const json request = json::parse(text, nullptr, false);
  if (!request.is_object()) refuse("must be a JSON object");
  const auto word = request.find("do");
  if (word == request.end() || !word->is_string()) refuse("must have a word in \"do\"");
  const std::string what = word->get<std::string>();
  {
    const std::lock_guard lock(mutex_);
    folder_.refresh();
    if (what == "undo") folder_.undo();
    else if (what == "redo") folder_.redo();
    else folder_.decide(decision_of(what, request, folder_));
  }
  return state();
}
}  // namespace faceswap
