#include "faceswap/faces/extract.h"

#include <algorithm>
#include <map>
#include <set>
#include <system_error>

#include <fmt/format.h>

#include "faceswap/faces/face_file.h"
#include "faceswap/faces/gray.h"
#include "faceswap/faces/sheet.h"
#include "faceswap/faces/tracker.h"
#include "faceswap/progress.h"

namespace faceswap {
namespace {

namespace fs = std::filesystem;

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
  if (!options.force && fs::is_directory(options.out, ignored)) {
    if (!face_names(options.out).empty())
      refuse(
          fmt::format("{} already holds pictures; name another folder, or use --force to add to it",
                      options.out.string()));
  }
}

// The clip's name as a portable file name: letters, digits, dot, dash and underscore,
// without a leading dot or dash.
std::string safe_stem(const fs::path& input) {
  const fs::path named = input.has_filename() ? input : input.parent_path();
  std::string stem =
      (fs::is_directory(named) ? named.filename() : named.stem()).string().substr(0, 80);
  for (char& c : stem)
    if (!(c >= 'a' && c <= 'z') && !(c >= 'A' && c <= 'Z') && !(c >= '0' && c <= '9') && c != '.' &&
        c != '_')
      c = c == '-' ? '-' : '_';
  stem.erase(0, stem.find_first_not_of("-."));
  return stem.empty() ? "clip" : stem;
}

// Frames between two detections: 2 or 3 where this still includes each kept frame.
int detection_interval(int every) { return every % 3 == 0 ? 3 : every % 2 == 0 ? 2 : 1; }

class Extraction {
 public:
  explicit Extraction(const ExtractOptions& options) : options_(options) {}

  ExtractReport run() {
    check(options_);
    std::error_code problem;
    const bool fresh = fs::create_directories(options_.out, problem);
    if (problem)
      throw Error(ErrorKind::disk,
                  fmt::format("{}: the folder cannot be made: {}; choose another one",
                              options_.out.string(), problem.message()));
    try {
      for (const fs::path& input : options_.inputs) {
        extract_from(input);
        if (stop_signal()) break;
      }
      if (report_.faces == 0 && !stop_signal()) {
        const std::string where = options_.inputs.size() == 1
                                      ? options_.inputs[0].string()
                                      : fmt::format("{} inputs", options_.inputs.size());
        throw Error(
            ErrorKind::nothing_found,
            fmt::format("{}: no face found in {} frames; expected faces roughly towards the "
                        "camera, of at least {:.0f} % of the frame's short side; try "
                        "--detector yunet=FILE for rotated, dark or small ones",
                        where, frames_searched_, 100 * options_.detection.min_face));
      }
      if (options_.sheet && report_.faces > 0) write_sheet(FaceFolder(options_.out));
    } catch (...) {
      if (fresh && report_.faces == 0) fs::remove(options_.out, problem);  // fails if not empty
      throw;
    }
    for (const auto& [track, count] : per_track_)
      report_.faces_per_track.emplace_back(track, count);
    report_.tracks = static_cast<int>(per_track_.size());
    return report_;
  }

 private:
  using FacesByFrame = std::map<std::int64_t, std::vector<Face>>;

  void extract_from(const fs::path& input) {
    std::string stem = safe_stem(input);
    for (int copy = 2; !stems_.insert(stem).second; ++copy)
      stem = fmt::format("{}-{}", safe_stem(input), copy);
    const bool was_stopped = stop_signal() != 0;
    const FacesByFrame faces = track_faces(input, stem);
    if (!faces.empty()) write_crops(input, stem, faces, !was_stopped && stop_signal() != 0);
  }

  FacesByFrame track_faces(const fs::path& input, const std::string& stem) {
    const std::unique_ptr<FrameSource> source = open_source(input);
    const SourceInfo& info = source->info();
    const int every = info.kind == SourceInfo::still ? 1 : options_.every;
    const int interval = info.kind == SourceInfo::video ? detection_interval(every) : every;
    const std::unique_ptr<FaceTracker> tracker = make_tracker(options_.detection, info);
    Progress progress("finding faces in " + stem, info.frames, options_.quiet);
    Frame frame;
    std::int64_t used = 0, read = 0;
    while (!stop_signal() && source->next(frame)) {
      ++read;
      if (frame.index % every == 0) ++used;
      if (frame.index % interval == 0) {
        tracker->push(frame);
        ++frames_searched_;
      }
      progress.update(read);
    }
    tracker->finish();
    FacesByFrame faces;
    std::set<std::int64_t> with_face;
    for (Face& face : tracker->take_finished()) {
      if (face.frame % every != 0) continue;
      with_face.insert(face.frame);
      std::vector<Face>& here = faces[face.frame];
      const bool room =
          options_.max_faces == 0 || static_cast<int>(here.size()) < options_.max_faces;
      if (room && face.confidence >= tracker->good_confidence()) here.push_back(std::move(face));
      if (here.empty()) faces.erase(face.frame);
    }
    report_.frames_read += read;
    report_.frames_used += used;
    report_.frames_without_face += used - static_cast<std::int64_t>(with_face.size());
    report_.damaged_frames += source->info().damaged_frames;
    progress.finish(fmt::format("faces in {} of {} frames", with_face.size(), used));
    return faces;
  }

  // stopped: a signal has ended the tracking, so it does not end this too.
  void write_crops(const fs::path& input, const std::string& stem, const FacesByFrame& faces,
                   bool stopped) {
    const std::unique_ptr<FrameSource> source = open_source(input);
    Progress progress("writing faces of " + stem, static_cast<std::int64_t>(faces.size()),
                      options_.quiet);
    std::map<int, int> track_numbers;  // of the clip's tracker, from 0 -> of the whole extraction
    Frame frame;
    std::int64_t done = 0;
    for (auto next = faces.begin();
         next != faces.end() && (stopped || !stop_signal()) && source->next(frame);) {
      if (frame.index < next->first) continue;
      int k = 0;
      for (Face face : next->second) {
        face.track = track_numbers.try_emplace(face.track, next_track_).first->second;
        next_track_ = std::max(next_track_, face.track + 1);
        face.crop_size = options_.size;
        if (source->info().kind != SourceInfo::video && !frame.name.empty())
          face.source = frame.name;
        const Image crop = crop_face(frame.rgb, face.to_canonical, options_.size);
        face.sharpness = laplacian_variance(to_gray(crop));
        write_face(options_.out / fmt::format("{}_{:06}_{}.png", stem, face.frame, k++), crop,
                   face);
        ++per_track_[face.track];
        ++report_.faces;
      }
      progress.update(++done);
      ++next;
    }
    progress.finish(fmt::format("{} faces", report_.faces));
  }

  const ExtractOptions& options_;
  ExtractReport report_;
  std::set<std::string> stems_;  // used so far: clips of the same name stay distinct
  std::map<int, std::int64_t> per_track_;
  std::int64_t frames_searched_ = 0;
  int next_track_ = 0;
};
}  // namespace

ExtractReport extract(const ExtractOptions& options) { return Extraction(options).run(); }
}  // namespace faceswap
