// One clip after the other goes through a pipeline of threads:
//   read_ahead()    decodes, and makes RGB of the frames that are wanted
//   this thread     tracks the faces; frames are kept until their shot ends
//   ExtractWriter   cuts and examines the faces of finished shots, in the order of the
//                   frames, in one thread; compresses and writes them in several
// All that depends on an order happens in one thread, so the faces do not depend on the
// number of threads.
#include "faceswap/faces/extract.h"

#include <algorithm>
#include <chrono>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <system_error>

#include <fmt/format.h>

#include "faceswap/faces/extract_journal.h"
#include "faceswap/faces/extract_people.h"
#include "faceswap/faces/extract_writer.h"
#include "faceswap/faces/face_file.h"
#include "faceswap/faces/sheet.h"
#include "faceswap/faces/tracker.h"
#include "faceswap/media/files.h"
#include "faceswap/media/read_ahead.h"
#include "faceswap/progress.h"
#include "faceswap/stopwatch.h"

namespace faceswap {
namespace {

namespace fs = std::filesystem;

constexpr int kFramesAhead = 8;
constexpr std::size_t kPhotosAtOnce = 64;  // share a tracker, and are done or not as one

void check(const ExtractOptions& options) {
  const auto refuse = [](const std::string& message) {
    throw Error(ErrorKind::usage, "extract: " + message);
  };
  if (options.inputs.empty()) refuse("no input; name clips, folders of pictures or pictures");
  if (options.out.empty()) refuse("no output folder; name one with -o");
  if (options.every < 1) refuse(fmt::format("--every must be at least 1, got {}", options.every));
  if (options.size < 64 || options.size > 1024)
    refuse(fmt::format("--size must lie in 64..1024, got {}", options.size));
  if (options.max_faces < 0)
    refuse(fmt::format("--max-faces must be at least 0, got {}", options.max_faces));
  std::error_code ignored;
  if (fs::exists(options.out, ignored) && !fs::is_directory(options.out, ignored))
    refuse(fmt::format("{} is a file; name a folder with -o", options.out.string()));
  for (const fs::path& input : options.inputs) {
    if (!fs::exists(input, ignored)) open_source(input);  // throws
    if (fs::equivalent(input, options.out, ignored))
      refuse(
          fmt::format("{} is both input and output; name another folder with -o", input.string()));
  }
}

// All that decides which faces a source gives, and how they look.
std::string settings_of(const ExtractOptions& o) {
  std::string text = fmt::format(
      "every {}, size {}, detector {}, landmarks {}, min-face {}, max-faces {}, difference {}, "
      "diverse {}",
      o.every, o.size, o.detection.detector, o.detection.landmarks, o.detection.min_face,
      o.max_faces, o.least_difference, o.diverse);
  for (const fs::path& picture : o.people) text += ", person " + picture.string();
  for (const fs::path& picture : o.not_people) text += ", not " + picture.string();
  return text;
}

// Frames between two detections: 2 or 3 where this still includes each kept frame.
int detection_interval(int every) { return every % 3 == 0 ? 3 : every % 2 == 0 ? 2 : 1; }

// Frames that wait for the end of their shot, the newest of them up to a number of bytes.
class KeptFrames {
 public:
  explicit KeptFrames(std::size_t most_bytes) : most_(most_bytes) {}
  void add(Frame frame) {
    frame.native.reset();
    bytes_ += frame.rgb.pixels.size();
    frames_.push_back(std::make_shared<const Frame>(std::move(frame)));
    while (bytes_ > most_) drop_first();
  }
  // Those of these faces, and drops all up to the last of them. None if one is missing.
  std::vector<std::shared_ptr<const Frame>> take(const FacesByFrame& faces) {
    std::vector<std::shared_ptr<const Frame>> taken;
    while (!frames_.empty() && frames_.front()->index <= faces.rbegin()->first) {
      if (faces.contains(frames_.front()->index)) taken.push_back(frames_.front());
      drop_first();
    }
    if (taken.size() < faces.size()) taken.clear();
    return taken;
  }

 private:
  void drop_first() {
    bytes_ -= frames_.front()->rgb.pixels.size();
    frames_.pop_front();
  }
  std::size_t most_, bytes_ = 0;
  std::deque<std::shared_ptr<const Frame>> frames_;
};

class Extraction {
 public:
  explicit Extraction(const ExtractOptions& options)
      : options_(options), settings_(settings_of(options)) {}

