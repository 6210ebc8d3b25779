#include "faceswap/faces/face_query.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <set>

namespace faceswap {
namespace {

// The entries of one list, each checked to be among those that the folder has.
template <class T>
std::set<T> checked(const FaceFolder& folder, const char* what, const std::vector<T>& wanted,
                    const std::set<T>& present) {
  for (const T& entry : wanted) {
    if (present.contains(entry)) continue;
    std::string there;
    int count = 0;
    for (const T& other : present)
      if (++count <= 20) there += fmt::format("{}{}", count == 1 ? "" : ", ", other);
    throw Error(ErrorKind::usage,
                fmt::format("{}: no {} {}; there {}: {}{}", folder.path().string(), what, entry,
                            present.size() == 1 ? "is" : "are", there.empty() ? "none" : there,
                            count > 20 ? ", ..." : ""));
  }
  return {wanted.begin(), wanted.end()};
}

std::string name_in_folder(const FaceFolder& folder, const std::string& file) {
  if (folder.find(file)) return file;
  // A path as a shell completes it.
  const std::filesystem::path relative =
      std::filesystem::path(file).lexically_normal().lexically_relative(
          folder.path().lexically_normal() / "");
  if (folder.find(relative.generic_string())) return relative.generic_string();
  throw Error(ErrorKind::usage,
              fmt::format("{}: no face of {}; `doppel faces list {} --json` names them", file,
                          folder.path().string(), folder.path().string()));
}
}  // namespace

bool FaceQuery::empty() const {
  return files.empty() && people.empty() && tracks.empty() && marks.empty() && sources.empty();
}

int find_person(const FaceFolder& folder, const std::string& text) {
  int number = -1;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  const bool is_number = error == std::errc() && end == text.data() + text.size();
  std::string there;
  for (const FolderPerson& person : folder.people()) {
    if (is_number ? person.number == number : !text.empty() && person.name == text)
      return person.number;
    if (person.number >= 0)
      there += fmt::format("{}{}{}", there.empty() ? "" : ", ", person.number,
                           person.name.empty() ? "" : fmt::format(" ({})", person.name));
  }
  throw Error(
      ErrorKind::usage,
      fmt::format("{}: no person {}; there {}", folder.path().string(), text,
                  there.empty() ? "are only tracks: choose with --track" : "are: " + there));
}

FaceList find_faces(const FaceFolder& folder, const FaceQuery& query) {
  std::set<int> all_tracks, people;
  std::set<std::string> all_marks, all_sources, files;
  for (const FolderFace& face : folder.faces()) {
    all_tracks.insert(face.face.track);
    all_sources.insert(face.face.source);
  }
  for (int mark = 0; mark < kFaceMarks; ++mark) all_marks.insert(name(static_cast<FaceMark>(mark)));
  const std::set<int> tracks = checked(folder, "track", query.tracks, all_tracks);
  const std::set<std::string> marks = checked(folder, "mark", query.marks, all_marks),
                              sources = checked(folder, "source", query.sources, all_sources);
  for (const std::string& person : query.people) people.insert(find_person(folder, person));
  for (const std::string& file : query.files) files.insert(name_in_folder(folder, file));

  FaceList chosen;
  for (const FolderFace& face : folder.faces()) {
    const auto marked = [&](FaceMark mark) { return marks.contains(name(mark)); };
    if ((files.empty() || files.contains(face.name)) &&
        (people.empty() || people.contains(face.face.person)) &&
        (tracks.empty() || tracks.contains(face.face.track)) &&
        (marks.empty() || std::ranges::any_of(face.face.marks, marked)) &&
        (sources.empty() || sources.contains(face.face.source)))
      chosen.push_back(&face);
  }
  return chosen;
}
}  // namespace faceswap
