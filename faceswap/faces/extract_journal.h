// The memory of a folder of faces: which sources lie in it under which prefix, and
// whether the last extraction into it came to its end. A file of JSON in the folder,
// replaced as a whole, so that a killed extraction can go on.
#pragma once
#include <cstdint>
#include <filesystem>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "faceswap/faces/extract_inputs.h"

namespace faceswap {

inline constexpr const char* kJournalFile = "extraction.json";

struct SourceRecord {
  std::string path;      // from the folder to the source: "../anna.mp4"
  std::string content;   // as in ExtractSource
  std::string prefix;    // its files are PREFIX_<frame>_<face>.png
  std::string settings;  // that its faces were extracted with
  bool done = false;
  // Of a source that is done:
  int first_track = 0, end_track = 0;  // its tracks have numbers in between
  std::int64_t frames_read = 0, frames_used = 0, frames_without_face = 0, damaged_frames = 0;
  std::map<int, std::int64_t> faces_per_track;
  std::map<std::string, std::int64_t> refused;  // by reason
};

// Keeps other extractions out of a folder while it lives, also across a crash: the system
// lets go of it with the process.
class FolderLock {
 public:
  explicit FolderLock(const std::filesystem::path& folder);  // Error(usage): another one is at work
  ~FolderLock();
  FolderLock(const FolderLock&) = delete;
  FolderLock& operator=(const FolderLock&) = delete;

 private:
  int descriptor_;
};

class ExtractJournal {
 public:
  explicit ExtractJournal(const std::filesystem::path& folder);  // reads it; Error(damaged)
  void save() const;  // on the disk on return; Error(disk)

  // The record of this source, made if there is none. Two sources are one if their
  // content is, and their path too or the old path is gone. A new one gets a prefix that
  // no file in the folder has, upper and lower case counting as one letter.
  std::size_t claim(const ExtractSource&);
  int next_track() const;  // larger than all in the folder

  std::vector<SourceRecord> sources;
  std::string unfinished;  // settings and inputs of an extraction that was stopped, or empty

 private:
  void look_at_older_faces();
  std::filesystem::path folder_;
  std::set<std::string> prefixes_;  // in lower case: taken by files or sources
  int older_tracks_ = 0;
};

// The prefix of PREFIX_<frame>_<face>.png; empty: no such name.
std::string prefix_of(const std::string& file_name);
// Deletes the faces with these prefixes, in the folder and in its `refused`.
void remove_faces(const std::filesystem::path& folder, const std::set<std::string>& prefixes);
// Deletes what a killed extraction left half written.
void remove_temporaries(const std::filesystem::path& folder);
}  // namespace faceswap
