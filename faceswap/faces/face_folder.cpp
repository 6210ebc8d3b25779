#include "faceswap/faces/face_folder.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <set>

#include "faceswap/faces/face_file.h"
#include "faceswap/parallel.h"

namespace faceswap {
namespace {

[[noreturn]] void refuse(const std::string& message) { throw Error(ErrorKind::usage, message); }
}  // namespace

std::string describe(const FolderPerson& person) {
  if (!person.name.empty()) return person.name;
  return person.number < 0 ? "faces of no person" : fmt::format("person {}", person.number);
}

FaceFolder::FaceFolder(const std::filesystem::path& folder) : path_(folder), decisions_(folder) {
  const std::vector<std::string> names = face_names(folder);
  if (names.empty()) refuse_empty_folder(folder);
  faces_.resize(names.size());
  originals_.resize(names.size());
  parallel_for(static_cast<int>(names.size()), [&](int i) {
    FolderFace& face = faces_[static_cast<std::size_t>(i)];
    face.name = names[static_cast<std::size_t>(i)];
    face.path = folder / face.name;
    face.face = read_face_metadata(face.path);
    face.stored = face.face.to_canonical;
    originals_[static_cast<std::size_t>(i)] = {face.face.person,
                                               {face.face.eyes[0], face.face.eyes[1]}};
  });
  for (std::size_t i = 0; i < names.size(); ++i) index_[names[i]] = i;
  apply();
}

const FolderFace* FaceFolder::find(const std::string& name) const {
  const auto found = index_.find(name);
  return found == index_.end() ? nullptr : &faces_[found->second];
}

int FaceFolder::kept() const {
  return static_cast<int>(std::ranges::count(faces_, false, &FolderFace::dropped));
}

std::vector<FolderPerson> FaceFolder::people() const {
  std::map<int, FolderPerson> people;
  for (const FolderFace& face : faces_) {
    FolderPerson& person = people[face.face.person];
    ++(face.dropped ? person.dropped : person.kept);
  }
  std::vector<FolderPerson> list;
  for (auto& [number, person] : people) {
    person.number = number;
    if (const auto name = people_names_.find(number); name != people_names_.end())
      person.name = name->second;
    list.push_back(std::move(person));
  }
  return list;
}

int FaceFolder::unused_person() const {
  int last = people_names_.empty() ? -1 : people_names_.rbegin()->first;
  for (const FolderFace& face : faces_) last = std::max(last, face.face.person);
  for (const Original& original : originals_) last = std::max(last, original.person);
  return last + 1;
}

void FaceFolder::apply() {
  for (std::size_t i = 0; i < faces_.size(); ++i) {
    FolderFace& face = faces_[i];
    if (face.realigned) move_eyes(face, face.stored, originals_[i].eyes);
    face.realigned = face.changed = false;
    face.face.person = originals_[i].person;
    face.dropped = lies_in_refused(face.name);
    face.reason = !face.dropped               ? ""
                  : face.face.refused.empty() ? "refused by extraction"
                                              : face.face.refused;
  }
  people_names_.clear();
  for (const DecisionStep& step : decisions_.steps())
    for (const Decision& decision : step) {
      if (decision.kind == Decision::rename) people_names_[decision.person] = decision.text;
      for (const std::string& name : decision.faces)
        if (const auto found = index_.find(name); found != index_.end())
          apply(decision, faces_[found->second]);
    }
}

void FaceFolder::apply(const Decision& decision, FolderFace& face) {
  face.changed = true;
  switch (decision.kind) {
    case Decision::drop:
      face.dropped = true;
      face.reason = decision.text.empty() ? "dropped by you" : decision.text;
      break;
    case Decision::keep:
      face.dropped = false;
      face.reason.clear();
      break;
    case Decision::move: face.face.person = decision.person; break;
    case Decision::align:
      move_eyes(face, similarity_from_eyes(decision.eyes[0], decision.eyes[1]), decision.eyes);
      face.realigned = true;
      break;
    case Decision::rename: break;  // of no face
  }
}

// The landmarks move along: they keep their places in the aligned face.
void FaceFolder::move_eyes(FolderFace& face, const Similarity& to_canonical, const Point* eyes) {
  const Similarity moved = face.face.to_canonical.then(to_canonical.inverse());
  for (Point& p : face.face.landmarks) p = moved(p);
  face.face.to_canonical = to_canonical;
  std::copy_n(eyes, 2, face.face.eyes);
}

void FaceFolder::check(const DecisionStep& step) const {
  if (step.empty()) refuse("a step without a decision; expected at least one");
  std::set<int> people;  // also those that the step itself makes
  for (const FolderFace& face : faces_) people.insert(face.face.person);
  for (const Decision& decision : step) {
    for (const std::string& name : decision.faces)
      if (!find(name))
        refuse(fmt::format("{}: no face of this name; `doppel faces list {}` names them",
                           (path_ / name).string(), path_.string()));
    if (decision.kind != Decision::rename && decision.faces.empty())
      refuse(fmt::format("{}: a decision on no face; expected at least one", path_.string()));
    if (decision.kind == Decision::move && (decision.person < 0 || decision.person > kMaxPerson))
      refuse(fmt::format("person {} is no number to move faces to; expected 0 to {}",
                         decision.person, kMaxPerson));
    if (decision.kind == Decision::move) people.insert(decision.person);
    if (decision.kind == Decision::rename &&
        (decision.person < 0 || !people.contains(decision.person)))
      refuse(fmt::format("{}: no person {}; `doppel faces list {}` shows them", path_.string(),
                         decision.person, path_.string()));
    if (decision.kind == Decision::align) check_eyes(decision);
  }
}

void FaceFolder::check_eyes(const Decision& decision) {
  const Point left = decision.eyes[0], right = decision.eyes[1];
  for (const double v : {left.x, left.y, right.x, right.y})
    if (!(std::abs(v) <= kMaxCoordinate)) refuse("an eye lies outside every frame");
  const double apart = distance(left, right), scale = apart > 0 ? 80 / apart : 0;
  if (decision.faces.size() != 1 || scale < 1e-3 || scale > 1e3)
    refuse(
        fmt::format("eyes {:.3f} pixels apart cannot align a face; expected one face, and 0.08 "
                    "to 80000 pixels",
                    apart));
}

void FaceFolder::decide(const DecisionStep& step) {
  refresh();
  check(step);  // before a file is made for it
  decisions_.add(step, [&] {
    apply();  // what other processes decided meanwhile
    check(step);
  });
  apply();
}

bool FaceFolder::undo() {
  const bool done = decisions_.undo();
  apply();
  return done;
}

bool FaceFolder::redo() {
  const bool done = decisions_.redo();
  apply();
  return done;
}

bool FaceFolder::refresh() {
  const bool changed = decisions_.refresh();
  if (changed) apply();
  return changed;
}

std::vector<std::string> FaceFolder::missing() const {
  std::vector<std::string> missing;
  for (const std::string& name : decisions_.names())
    if (!find(name)) missing.push_back(name);
  return missing;
}

FaceFile read_decided(const FolderFace& face, int size) {
  FaceFile file = read_face(face.path);
  const int stored_size = file.face.crop_size;
  if (size == 0) size = stored_size;
  file.face = face.face;
  file.face.crop_size = size;
  // From a picture of `side` pixels as stored to the canonical square as decided.
  const auto to_canonical = [&](int side) {
    return canonical_to_crop(side)
        .inverse()
        .then(face.stored.inverse())
        .then(face.face.to_canonical);
  };
  if (face.realigned || size != stored_size)
    file.crop = crop_face(file.crop, to_canonical(stored_size), size);
  if (face.realigned && !file.mask.empty())
    file.mask = crop_face(file.mask, to_canonical(file.mask.width), file.mask.width);
  return file;
}
}  // namespace faceswap
