// Moving pictures in and out. A source is a video file, a folder of images (in natural
// order of their names) or one image; its frames come upright.
#pragma once
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "faceswap/image.h"
#include "faceswap/media/images.h"
#include "faceswap/media/png.h"

namespace faceswap {

struct Rational {
  int num = 0, den = 1;
  double value() const { return den ? static_cast<double>(num) / den : 0; }
};

// A file that was not read, and why: "it is not a picture".
struct SkippedFile {
  std::string path, why;
};
SkippedFile skipped_file(const std::filesystem::path&, const Error&);

struct SourceInfo {
  std::filesystem::path path;
  enum Kind : std::uint8_t { video, folder, still } kind = still;
  int width = 0, height = 0;   // of the first frame, upright
  Rational frame_rate{25, 1};  // average; of folders and stills 25
  Rational time_base{1, 25};   // of pts
  std::int64_t frames = 0;     // an estimate; 0: unknown
  double seconds = 0;
  bool has_audio = false;
  int rotation = 0;  // clockwise from the stored to the upright picture: 0, 90, 180, 270 degrees
  std::string codec, pixel_format;
  // Counts up to the frame delivered last:
  int damaged_frames = 0;  // decoding errors survived, and promised frames that never came
  int resized_frames = 0;  // frames of another size or format than the first, scaled to it
  int repaired_times = 0;  // time stamps that were missing or did not rise
  std::vector<SkippedFile> skipped;  // of a folder
  double decode_seconds = 0;         // spent in decoding, and
  double convert_seconds = 0;        // in making RGB of it
};

// The decoder's own frame. convert() changes a box of it and keeps every other sample.
class NativeFrame;

struct Frame {
  // From 0, in presentation order. In a folder a picture that cannot be read leaves a gap.
  std::int64_t index = 0;
  std::int64_t pts = 0;  // in SourceInfo::time_base
  double seconds = 0;
  std::string name;                     // of the image file; empty for videos
  std::vector<std::string> notes;       // about the image file, as read_image() gives them
  Image rgb;                            // upright; empty if the frame is not wanted
  std::shared_ptr<NativeFrame> native;  // null for folders and stills
};

class FrameSource {
 public:
  virtual ~FrameSource() = default;
  virtual const SourceInfo& info() const = 0;
  virtual bool next(Frame& frame) = 0;  // false at the end
  // Frames for which `wanted` is false come with their times alone: a video still decodes
  // them, as others depend on them, but makes no RGB; a folder does not open them. The
  // first frame always has its pixels. Called from the thread that reads.
  virtual void want(std::function<bool(std::int64_t index)> wanted) = 0;
};
struct SourceOptions {
  // Frames with oblong pixels (a sample aspect ratio other than 1) are enlarged in one
  // direction, as players show them. Faces are sought in such frames. The native frame
  // stays as it is, so a sink cannot write them.
  bool square_pixels = false;
};
// Error(input): no such path, not media, beyond the limits (formats, protocols, sizes),
// or nothing in it can be decoded.
std::unique_ptr<FrameSource> open_source(const std::filesystem::path& path,
                                         const SourceOptions& options = {});

struct SinkOptions {
  int crf = 18;
  std::string preset = "medium";  // of x264
  bool copy_audio = true;
  bool force = false;   // overwrite
  int threads = 0;      // of the encoder; 0: all
  std::string comment;  // for the container's comment
};

class FrameSink {
 public:
  virtual ~FrameSink() = default;
  // Writes the frame as it was read, with the pixels of frame.rgb inside `changed`
  // (upright coordinates; empty: none). In a video the box grows to the chroma grid,
  // and all samples outside keep their decoded values.
  virtual void write(const Frame& frame, const Box& changed) = 0;
  virtual void finish() = 0;  // flushes, closes, and renames the file into place
  // Changes to the source that the output format forced, for the user; usually empty.
  virtual std::string notes() const { return {}; }
};
// A video goes to .mp4, .mkv or .mov, a still to an image file, and any source to a
// folder. A video keeps the source's pts, audio packets, rotation, sample aspect and
// colour tags. Error(usage): the output exists (without `force`), is the input, or does
// not fit the source. Error(disk): it cannot be written.
std::unique_ptr<FrameSink> open_sink(const std::filesystem::path& out, const SourceInfo& source,
                                     const SinkOptions&);

// A video made from pictures, for synthetic clips and previews.
class VideoMaker {
 public:
  virtual ~VideoMaker() = default;
  virtual void write(const Image& rgb) = 0;
  // Optional sound: 16-bit mono samples at 48 kHz, encoded as AAC.
  virtual void finish(const std::vector<std::int16_t>& sound_48k = {}) = 0;
};
std::unique_ptr<VideoMaker> make_video(const std::filesystem::path& out, int width, int height,
                                       Rational frame_rate, const SinkOptions&);
}  // namespace faceswap