  ExtractReport run() {
    {
      const Stopwatch running(report_.times.wall);
      check(options_);
      inputs_ = list_inputs(options_.inputs, options_.pictures, options_.every);
      make_folder();
      const FolderLock lock(options_.out);
      try {
        ExtractJournal journal(options_.out);
        begin(journal);
        extract_all(journal);
        finish(journal);
      } catch (...) {
        remove_empty_folder();
        throw;
      }
    }
    return report_;
  }

 private:
  void make_folder() {
    std::error_code problem;
    fresh_ = fs::create_directories(options_.out, problem);
    if (problem)
      throw Error(ErrorKind::disk,
                  fmt::format("{}: the folder cannot be made: {}; choose another one",
                              options_.out.string(), problem.message()));
  }

  void remove_empty_folder() const {
    std::error_code problem;
    for (const auto& entry : fs::directory_iterator(options_.out, problem))
      if (!fresh_ || entry.path().filename() != kJournalFile) return;
    fs::remove(options_.out / kJournalFile, problem);
    fs::remove(options_.out, problem);
  }

  // --- the folder before and after

  void begin(ExtractJournal& journal) {
    std::string command = settings_;
    for (const ExtractSource& source : inputs_.sources) command += "\n" + source.content;
    if (!options_.force && journal.unfinished != command) refuse_used_folder(journal);
    remove_temporaries(options_.out);
    for (const ExtractSource& source : inputs_.sources) claimed_.push_back(journal.claim(source));
    for (const std::size_t record : std::set(claimed_.begin(), claimed_.end())) {
      ++report_.sources;
      report_.done_before += is_done(journal.sources[record]);
    }
    journal.unfinished = std::move(command);
    journal.save();
  }

  void refuse_used_folder(const ExtractJournal& journal) const {
    if (face_names(options_.out).empty()) return;
    if (!journal.unfinished.empty())
      throw Error(ErrorKind::usage,
                  fmt::format("extract: {} holds an extraction that was stopped; go on with the "
                              "same inputs and options, or use --force to add these",
                              options_.out.string()));
    throw Error(ErrorKind::usage,
                fmt::format("extract: {} already holds pictures; name another folder, or use "
                            "--force to add to it",
                            options_.out.string()));
  }

  bool is_done(const SourceRecord& source) const {
    return source.done && source.settings == settings_;
  }

  std::vector<ExtractClip> clips_to_do(const ExtractJournal& journal) const {
    std::vector<ExtractClip> clips;
    std::set<std::size_t> seen;  // an input may be named twice
    for (std::size_t i = 0; i < inputs_.sources.size(); ++i) {
      const ExtractSource& source = inputs_.sources[i];
      if (is_done(journal.sources[claimed_[i]]) || !seen.insert(claimed_[i]).second) continue;
      const bool photo = source.kind == ExtractSource::photo;
      if (!photo || clips.empty() || !clips.back().photos ||
          clips.back().sources.size() == kPhotosAtOnce) {
        ExtractClip& clip = clips.emplace_back();
        clip.photos = photo;
        if (!photo) clip.every = options_.every, clip.interval = detection_interval(clip.every);
      }
      clips.back().sources.push_back(source);
      clips.back().records.push_back(claimed_[i]);
    }
    return clips;
  }

  void finish(ExtractJournal& journal) {
    std::map<int, std::int64_t> per_track;
    for (const std::size_t record : std::set(claimed_.begin(), claimed_.end())) {
      const SourceRecord& source = journal.sources[record];
      report_.frames_read += source.frames_read;
      report_.frames_used += source.frames_used;
      report_.frames_without_face += source.frames_without_face;
      report_.damaged_frames += source.damaged_frames;
      for (const auto& [track, faces] : source.faces_per_track) per_track[track] += faces;
      for (const auto& [reason, faces] : source.refused) report_.refused[reason] += faces;
    }
    for (const auto& [track, faces] : per_track) report_.faces += faces;
    report_.faces_per_track.assign(per_track.begin(), per_track.end());
    report_.tracks = static_cast<int>(per_track.size());
    report_.stopped = stop_signal() != 0;
    describe();
    if (report_.stopped) return;
    if (report_.failed.empty()) {
      journal.unfinished.clear();
      journal.save();
    }
    if (report_.faces == 0) nothing_found();
  }

