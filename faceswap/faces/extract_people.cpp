#include "faceswap/faces/extract_people.h"

#include <algorithm>
#include <set>
#include <system_error>

#include <fmt/format.h>

#include "faceswap/faces/face_file.h"
#include "faceswap/faces/people.h"
#include "faceswap/media/files.h"
#include "faceswap/media/images.h"
#include "faceswap/parallel.h"

namespace faceswap {
namespace {

namespace fs = std::filesystem;

constexpr const char* kStranger = "not a person that was asked for";
constexpr const char* kUnwanted = "a person to leave out";
constexpr const char* kDuplicate = "near-duplicate";

struct Entry {
  std::string name;  // of the file, in the folder
  Face face;
  int person = -1;     // as found now
  std::string reason;  // to leave now; empty: stays where it is

  bool stays() const { return reason.empty() && !lies_in_refused(name); }
};

// All that belong to tracks: also those that have left, in one order wherever they lie, so
// that another run comes to the same. One that was on its way when a run was killed is in
// both folders, and counts once.
std::vector<Entry> read_entries(const fs::path& folder) {
  std::vector<Entry> entries;
  std::set<std::string> here;
  for (std::string& name : face_names(folder)) {
    if (!lies_in_refused(name)) here.insert(name);
    else if (here.contains(name.substr(std::string(kRefusedFolder).size() + 1))) continue;
    entries.push_back({std::move(name), {}, -1, {}});
  }
  std::ranges::sort(entries, {}, [](const Entry& e) { return fs::path(e.name).filename(); });
  parallel_for(static_cast<int>(entries.size()), [&](int i) {
    Entry& entry = entries[static_cast<std::size_t>(i)];
    entry.face = read_face_metadata(folder / entry.name);
  });
  std::erase_if(entries, [](const Entry& entry) { return entry.face.track < 0; });
  return entries;
}

// Without the identity network nobody is told apart: person -1.
std::map<int, int> people_of_tracks(const std::vector<TrackIdentity>& tracks) {
  std::map<int, int> people;
  const bool told = std::ranges::any_of(
      tracks, [](const TrackIdentity& track) { return !track.samples.empty(); });
  if (!told) return people;
  const std::vector<int> persons = group_tracks(tracks);
  for (std::size_t i = 0; i < tracks.size(); ++i) people[tracks[i].track] = persons[i];
  return people;
}

void leave_out_strangers(std::vector<Entry>& entries, const std::vector<TrackIdentity>& tracks,
                         const CleaningOptions& options) {
  if (options.keep.empty() && options.drop.empty()) return;
  const std::map<int, ReferencePeople::Answer> answers =
      compare_tracks(tracks, open_references({options.keep, options.drop}, options.detection));
  for (Entry& entry : entries) {
    const ReferencePeople::Answer& answer = answers.at(entry.face.track);
    if (answer.wanted || !entry.stays()) continue;
    const bool dropped = answer.distance < kSamePerson &&
                         std::ranges::find(options.drop, answer.nearest) != options.drop.end();
    entry.reason = dropped ? kUnwanted : kStranger;
  }
}

// Faces that have left in an earlier choice take part in this one, which so comes out the
// same. They are not taken back.
void choose(std::vector<Entry>& entries, const fs::path& folder, const CleaningOptions& options,
            std::map<std::string, FaceLook>& looks) {
  if (options.least_difference <= 0 && options.diverse == 0) return;
  const std::string surplus = fmt::format("beyond --diverse {}", options.diverse);
  const auto takes_part = [&](const Entry& entry) {
    return entry.stays() || (options.least_difference > 0 && entry.face.refused == kDuplicate) ||
           (options.diverse > 0 && entry.face.refused == surplus);
  };
  std::map<int, std::vector<std::size_t>> people;
  for (std::size_t i = 0; i < entries.size(); ++i)
    if (takes_part(entries[i])) people[entries[i].person].push_back(i);
  std::vector<FaceLook> all(entries.size());
  parallel_for(static_cast<int>(entries.size()), [&](int k) {
    const auto i = static_cast<std::size_t>(k);
    if (!takes_part(entries[i])) return;
    if (const auto known = looks.find(entries[i].name); known != looks.end()) {
      all[i] = known->second;
    } else {
      const FaceFile file = read_face(folder / entries[i].name);
      all[i] = look_of(file.face, file.crop);
    }
  });
  for (const auto& [person, faces] : people) {
    const auto leave = [&](std::vector<std::size_t>& from, const std::vector<std::size_t>& stay,
                           const std::string& reason) {
      std::vector<std::size_t> left;
      std::size_t next = 0;
      for (std::size_t k = 0; k < from.size(); ++k)
        if (next < stay.size() && stay[next] == k) left.push_back(from[k]), ++next;
        else if (entries[from[k]].stays()) entries[from[k]].reason = reason;
      from = std::move(left);
    };
    const auto looks_of = [&](const std::vector<std::size_t>& chosen) {
      std::vector<FaceLook> some;
      for (const std::size_t i : chosen) some.push_back(all[i]);
      return some;
    };
    std::vector<std::size_t> left = faces;
    if (options.least_difference > 0)
      leave(left, without_near_duplicates(looks_of(left), options.least_difference), kDuplicate);
    if (options.diverse > 0 && left.size() > static_cast<std::size_t>(options.diverse))
      leave(left, choose_diverse(looks_of(left), static_cast<std::size_t>(options.diverse)),
            surplus);
  }
}
}  // namespace

void clean_faces(const fs::path& folder, const CleaningOptions& options,
                 std::map<std::string, FaceLook> looks) {
  std::vector<Entry> entries = read_entries(folder);
  std::vector<Face> faces;
  for (const Entry& entry : entries) faces.push_back(entry.face);
  const std::vector<TrackIdentity> tracks = identities_of_tracks(faces);
  const std::map<int, int> people = people_of_tracks(tracks);
  for (Entry& entry : entries)
    if (const auto person = people.find(entry.face.track); person != people.end())
      entry.person = person->second;
  leave_out_strangers(entries, tracks, options);
  choose(entries, folder, options, looks);

  // A face that leaves is written to its new place first: killed in between, it is in both
  // and leaves again.
  const fs::path refused = folder / kRefusedFolder;
  std::error_code problem;
  if (std::ranges::any_of(entries, [](const Entry& e) { return !e.reason.empty(); }))
    fs::create_directories(refused, problem);
  parallel_for(static_cast<int>(entries.size()), [&](int i) {
    Entry& entry = entries[static_cast<std::size_t>(i)];
    if (entry.face.person != entry.person || !entry.reason.empty()) {
      entry.face.person = entry.person;
      if (!entry.reason.empty()) {
        entry.face.refused = entry.reason;
        write_whole_file(refused / entry.name, read_whole_file(folder / entry.name, kMaxImageBytes),
                         true);
        rewrite_face(refused / entry.name, entry.face);
        fs::remove(folder / entry.name);
      } else {
        rewrite_face(folder / entry.name, entry.face);
      }
    }
  });
}
}  // namespace faceswap
