#include "faceswap/faces/extract_journal.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <functional>
#include <nlohmann/json.hpp>
#include <span>

#include "faceswap/faces/face_file.h"
#include "faceswap/media/files.h"
#include "nn/checkpoint/atomic_file.h"

namespace faceswap {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

constexpr const char* kFormat = "doppel-extraction/1";
constexpr std::uintmax_t kMaxJournal = 256u << 20;

std::string lower_ascii(std::string text) {
  for (char& c : text)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  return text;
}

Json to_json(const SourceRecord& s) {
  Json json{{"path", s.path}, {"content", s.content}, {"prefix", s.prefix}};
  if (!s.done) return json;
  auto tracks = Json::array();
  for (const auto& [track, faces] : s.faces_per_track) tracks.push_back({track, faces});
  json["done"] = {{"settings", s.settings},
                  {"tracks", {s.first_track, s.end_track}},
                  {"frames_read", s.frames_read},
                  {"frames_used", s.frames_used},
                  {"frames_without_face", s.frames_without_face},
                  {"damaged_frames", s.damaged_frames},
                  {"faces", tracks},
                  {"refused", s.refused}};
  return json;
}

SourceRecord record_from(const Json& json) {
  SourceRecord s;
  json.at("path").get_to(s.path);
  json.at("content").get_to(s.content);
  json.at("prefix").get_to(s.prefix);
  // It becomes a part of file names, and a folder may come from a stranger.
  if (s.prefix.empty() || s.prefix[0] == '.' || s.prefix.find('/') != std::string::npos ||
      s.prefix.find('\0') != std::string::npos)
    throw std::runtime_error("a prefix that cannot begin a file name");
  if (!json.contains("done")) return s;
  s.done = true;
  const Json& done = json["done"];
  done.at("settings").get_to(s.settings);
  done.at("tracks").at(0).get_to(s.first_track);
  done.at("tracks").at(1).get_to(s.end_track);
  done.at("frames_read").get_to(s.frames_read);
  done.at("frames_used").get_to(s.frames_used);
  done.at("frames_without_face").get_to(s.frames_without_face);
  done.at("damaged_frames").get_to(s.damaged_frames);
  for (const Json& track : done.at("faces"))
    s.faces_per_track[track.at(0).get<int>()] = track.at(1).get<std::int64_t>();
  done.at("refused").get_to(s.refused);
  return s;
}

// Paths may be any bytes; JSON is UTF-8.
std::string as_utf8(const fs::path& path) {
  const std::string quoted =
      Json(path.string()).dump(-1, ' ', false, Json::error_handler_t::replace);
  return Json::parse(quoted).get<std::string>();
}

void for_each_name(const fs::path& folder, const std::function<void(const fs::path&)>& visit) {
  for (const fs::path& here : {folder, folder / "refused"}) {
    std::vector<fs::path> files;  // listed before any of them goes
    std::error_code problem;
    for (fs::directory_iterator it(here, problem), end; !problem && it != end;
         it.increment(problem))
      files.push_back(it->path());
    for (const fs::path& file : files) visit(file);
  }
}
}  // namespace

std::string prefix_of(const std::string& name) {
  const auto digits_before = [&](std::size_t end) {
    std::size_t at = end;
    while (at > 0 && name[at - 1] >= '0' && name[at - 1] <= '9') --at;
    return end - at;
  };
  if (!name.ends_with(".png")) return "";
  std::size_t end = name.size() - 4;
  const std::size_t face = digits_before(end);
  if (face == 0 || face + 1 >= end || name[end - face - 1] != '_') return "";
  end -= face + 1;
  const std::size_t frame = digits_before(end);
  if (frame < 6 || frame + 1 >= end || name[end - frame - 1] != '_') return "";
  return name.substr(0, end - frame - 1);
}

void remove_faces(const fs::path& folder, const std::set<std::string>& prefixes) {
  for_each_name(folder, [&](const fs::path& file) {
    if (prefixes.contains(prefix_of(file.filename().string()))) fs::remove(file);
  });
}

void remove_temporaries(const fs::path& folder) {
  for_each_name(folder, [](const fs::path& file) {
    const std::string name = file.filename().string();
    if (name.starts_with('.') && name.find(".png.part-") != std::string::npos) fs::remove(file);
  });
}

