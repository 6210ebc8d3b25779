// Reading and writing moving and still pictures. A source is a video file, a folder of images (in natural name order), or
// one image; frames always come upright (rotation tags and EXIF orientation applied). Video goes through libav only.
#pragma once
#include <filesystem>
#include <memory>
#include <optional>
#include <string>

#include "faceswap/image.h"

namespace faceswap {

struct Rational {
  int num = 0, den = 1;
  double value() const { return den ? static_cast<double>(num) / den : 0; }
};

struct SourceInfo {
  std::filesystem::path path;
  enum Kind : std::uint8_t { video, folder, still } kind = still;
  int width = 0, height = 0;   // upright, of the first frame
  Rational frame_rate{25, 1};  // average; folders and stills: 25
  Rational time_base{1, 25};   // of pts
  std::int64_t frames = 0;     // estimate, 0 if unknown
  double seconds = 0;
  bool has_audio = false;
  int rotation = 0;  // degrees clockwise the player must turn the stored picture (0, 90, 180, 270)
  std::string codec, pixel_format;
  int damaged_frames = 0;  // so far: decoding errors survived, frames promised and not there
  int resized_frames = 0;  // so far: frames of another size or format than the first, scaled to it
  int repaired_times = 0;  // so far: time stamps that were missing or did not rise
};

// The decoder's own frame, kept so that convert can change a box of it and leave every other sample alone.
class NativeFrame;

struct Frame {
  std::int64_t index = 0;  // 0-based, in presentation order
  std::int64_t pts = 0;    // in SourceInfo::time_base
  double seconds = 0;
  std::string name;                     // of the image file, for folders and stills
  Image rgb;                            // upright
  std::shared_ptr<NativeFrame> native;  // null for folders and stills
};

class FrameSource {
 public:
  virtual ~FrameSource() = default;
  virtual const SourceInfo& info() const = 0;
  virtual bool next(Frame& frame) = 0;  // false at the end
};
// Throws Error(input): no such path, not media, refused by the input limits (formats, protocols, sizes), nothing decodable.
std::unique_ptr<FrameSource> open_source(const std::filesystem::path& path);

struct SinkOptions {
  int crf = 18;
  std::string preset = "medium";  // of x264
  bool copy_audio = true;
  bool force = false;   // overwrite
  int threads = 0;      // of the encoder; 0: all
  std::string comment;  // goes into the container's comment
};

class FrameSink {
 public:
  virtual ~FrameSink() = default;
  // Writes the frame as it was read, except inside `changed` (upright coordinates, empty: nothing), where the pixels of
  // frame.rgb are taken. In a video the box grows to the chroma grid; all samples outside keep their decoded values.
  virtual void write(const Frame& frame, const Box& changed) = 0;
  virtual void finish() = 0;  // flushes, closes, renames the finished file into place
  virtual std::string notes() const {
    return {};
  }  // what could not be kept as it was, for the user; usually empty
};
// A video source can go to .mp4/.mkv/.mov; a folder or a still to a folder or an image file; any source to a folder of PNGs.
// What is written: every pts of the source, its audio packets as they are, its rotation, sample aspect and colour tags.
// Throws Error(usage) for an output that exists (without force) or is the input; Error(disk) where it cannot be written.
std::unique_ptr<FrameSink> open_sink(const std::filesystem::path& out, const SourceInfo& source,
                                     const SinkOptions&);

// A video made from pictures (synthetic clips, previews). Optional sound: 16-bit mono samples at 48 kHz, encoded as AAC.
class VideoMaker {
 public:
  virtual ~VideoMaker() = default;
  virtual void write(const Image& rgb) = 0;
  virtual void finish(const std::vector<std::int16_t>& sound_48k = {}) = 0;
};
std::unique_ptr<VideoMaker> make_video(const std::filesystem::path& out, int width, int height,
                                       Rational frame_rate, const SinkOptions&);

// --- image files (stb_image; PNG and JPEG only, at most 64 megapixels)
Image read_image(const std::filesystem::path&);    // RGB, EXIF orientation applied; Error(input)
bool is_image_file(const std::filesystem::path&);  // by suffix
// Text chunks (iTXt) by keyword travel inside a PNG.
struct PngText {
  std::string keyword, text;
};
std::vector<std::byte> encode_png(const Image&, const std::vector<PngText>& texts = {});
void write_png(const std::filesystem::path&, const Image&, const std::vector<PngText>& texts = {},
               bool force = true);  // atomically; Error(disk)
std::vector<std::byte> encode_jpeg(const Image&, int quality);
std::optional<std::string> read_png_text(
    const std::filesystem::path&, const std::string& keyword);  // checks chunk CRCs; Error(damaged)

}  // namespace faceswap
