#include "faceswap/media/folder.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <utility>

#include "faceswap/media/files.h"
#include "faceswap/provenance.h"
#include "faceswap/stopwatch.h"

namespace faceswap {
namespace {

constexpr int kJpegQuality = 95;

class PictureSource : public FrameSource {
 public:
  PictureSource(const std::filesystem::path& path, SourceInfo::Kind kind, PictureFolder folder)
      : files_(std::move(folder.pictures)) {
    info_.path = path;
    info_.kind = kind;
    info_.codec = "pictures", info_.pixel_format = "rgb24";
    info_.skipped = std::move(folder.skipped);
    info_.frames = static_cast<std::int64_t>(files_.size());
    info_.seconds = static_cast<double>(info_.frames) * info_.time_base.value();
    first_ = read_next();
    if (first_) info_.width = first_->rgb.width, info_.height = first_->rgb.height;
  }

  const SourceInfo& info() const override { return info_; }
  void want(std::function<bool(std::int64_t)> wanted) override { wanted_ = std::move(wanted); }

  bool next(Frame& frame) override {
    std::optional<Frame> got = first_ ? std::exchange(first_, std::nullopt) : read_next();
    if (!got) return false;
    frame = std::move(*got);
    return true;
  }

 private:
  // The next picture that can be read or is not wanted. Damaged ones of a folder are
  // counted and passed over; a still throws.
  std::optional<Frame> read_next() {
    while (position_ < files_.size()) {
      const std::filesystem::path& file = files_[position_];
      Frame frame;
      frame.index = frame.pts = static_cast<std::int64_t>(position_++);
      frame.seconds = static_cast<double>(frame.pts) * info_.time_base.value();
      frame.name = file.filename().string();
      if (wanted_ && !wanted_(frame.index)) return frame;
      const Stopwatch decoding(info_.decode_seconds);
      try {
        frame.rgb = read_image(file, &frame.notes);
      } catch (const Error& error) {
        if (info_.kind == SourceInfo::still || error.kind() != ErrorKind::input) throw;
        ++info_.damaged_frames;
        info_.skipped.push_back(skipped_file(file, error));
        continue;
      }
      return frame;
    }
    return std::nullopt;
  }

  SourceInfo info_;
  std::vector<std::filesystem::path> files_;
  std::size_t position_ = 0;
  std::function<bool(std::int64_t)> wanted_;
  std::optional<Frame> first_;
};

class PictureSink : public FrameSink {
 public:
  PictureSink(const std::filesystem::path& out, const SourceInfo& source,
              const SinkOptions& options)
      : out_(out), source_(source), options_(options) {
    to_folder_ = !is_image_output(out) || std::filesystem::is_directory(out);
    std::error_code error;
    if (!to_folder_) {
      if (!options.force && std::filesystem::exists(std::filesystem::symlink_status(out, error)))
        throw Error(
            ErrorKind::usage,
            fmt::format("{}: exists already. Choose another name, or overwrite it with --force",
                        out.string()));
      return;
    }
    if (std::filesystem::exists(out) && !std::filesystem::is_directory(out))
      throw Error(
          ErrorKind::usage,
          fmt::format("{}: is a file, a folder was expected. Choose another name", out.string()));
    std::filesystem::create_directories(out, error);
    if (error)
      throw Error(ErrorKind::disk,
                  fmt::format("{}: cannot create the folder: {}. Check the rights above it",
                              out.string(), error.message()));
    const bool empty = std::filesystem::is_empty(out, error);
    if (error)
      throw Error(ErrorKind::disk, fmt::format("{}: cannot list the folder: {}. Check its rights",
                                               out.string(), error.message()));
    if (!empty && !options.force)
      throw Error(
          ErrorKind::usage,
          fmt::format("{}: the folder is not empty. Choose another, or write into it with --force",
                      out.string()));
  }