FolderLock::FolderLock(const fs::path& folder)
    : descriptor_(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)) {
  if (descriptor_ < 0)
    throw Error(ErrorKind::disk, fmt::format("{}: cannot open the folder: {}. Check its rights",
                                             folder.string(), std::strerror(errno)));
  if (::flock(descriptor_, LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK) {
    ::close(descriptor_);
    throw Error(ErrorKind::usage,
                fmt::format("{}: another extraction is writing into this folder; wait for it, or "
                            "name another folder with -o",
                            folder.string()));
  }
}

FolderLock::~FolderLock() { ::close(descriptor_); }

ExtractJournal::ExtractJournal(const fs::path& folder)
    : folder_(fs::absolute(folder).lexically_normal()) {
  for_each_name(folder_, [&](const fs::path& file) {
    const std::string prefix = prefix_of(file.filename().string());
    if (!prefix.empty()) prefixes_.insert(lower_ascii(prefix));
  });

  const fs::path file = folder_ / kJournalFile;
  if (!fs::exists(file)) {
    look_at_older_faces();
    return;
  }
  const std::vector<std::byte> bytes = read_whole_file(file, kMaxJournal);
  try {
    const auto* text = reinterpret_cast<const char*>(bytes.data());
    const Json json = Json::parse(text, text + bytes.size());
    if (json.at("format") != kFormat) throw std::runtime_error("of another version");
    json.at("unfinished").get_to(unfinished);
    json.at("older_tracks").get_to(older_tracks_);
    for (const Json& source : json.at("sources")) {
      sources.push_back(record_from(source));
      prefixes_.insert(lower_ascii(sources.back().prefix));
    }
  } catch (const std::exception& problem) {
    throw Error(ErrorKind::damaged,
                fmt::format("{}: is not an extraction's record: {}. Remove it to add to the folder "
                            "as if its faces came from elsewhere, or name another folder",
                            file.string(), problem.what()));
  }
}

// Faces without a journal keep their track numbers, so new ones start above them.
void ExtractJournal::look_at_older_faces() {
  try {
    for (const fs::path& path : list_faces(folder_))
      older_tracks_ = std::max(older_tracks_, read_face(path).face.track + 1);
  } catch (const Error&) {
    // No faces, or a picture that is none: training will name it.
  }
}

void ExtractJournal::save() const {
  Json json{{"format", kFormat}, {"unfinished", unfinished}, {"older_tracks", older_tracks_}};
  auto list = Json::array();
  for (const SourceRecord& source : sources) list.push_back(to_json(source));
  json["sources"] = std::move(list);
  const std::string text = json.dump(1, ' ', false, Json::error_handler_t::replace) + "\n";
  const std::span<const std::byte> piece = std::as_bytes(std::span(text));
  nn::write_file_atomically(folder_ / kJournalFile, std::span(&piece, 1), false);
}

std::size_t ExtractJournal::claim(const ExtractSource& source) {
  const std::string path = as_utf8(source.path.lexically_relative(folder_));
  const auto find = [&](auto&& same_place) {
    return static_cast<std::size_t>(std::find_if(sources.begin(), sources.end(),
                                                 [&](const SourceRecord& known) {
                                                   return known.content == source.content &&
                                                          same_place(known.path);
                                                 }) -
                                    sources.begin());
  };
  std::size_t found = find([&](const std::string& known) { return known == path; });
  if (found == sources.size())
    found = find([&](const std::string& known) {
      std::error_code ignored;
      return !fs::exists(folder_ / known, ignored);
    });
  if (found == sources.size()) {
    SourceRecord record;
    record.content = source.content;
    const std::string name = face_prefix(source.path);
    record.prefix = name;
    for (int copy = 2; !prefixes_.insert(lower_ascii(record.prefix)).second; ++copy)
      record.prefix = fmt::format("{}-{}", name, copy);
    sources.push_back(std::move(record));
  }
  sources[found].path = path;
  return found;
}

int ExtractJournal::next_track() const {
  int next = older_tracks_;
  for (const SourceRecord& source : sources)
    if (source.done) next = std::max(next, source.end_track);
  return next;
}
}  // namespace faceswap
