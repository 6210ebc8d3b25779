#include "faceswap/media/media.h"

#include <fmt/format.h>

#include "faceswap/media/files.h"
#include "faceswap/media/folder.h"
#include "faceswap/media/libav/maker.h"
#include "faceswap/media/libav/sink.h"
#include "faceswap/media/libav/source.h"

namespace faceswap {

#if !DOPPEL_MEDIA
namespace libav {
namespace {
[[noreturn]] void no_video(const std::filesystem::path& path, ErrorKind kind) {
  throw Error(kind, fmt::format("{}: this build of doppel has no video. Give PNG or JPEG pictures, "
                                "or build with FFmpeg's libraries (DOPPEL_MEDIA=ON)",
                                path.string()));
}
}  // namespace

std::unique_ptr<FrameSource> open_source(const std::filesystem::path& path, const SourceOptions&) {
  no_video(path, ErrorKind::input);
}
std::unique_ptr<FrameSink> open_sink(const std::filesystem::path& out, const SourceInfo&,
                                     const SinkOptions&) {
  no_video(out, ErrorKind::usage);
}
std::unique_ptr<VideoMaker> make_video(const std::filesystem::path& out, int, int, Rational,
                                       const SinkOptions&) {
  no_video(out, ErrorKind::usage);
}
}  // namespace libav
#endif

namespace {
bool is_video_output(const std::filesystem::path& path) {
  const std::string suffix = lower_suffix(path);
  return suffix == ".mp4" || suffix == ".m4v" || suffix == ".mov" || suffix == ".mkv";
}
}  // namespace

SkippedFile skipped_file(const std::filesystem::path& path, const Error& error) {
  std::string why = error.what();
  if (const std::string begin = path.string() + ": "; why.starts_with(begin))
    why.erase(0, begin.size());
  return {path.string(), why};
}

std::unique_ptr<FrameSource> open_source(const std::filesystem::path& path,
                                         const SourceOptions& options) {
  std::error_code error;
  const std::filesystem::file_status status = std::filesystem::status(path, error);
  if (!std::filesystem::exists(status)) {
    if (path.string().find("://") != std::string::npos)
      throw Error(ErrorKind::input,
                  fmt::format("{}: only local files are read. Download it first", path.string()));
    throw Error(ErrorKind::input, fmt::format("{}: no such file or folder", path.string()));
  }
  if (std::filesystem::is_directory(status)) return open_pictures(path);
  if (!std::filesystem::is_regular_file(status))
    throw Error(ErrorKind::input, fmt::format("{}: is neither a file nor a folder", path.string()));
  if (std::filesystem::file_size(path, error) == 0)
    throw Error(ErrorKind::input, fmt::format("{}: the file is empty", path.string()));
  return is_image_file(path) ? open_pictures(path) : libav::open_source(path, options);
}

std::unique_ptr<FrameSink> open_sink(const std::filesystem::path& out, const SourceInfo& source,
                                     const SinkOptions& options) {
  if (out.empty()) throw Error(ErrorKind::usage, "no output was named: name a file or a folder");
  if (same_file(out, source.path))
    throw Error(
        ErrorKind::usage,
        fmt::format("{}: the output is the input itself. Choose another name", out.string()));
  if (is_video_output(out)) {
    if (source.kind != SourceInfo::video)
      throw Error(ErrorKind::usage,
                  fmt::format("{}: pictures go to a folder{}, not to a video", out.string(),
                              source.kind == SourceInfo::still ? " or a picture" : ""));
    return libav::open_sink(out, source, options);
  }
  if (is_image_file(out) && !is_image_output(out))
    throw Error(ErrorKind::usage,
                fmt::format("{}: '{}' is read, but not written. Name a .png or .jpg file",
                            out.string(), out.extension().string()));
  if (is_image_output(out) && source.kind != SourceInfo::still)
    throw Error(
        ErrorKind::usage,
        fmt::format("{}: many frames cannot go to one picture. Name a folder{}", out.string(),
                    source.kind == SourceInfo::video ? " or a .mp4, .mkv or .mov file" : ""));
  if (!is_image_output(out) && out.has_extension() && !std::filesystem::is_directory(out) &&
      source.kind == SourceInfo::video)
    throw Error(
        ErrorKind::usage,
        fmt::format("{}: '{}' cannot be written. Name a .mp4, .mkv or .mov file, or a folder",
                    out.string(), out.extension().string()));
  return open_picture_sink(out, source, options);
}

std::unique_ptr<VideoMaker> make_video(const std::filesystem::path& out, int width, int height,
                                       Rational frame_rate, const SinkOptions& options) {
  return libav::make_video(out, width, height, frame_rate, options);
}
}  // namespace faceswap