  void write(const Frame& frame, const Box& changed) override {
    std::filesystem::path file = to_folder_ ? out_ / name_of(frame) : out_;
    const bool untouched = changed.width <= 0 || changed.height <= 0;
    // An unchanged picture is copied as it is: no second JPEG loss, no synthetic mark.
    if (untouched && source_.kind != SourceInfo::video &&
        lower_suffix(file) == lower_suffix(frame.name)) {
      const std::filesystem::path original =
          source_.kind == SourceInfo::folder ? source_.path / frame.name : source_.path;
      write_whole_file(file, read_whole_file(original, UINTMAX_MAX), true);
      return;
    }
    if (!is_image_output(file)) file += ".png";  // x.webp: no such writer here
    std::vector<PngText> texts;
    if (!untouched && !options_.comment.empty())
      texts = {{kXmpKeyword, xmp_packet(fmt::format("doppel {}", DOPPEL_VERSION))},
               {"Comment", options_.comment}};
    if (lower_suffix(file) == ".png") {
      write_png(file, frame.rgb, texts);
    } else {
      std::vector<std::byte> jpeg = encode_jpeg(frame.rgb, kJpegQuality);
      if (!texts.empty()) mark_jpeg(jpeg, texts[0].text);
      write_whole_file(file, jpeg, true);
    }
  }

  void finish() override {}

 private:
  std::string name_of(const Frame& frame) const {
    if (source_.kind == SourceInfo::video) return fmt::format("frame_{:06}.png", frame.index);
    return std::filesystem::path(frame.name).filename().string();
  }

  // Inserts the XMP packet as an APP1 segment behind the start marker.
  static void mark_jpeg(std::vector<std::byte>& jpeg, const std::string& xmp) {
    std::string segment = std::string("http://ns.adobe.com/xap/1.0/") + '\0' + xmp;
    const std::size_t length = segment.size() + 2;
    if (length > 0xffff) return;
    segment = std::string("\xff\xe1") + static_cast<char>(length >> 8) +
              static_cast<char>(length & 0xff) + segment;
    const auto* bytes = reinterpret_cast<const std::byte*>(segment.data());
    jpeg.insert(jpeg.begin() + 2, bytes, bytes + segment.size());
  }

  std::filesystem::path out_;
  SourceInfo source_;
  SinkOptions options_;
  bool to_folder_ = true;
};
}  // namespace

PictureFolder list_pictures(const std::filesystem::path& folder) {
  PictureFolder found;
  std::error_code error;
  for (auto it = std::filesystem::directory_iterator(folder, error);
       !error && it != std::filesystem::directory_iterator(); it.increment(error)) {
    const std::string name = it->path().filename().string();
    // Files with a leading dot are unfinished ones of ours, or another program's.
    if (name[0] == '.') continue;
    std::error_code ignored;
    if (it->is_directory(ignored))
      found.skipped.push_back(
          {it->path().string(), "it is a folder: name it as an input of its own"});
    else if (!is_image_file(it->path()) || !it->is_regular_file(ignored))
      found.skipped.push_back(
          {it->path().string(), "it is not a picture; name a clip as an input of its own"});
    else found.pictures.push_back(it->path());
  }
  if (error)
    throw Error(ErrorKind::input, fmt::format("{}: cannot list the folder: {}. Check its rights",
                                              folder.string(), error.message()));
  if (found.pictures.empty())
    throw Error(
        ErrorKind::input,
        fmt::format("{}: the folder holds no pictures. {} files were expected; name clips one by "
                    "one",
                    folder.string(), kImageKinds));
  std::sort(found.pictures.begin(), found.pictures.end(), [](const auto& a, const auto& b) {
    return natural_less(a.filename().string(), b.filename().string());
  });
  std::sort(found.skipped.begin(), found.skipped.end(),
            [](const auto& a, const auto& b) { return natural_less(a.path, b.path); });
  return found;
}

std::unique_ptr<FrameSource> open_pictures(const std::filesystem::path& path) {
  if (!std::filesystem::is_directory(path))
    return std::make_unique<PictureSource>(path, SourceInfo::still, PictureFolder{{path}, {}});
  auto source = std::make_unique<PictureSource>(path, SourceInfo::folder, list_pictures(path));
  if (source->info().width == 0)
    throw Error(
        ErrorKind::input,
        fmt::format("{}: none of its {} pictures can be read. Give pictures that other programs "
                    "can open",
                    path.string(), source->info().frames));
  return source;
}

std::unique_ptr<FrameSource> open_picture_list(std::vector<std::filesystem::path> files) {
  const std::filesystem::path folder = files.front().parent_path();
  return std::make_unique<PictureSource>(folder, SourceInfo::folder,
                                         PictureFolder{std::move(files), {}});
}

std::unique_ptr<FrameSink> open_picture_sink(const std::filesystem::path& out,
                                             const SourceInfo& source, const SinkOptions& options) {
  return std::make_unique<PictureSink>(out, source, options);
}
}  // namespace faceswap
