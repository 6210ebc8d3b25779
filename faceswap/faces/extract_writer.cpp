#include "faceswap/faces/extract_writer.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>
#include <thread>
#include <utility>

#include "faceswap/faces/face_file.h"
#include "faceswap/faces/face_json.h"
#include "faceswap/faces/gray.h"
#include "faceswap/media/folder.h"
#include "faceswap/media/read_ahead.h"
#include "faceswap/progress.h"
#include "faceswap/stopwatch.h"
#include "kernels/simt/single_threaded.h"

namespace faceswap {
namespace {

namespace fs = std::filesystem;

constexpr int kFramesAhead = 4;

int threads_of(const ExtractOptions& options) {
  const unsigned cores = std::thread::hardware_concurrency();
  return options.threads > 0 ? options.threads : static_cast<int>(std::clamp(cores, 1u, 16u));
}
}  // namespace

std::unique_ptr<FrameSource> ExtractClip::open() const {
  if (!photos) return open_source(sources[0].path, {.square_pixels = true});
  std::vector<fs::path> files;
  for (const ExtractSource& source : sources) files.push_back(source.path);
  return open_picture_list(std::move(files));
}

ExtractWriter::ExtractWriter(const ExtractOptions& options, std::string settings,
                             ExtractJournal& journal)
    : options_(options),
      settings_(std::move(settings)),
      journal_(journal),
      pictures_(threads_of(options), static_cast<std::size_t>(4 * threads_of(options))),
      in_order_(1, 1) {}

void ExtractWriter::begin(std::shared_ptr<const ExtractClip> clip) {
  in_order_.run([this, clip = std::move(clip)] {
    std::set<std::string> prefixes;
    bool done_before = false;
    for (const std::size_t i : clip->records) {
      SourceRecord& record = journal_.sources[i];
      prefixes.insert(record.prefix);
      done_before = done_before || record.done;
      record.done = false;
    }
    if (done_before) journal_.save();  // before its faces go: it may be killed here
    remove_faces(options_.out, prefixes);
    now_.assign(clip->sources.size(), {});
    cut_short_ = false;
    first_track_ = journal_.next_track();
  });
}

void ExtractWriter::write(std::shared_ptr<const ExtractClip> clip,
                          std::vector<std::shared_ptr<const Frame>> frames, FacesByFrame faces) {
  in_order_.run(
      [this, clip = std::move(clip), frames = std::move(frames), faces = std::move(faces)] {
        examine_.begin_shot(faces);
        for (const auto& frame : frames) write_frame(*clip, *frame, faces.at(frame->index));
      });
}

void ExtractWriter::write_decoded_again(std::shared_ptr<const ExtractClip> clip,
                                        FacesByFrame faces) {
  in_order_.run([this, clip = std::move(clip), faces = std::move(faces)] {
    const std::unique_ptr<FrameSource> source = read_ahead(clip->open(), kFramesAhead);
    source->want([&faces](std::int64_t i) { return faces.contains(i); });
    examine_.begin_shot(faces);
    Frame frame;
    auto next = faces.begin();
    while (next != faces.end() && !stop_signal() && source->next(frame)) {
      if (frame.index < next->first) continue;
      write_frame(*clip, frame, next->second);
      ++next;
    }
    cut_short_ = next != faces.end() && stop_signal() != 0;
    const std::lock_guard lock(mutex_);
    times_.decode += source->info().decode_seconds;
    times_.convert += source->info().convert_seconds;
  });
}

void ExtractWriter::end(std::shared_ptr<const ExtractClip> clip, ExtractReading reading) {
  in_order_.run(
      [this, clip = std::move(clip), reading = std::move(reading)] { end_clip(*clip, reading); });
}

void ExtractWriter::wait() {
  Progress progress("writing faces", 0, options_.quiet);
  while (!in_order_.wait_for(std::chrono::milliseconds(100))) progress.update(faces_);
  pictures_.wait();
  progress.update(faces_);
  progress.finish();
}

StageTimes ExtractWriter::times() const {
  const std::lock_guard lock(mutex_);
  return times_;
}

void ExtractWriter::write_frame(const ExtractClip& clip, const Frame& frame,
                                std::vector<Face> faces) {
  double seconds = 0;
  {
    const Stopwatch aligning(seconds);
    const std::size_t source = clip.source_of(frame.index);
    Written& now = now_[source];
    const std::string& prefix = journal_.sources[clip.records[source]].prefix;
    int taken = 0;
    for (std::size_t number = 0; number < faces.size(); ++number) {
      Face& face = faces[number];
      face.crop_size = options_.size;
      if (!frame.name.empty()) face.source = frame.name;
      if (face.refused.empty() && options_.max_faces > 0 && taken == options_.max_faces)
        face.refused = "beyond --max-faces";
      Image crop;
      FaceMask mask;
      {
        const simt::SingleThreaded beside_the_tracker;
        crop = crop_face(frame.rgb, face.to_canonical, options_.size);
        face.sharpness = laplacian_variance(to_gray(crop));
        mask = examine_(frame.rgb, crop, number, face);
      }
      if (face.track >= 0) face.track += first_track_;
      if (options_.examine) options_.examine(frame.rgb, crop, face);
      if (clip.photos) face.frame = face.pts = 0, face.seconds = 0;

      const bool good = face.refused.empty();
      taken += good;
      ++(good ? now.faces_per_track[face.track] : now.refused[face.refused]);
      const std::string name = fmt::format("{}_{:06}_{}.png", prefix, face.frame, number);
      // As the file says it, so that a later run comes to the same choice.
      if (good) looks_[name] = look_of(face_from_json(to_json(face)), crop);
      const fs::path folder = good ? options_.out : options_.out / kRefusedFolder;
      if (!good) fs::create_directories(folder);
      faces_ += good;
      write_picture(folder / name, std::move(crop), std::move(face), std::move(mask.picture));
    }
    now.frames_with_face += taken > 0;
  }
  const std::lock_guard lock(mutex_);
  times_.align += seconds;
}

void ExtractWriter::write_picture(const fs::path& path, Image crop, Face face, Image mask) {
  pictures_.run(
      [this, path, crop = std::move(crop), face = std::move(face), mask = std::move(mask)] {
        double seconds = 0;
        {
          const Stopwatch writing(seconds);
          write_face(path, crop, face, mask);
        }
        const std::lock_guard lock(mutex_);
        times_.write += seconds;
      });
}

// A source is done when all its pictures are on their way to the disk: a killed program
// loses none of them, and the journal is synced after them.
void ExtractWriter::end_clip(const ExtractClip& clip, const ExtractReading& reading) {
  pictures_.wait();
  for (std::size_t i = 0; i < clip.sources.size(); ++i) {
    SourceRecord& record = journal_.sources[clip.records[i]];
    const ExtractReading::Counts& frames = reading.frames[i];
    record.settings = settings_;
    record.first_track = first_track_;
    record.end_track = first_track_ + reading.tracks;
    record.frames_read = frames.read;
    record.frames_used = frames.used;
    record.damaged_frames = frames.damaged;
    record.frames_without_face = frames.used - now_[i].frames_with_face;
    record.faces_per_track = std::move(now_[i].faces_per_track);
    record.refused = std::move(now_[i].refused);
    record.done = reading.whole && !cut_short_ && frames.read > 0;
  }
  journal_.save();
}
}  // namespace faceswap