  void describe() {
    report_.notes = inputs_.notes;
    const std::string missing = missing_networks(options_.detection);
    if (!missing.empty()) report_.notes.push_back(missing);
    if (report_.done_before > 0)
      report_.notes.push_back(fmt::format("{} of {} inputs were in {} already: left as they are",
                                          report_.done_before, report_.sources,
                                          options_.out.string()));
    for (const auto& [text, files] : picture_notes_)
      report_.notes.push_back(
          files.count == 1 ? fmt::format("{}: {}", files.first, text)
                           : fmt::format("{} and {} more: {}", files.first, files.count - 1, text));
    report_.skipped.insert(report_.skipped.begin(), inputs_.skipped.begin(), inputs_.skipped.end());
  }

  [[noreturn]] void nothing_found() const {
    if (report_.frames_read == 0 && unread_)
      throw Error(ErrorKind::input, fmt::format("{}: {}", unread_->path, unread_->why));
    const std::string where = options_.inputs.size() == 1
                                  ? options_.inputs[0].string()
                                  : fmt::format("{} inputs", options_.inputs.size());
    std::string refused;
    for (const auto& [reason, faces] : report_.refused)
      refused += fmt::format("{}{} ({})", refused.empty() ? "" : ", ", reason, faces);
    if (!refused.empty())
      throw Error(ErrorKind::nothing_found,
                  fmt::format("{}: every face was refused: {}; look at {}", where, refused,
                              (options_.out / "refused").string()));
    throw Error(ErrorKind::nothing_found,
                fmt::format("{}: no face found in {} frames; {}", where, report_.frames_used,
                            detection_limits(options_.detection)));
  }

  // --- the pipeline

  void extract_all(ExtractJournal& journal) {
    const std::vector<ExtractClip> clips = clips_to_do(journal);
    ExtractWriter writer(options_, settings_, journal);
    for (const ExtractClip& clip : clips) {
      if (stop_signal()) break;
      extract_from(std::make_shared<const ExtractClip>(clip), writer);
    }
    writer.wait();
    const StageTimes writing = writer.times();
    report_.times.decode += writing.decode;
    report_.times.convert += writing.convert;
    report_.times.align = writing.align;
    report_.times.write = writing.write;
    if (stop_signal() == 0) clean(journal, writer.take_looks());
    if (options_.sheet && !face_names(options_.out).empty()) try {
        write_sheet(FaceFolder(options_.out));
      } catch (const Error& error) {
        if (error.kind() != ErrorKind::damaged && error.kind() != ErrorKind::input) throw;
        inputs_.notes.push_back(fmt::format("no sheet: {}", error.what()));
      }
  }

  // The last step over the whole folder. The records are counted anew: a run that was killed
  // in this step has moved faces without a record of it.
  void clean(ExtractJournal& journal, std::map<std::string, FaceLook> looks) {
    clean_faces(options_.out,
                {.keep = options_.people,
                 .drop = options_.not_people,
                 .least_difference = options_.least_difference,
                 .diverse = options_.diverse,
                 .detection = options_.detection},
                std::move(looks));
    std::map<std::string, SourceRecord*> records;  // by prefix
    for (SourceRecord& source : journal.sources) {
      records[source.prefix] = &source;
      source.faces_per_track.clear();
      source.refused.clear();
    }
    std::map<int, std::int64_t> people;
    for (const std::string& name : face_names(options_.out)) {
      const Face face = read_face_metadata(options_.out / name);
      const bool kept = !lies_in_refused(name);
      people[face.person] += kept;
      const auto record = records.find(prefix_of(fs::path(name).filename().string()));
      if (record == records.end()) continue;
      ++(kept ? record->second->faces_per_track[face.track]
              : record->second->refused[face.refused]);
    }
    std::erase_if(people, [](const auto& person) { return person.second == 0; });
    journal.save();
    report_.faces_per_person.assign(people.begin(), people.end());
  }

  void extract_from(const std::shared_ptr<const ExtractClip>& clip, ExtractWriter& writer) {
    std::unique_ptr<FrameSource> source;
    try {
      source = read_ahead(clip->open(), kFramesAhead);
    } catch (const Error& error) {
      if (error.kind() != ErrorKind::input) throw;
      unread_ = skipped_file(clip->sources[0].path, error);
      report_.failed.push_back(*unread_);
      return;
    }
    const std::unique_ptr<FaceTracker> tracker = make_tracker(options_.detection, source->info());
    writer.begin(clip);
    writer.end(clip, track(clip, *source, *tracker, writer));
    const SourceInfo& info = source->info();
    report_.times.decode += info.decode_seconds;
    report_.times.convert += info.convert_seconds;
    report_.skipped.insert(report_.skipped.end(), info.skipped.begin(), info.skipped.end());
    if (!info.skipped.empty()) unread_ = info.skipped.back();
  }

  ExtractReading track(const std::shared_ptr<const ExtractClip>& clip, FrameSource& source,
                       FaceTracker& tracker, ExtractWriter& writer) {
    source.want([interval = clip->interval](std::int64_t i) { return i % interval == 0; });
    Progress progress("finding faces in " + name_of(*clip), source.info().frames, options_.quiet);
    ExtractReading reading;
    reading.frames.resize(clip->sources.size());
    KeptFrames kept(options_.kept_bytes);
    FacesByFrame later;
    std::int64_t read = 0;
    for (Frame frame; !stop_signal() && source.next(frame); frame = Frame{}) {
      const bool used = frame.index % clip->every == 0;
      ExtractReading::Counts& counts = reading.frames[clip->source_of(frame.index)];
      ++counts.read;
      counts.used += used;
      for (const std::string& note : frame.notes)
        if (NotedFiles& files = picture_notes_[note]; files.count++ == 0) files.first = frame.name;
      if (frame.index % clip->interval == 0) {
        const Stopwatch detecting(report_.times.detect);
        tracker.push(frame);
        if (clip->photos) tracker.finish();  // each is a shot of its own
      }
      if (used && later.empty()) kept.add(std::move(frame));
      hand_over(clip, new_faces(*clip, tracker, reading), kept, later, writer);
      if (clip->photos) kept = KeptFrames(options_.kept_bytes);  // no shot goes on
      progress.update(++read);
    }
    {
      const Stopwatch detecting(report_.times.detect);
      tracker.finish();
    }
    hand_over(clip, new_faces(*clip, tracker, reading), kept, later, writer);
    if (!later.empty()) writer.write_decoded_again(clip, std::move(later));
    reading.whole = stop_signal() == 0;
    if (!clip->photos) reading.frames[0].damaged = source.info().damaged_frames;
    report_.frames_now += read;
    progress.finish();
    return reading;
  }

  static std::string name_of(const ExtractClip& clip) {
    return clip.photos && clip.sources.size() > 1 ? fmt::format("{} photos", clip.sources.size())
                                                  : face_prefix(clip.sources[0].path);
  }

  // Of the shots that have ended, in the frames that are kept.
  FacesByFrame new_faces(const ExtractClip& clip, FaceTracker& tracker, ExtractReading& reading) {
    std::vector<Face> finished;
    {
      const Stopwatch detecting(report_.times.detect);
      finished = tracker.take_finished();
    }
    FacesByFrame faces;
    for (Face& face : finished) {
      reading.tracks = std::max(reading.tracks, face.track + 1);
      if (face.frame % clip.every != 0) continue;
      if (face.refused.empty() && face.confidence < tracker.good_confidence())
        face.refused = face.confidence > 0 ? "low confidence" : "not seen in this frame";
      faces[face.frame].push_back(std::move(face));
    }
    return faces;
  }

  // Passes the faces on with their frames. If one of these was not kept, these faces and
  // all that follow wait for the second decoding of the clip, so that faces come in order.
  static void hand_over(const std::shared_ptr<const ExtractClip>& clip, FacesByFrame faces,
                        KeptFrames& kept, FacesByFrame& later, ExtractWriter& writer) {
    if (faces.empty()) return;
    std::vector<std::shared_ptr<const Frame>> frames;
    if (later.empty()) frames = kept.take(faces);
    if (frames.empty()) later.merge(faces);
    else writer.write(clip, std::move(frames), std::move(faces));
  }

  struct NotedFiles {
    std::string first;
    std::int64_t count = 0;
  };

  const ExtractOptions& options_;
  const std::string settings_;
  ExtractInputs inputs_;
  std::vector<std::size_t> claimed_;  // of the inputs, in the journal
  bool fresh_ = false;                // the folder was made by this run
  std::map<std::string, NotedFiles> picture_notes_;
  std::optional<SkippedFile> unread_;  // one of the clips or photos that could not be read
  ExtractReport report_;
};
}  // namespace

ExtractReport extract(const ExtractOptions& options) { return Extraction(options).run(); }
}  // namespace faceswap
