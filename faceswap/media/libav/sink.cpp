#include "faceswap/media/libav/sink.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <set>

#include "faceswap/media/libav/output.h"

extern "C" {
#include <libavutil/imgutils.h>
#include <libavutil/pixdesc.h>
}

namespace faceswap::libav {
namespace {

// The format that x264 takes for `wanted`: itself, or the nearest one that is deep
// (more than 8 bits) if `wanted` is.
AVPixelFormat nearest_format(AVPixelFormat wanted) {
  const std::span<const AVPixelFormat> formats = encoder_formats(Output::x264());
  if (std::find(formats.begin(), formats.end(), wanted) != formats.end()) return wanted;
  AVPixelFormat best = AV_PIX_FMT_NONE;
  const bool deep = depth_of(wanted) > 8;
  for (const AVPixelFormat candidate : formats) {
    // The range tag replaces the yuvj formats.
    const bool yuvj = std::string_view(av_get_pix_fmt_name(candidate)).starts_with("yuvj");
    if (yuvj || (depth_of(candidate) > 8) != deep) continue;
    best = best == AV_PIX_FMT_NONE ? candidate
                                   : av_find_best_pix_fmt_of_2(best, candidate, wanted, 0, nullptr);
  }
  // RGB and palettes have full chroma, but players expect 4:2:0.
  const AVPixFmtDescriptor* description = av_pix_fmt_desc_get(wanted);
  if (!description || description->flags & (AV_PIX_FMT_FLAG_RGB | AV_PIX_FMT_FLAG_PAL))
    best = deep ? AV_PIX_FMT_YUV420P10 : AV_PIX_FMT_YUV420P;
  return best;
}

bool only_itunes_keys(const AVDictionary* metadata) {
  static const std::set<std::string_view> known{
      "title",         "artist",      "album_artist",  "composer",          "album",    "date",
      "encoder",       "comment",     "genre",         "copyright",         "grouping", "lyrics",
      "description",   "synopsis",    "show",          "episode_id",        "network",  "keywords",
      "creation_time", "major_brand", "minor_version", "compatible_brands", "duration"};
  for (const AVDictionaryEntry* e = nullptr;
       (e = av_dict_get(metadata, "", e, AV_DICT_IGNORE_SUFFIX));) {
    std::string key = e->key;
    std::transform(key.begin(), key.end(), key.begin(),
                   [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
    if (!known.contains(key)) return false;
  }
  return true;
}

void copy_metadata(AVDictionary** to, const AVDictionary* from) {
  for (const AVDictionaryEntry* e = nullptr;
       (e = av_dict_get(from, "", e, AV_DICT_IGNORE_SUFFIX));) {
    const std::string_view key = e->key;
    // Entries about the bytes of the old file, not about the film.
    const bool stale = key == "encoder" || key == "ENCODER" || key == "major_brand" ||
                       key == "minor_version" || key == "compatible_brands" || key == "DURATION" ||
                       key.starts_with("BPS") || key.starts_with("NUMBER_OF_") ||
                       key.starts_with("_STATISTICS");
    if (!stale) av_dict_set(to, e->key, e->value, 0);
  }
}

class VideoSink : public FrameSink {
 public:
  VideoSink(const std::filesystem::path& out, const SourceInfo& source, const SinkOptions& options)
      : path_(out),
        options_(options),
        input_(source.path),
        output_(out, options),
        orientation_(orientation(input_.video)),
        packet_(new_packet()) {
    for (unsigned i = 0; i < input_.context->nb_streams; ++i) {
      AVStream* stream = input_.context->streams[i];
      stream->discard = AVDISCARD_ALL;
      const AVCodecID codec = stream->codecpar->codec_id;
      if (stream->codecpar->codec_type != AVMEDIA_TYPE_AUDIO || !options.copy_audio) continue;
      if (!output_.can_hold(codec))
        throw Error(ErrorKind::usage,
                    fmt::format("{}: this container cannot hold the source's {} sound as it is. "
                                "Name a .mkv file, or convert without sound",
                                out.string(), avcodec_get_name(codec)));
      stream->discard = AVDISCARD_DEFAULT;
      audio_.push_back({stream, nullptr});
    }
    nearest_format(AV_PIX_FMT_YUV420P);  // throws now, not after a frame, if x264 is absent
  }

  void write(const Frame& frame, const Box& changed) override {
    if (!frame.native || !frame.native->frame)
      throw Error(ErrorKind::failure, fmt::format("{}: frame {} does not come from a video",
                                                  path_.string(), frame.index));
    const AVFrame* native = frame.native->frame.get();
    if (!output_.video) begin(native);

    FramePtr encoded = for_encoder(native);
    if (changed.width > 0 && changed.height > 0) {
      if (av_frame_make_writable(encoded.get()) < 0)
        throw Error(ErrorKind::memory, "video: out of memory for a frame");
      paint(frame.rgb, changed, native->width, native->height, encoded.get());
    }
    encoded->pts = frame.pts;
    if (last_pts_ != AV_NOPTS_VALUE && encoded->pts <= last_pts_) encoded->pts = last_pts_ + 1;
    last_pts_ = encoded->pts;
    last_ticks_ = std::clamp<std::int64_t>(duration_of(native), 1, kMaxTime);
    encoded->pict_type = AV_PICTURE_TYPE_NONE;  // x264 chooses its own frame types
    encode(encoded.get());
  }

  void finish() override {
    if (!output_.video)
      throw Error(
          ErrorKind::nothing_found,
          fmt::format("{}: no frame was written. Write one before finish()", path_.string()));
    encode(nullptr);
    copy_audio_until(audio_end(), AVRational{1, AV_TIME_BASE});
    output_.finish();
  }

  std::string notes() const override { return notes_; }

 private:
  struct Copied {
    AVStream *from, *to;
  };

  // Takes size, format and colour from the first frame as the decoder gives it.
  void begin(const AVFrame* native) {
    const AVStream* from = input_.video;
    VideoFormat format;
    const auto source_format = static_cast<AVPixelFormat>(native->format);
    format.pixel_format = nearest_format(source_format);
    const AVPixFmtDescriptor* description = av_pix_fmt_desc_get(format.pixel_format);
    const int grid_x = 1 << description->log2_chroma_w, grid_y = 1 << description->log2_chroma_h;
    format.width = (native->width + grid_x - 1) / grid_x * grid_x;
    format.height = (native->height + grid_y - 1) / grid_y * grid_y;
    if (format.pixel_format != source_format)
      note(fmt::format("x264 has no {}: every frame was converted to {}",
                       av_get_pix_fmt_name(source_format),
                       av_get_pix_fmt_name(format.pixel_format)));
    if (format.width != native->width || format.height != native->height)
      note(fmt::format(
          "{}x{} is odd, which {} cannot be: written as {}x{}, the last row or column repeated",
          native->width, native->height, av_get_pix_fmt_name(format.pixel_format), format.width,
          format.height));
    format.time_base = from->time_base;
    const AVRational rate = av_guess_frame_rate(input_.context, input_.video, nullptr);
    if (rate.num > 0 && rate.den > 0) format.frame_rate = rate;
    format.sample_aspect = sample_aspect(input_, native);
    format.range = native->color_range;
    format.primaries = native->color_primaries;
    format.transfer = native->color_trc;
    format.matrix =
        native->colorspace == AVCOL_SPC_RGB ? AVCOL_SPC_UNSPECIFIED : native->colorspace;
    format.chroma = native->chroma_location;
    colour_ = colour_of(native);
    const AVPixFmtDescriptor* source_description = av_pix_fmt_desc_get(source_format);
    if (source_description && source_description->flags & AV_PIX_FMT_FLAG_RGB &&
        !(description->flags & AV_PIX_FMT_FLAG_RGB)) {
      colour_ = {SWS_CS_ITU709, false};  // the source has no tags to keep
      format.range = AVCOL_RANGE_MPEG, format.matrix = AVCOL_SPC_BT709;
    }
    format_ = format;
    output_.open_encoder(format);

    copy_stream_side_data(from, output_.video);
    copy_metadata(&output_.video->metadata, from->metadata);
    output_.video->disposition = from->disposition;
    for (Copied& c : audio_) {
      c.to = output_.add_stream();
      if (avcodec_parameters_copy(c.to->codecpar, c.from->codecpar) < 0)
        throw Error(ErrorKind::memory, fmt::format("{}: out of memory", path_.string()));
      c.to->codecpar->codec_tag = 0;  // each container has its own tags
      c.to->time_base = c.from->time_base;
      c.to->disposition = c.from->disposition;
      copy_metadata(&c.to->metadata, c.from->metadata);
    }
    copy_metadata(&output_.context->metadata, input_.context->metadata);
    output_.write_header(!only_itunes_keys(output_.context->metadata));
  }

  // The decoder's frame, shared, or a copy in the format and size of the encoder.
  FramePtr for_encoder(const AVFrame* native) {
    if (native->format == format_.pixel_format && native->width == format_.width &&
        native->height == format_.height) {
      FramePtr shared(av_frame_clone(native));
      if (!shared) throw Error(ErrorKind::memory, "video: out of memory for a frame");
      return shared;
    }
    const AVFrame* fitting = native;
    FramePtr converted;
    if (native->format != format_.pixel_format) {
      converted = new_picture(native->width, native->height, format_.pixel_format);
      convert_all_.convert(native, colour_of(native), converted.get(), colour_);
      fitting = converted.get();
    }
    FramePtr out = new_picture(format_.width, format_.height, format_.pixel_format);
    if (av_frame_copy_props(out.get(), native) < 0)
      throw Error(ErrorKind::memory, "video: out of memory for a frame");
    pad(fitting, out.get());
    return out;
  }

  // Copies every plane. Repeats the last column and row if `to` is larger by one.
  static void pad(const AVFrame* from, AVFrame* to) {
    const auto format = static_cast<AVPixelFormat>(to->format);
    const AVPixFmtDescriptor* d = av_pix_fmt_desc_get(format);
    for (int plane = 0; plane < av_pix_fmt_count_planes(format); ++plane) {
      const bool chroma = plane == 1 || plane == 2;
      const int rows_from = chroma ? AV_CEIL_RSHIFT(from->height, d->log2_chroma_h) : from->height,
                rows_to = chroma ? AV_CEIL_RSHIFT(to->height, d->log2_chroma_h) : to->height;
      const int bytes_from = av_image_get_linesize(format, from->width, plane),
                bytes_to = av_image_get_linesize(format, to->width, plane);
      const int step = d->comp[std::min<int>(plane, d->nb_components - 1)].step;
      for (int y = 0; y < rows_to; ++y) {
        const std::uint8_t* source =
            from->data[plane] +
            static_cast<std::ptrdiff_t>(std::min(y, rows_from - 1)) * from->linesize[plane];
        std::uint8_t* target =
            to->data[plane] + static_cast<std::ptrdiff_t>(y) * to->linesize[plane];
        std::memcpy(target, source, static_cast<std::size_t>(std::min(bytes_from, bytes_to)));
        for (int x = bytes_from; x < bytes_to; ++x) target[x] = target[x - step];
      }
    }
  }

  // Converts the box (upright coordinates) into `frame`, stored as width x height.
  void paint(const Image& rgb, const Box& changed, int width, int height, AVFrame* frame) {
    const int upright_width = orientation_.swaps_sides() ? height : width,
              upright_height = orientation_.swaps_sides() ? width : height;
    if (rgb.width != upright_width || rgb.height != upright_height || rgb.channels != 3)
      throw Error(
          ErrorKind::failure,
          fmt::format("{}: a picture of {}x{}x{} came for a frame of {}x{}x3", path_.string(),
                      rgb.width, rgb.height, rgb.channels, upright_width, upright_height));
    const int x0 = std::clamp(changed.x, 0, upright_width),
              x1 = std::clamp(changed.x + changed.width, 0, upright_width);
    const int y0 = std::clamp(changed.y, 0, upright_height),
              y1 = std::clamp(changed.y + changed.height, 0, upright_height);
    if (x0 >= x1 || y0 >= y1) return;

    const auto format = static_cast<AVPixelFormat>(frame->format);
    const AVPixFmtDescriptor* d = av_pix_fmt_desc_get(format);
    const int grid_x = 1 << d->log2_chroma_w, grid_y = 1 << d->log2_chroma_h;
    const Box box = on_grid(stored_box({x0, y0, x1 - x0, y1 - y0}, orientation_, width, height), 0,
                            grid_x, grid_y, width, height);
    // Converted with a margin: the chroma filter then sees the box's neighbours.
    const Box outer = on_grid(box, 8, grid_x, grid_y, width, height);

    const FramePtr from = new_picture(outer.width, outer.height, AV_PIX_FMT_RGB24);
    to_stored(rgb, orientation_, width, height, outer, from->data[0], from->linesize[0]);
    const FramePtr to = new_picture(outer.width, outer.height, format);
    convert_box_.convert(from.get(), Colour{SWS_CS_DEFAULT, true}, to.get(), colour_);

    for (int plane = 0; plane < av_pix_fmt_count_planes(format); ++plane) {
      const bool chroma = plane == 1 || plane == 2;
      const int shift_x = chroma ? d->log2_chroma_w : 0, shift_y = chroma ? d->log2_chroma_h : 0;
      // Bytes from one sample to the next.
      const int step = d->comp[std::min<int>(plane, d->nb_components - 1)].step;
      const std::size_t bytes = static_cast<std::size_t>(AV_CEIL_RSHIFT(box.width, shift_x)) * step;
      for (int y = 0; y < AV_CEIL_RSHIFT(box.height, shift_y); ++y)
        std::memcpy(
            frame->data[plane] +
                static_cast<std::ptrdiff_t>((box.y >> shift_y) + y) * frame->linesize[plane] +
                (box.x >> shift_x) * step,
            to->data[plane] +
                static_cast<std::ptrdiff_t>(((box.y - outer.y) >> shift_y) + y) *
                    to->linesize[plane] +
                ((box.x - outer.x) >> shift_x) * step,
            bytes);
    }
  }

  static Box on_grid(const Box& box, int margin, int grid_x, int grid_y, int width, int height) {
    const int x0 = std::max(0, box.x - margin) / grid_x * grid_x,
              x1 = std::min(width, (box.x + box.width + margin + grid_x - 1) / grid_x * grid_x);
    const int y0 = std::max(0, box.y - margin) / grid_y * grid_y,
              y1 = std::min(height, (box.y + box.height + margin + grid_y - 1) / grid_y * grid_y);
    return {x0, y0, x1 - x0, y1 - y0};
  }

  void encode(AVFrame* frame) {
    output_.encode(frame, [this](AVPacket* packet) {
      // Sound first, so that the container gets its packets in order.
      copy_audio_until(packet->dts, output_.encoder_time_base());
      output_.write(packet, output_.video, output_.encoder_time_base());
    });
  }

  // Copies sound packets up to a time, unchanged.
  void copy_audio_until(std::int64_t time, AVRational time_base) {
    while (!audio_.empty() && !audio_done_) {
      if (!have_packet_) {
        const int got = input_.read(packet_.get());
        if (got < 0) {
          audio_done_ = true;  // the end, or damage that the source of the frames reports
          return;
        }
        have_packet_ = true;
      }
      const auto copied = std::find_if(audio_.begin(), audio_.end(), [this](const Copied& c) {
        return c.from->index == packet_->stream_index;
      });
      if (copied != audio_.end()) {
        if (packet_->dts == AV_NOPTS_VALUE) packet_->dts = packet_->pts;
        if (packet_->pts == AV_NOPTS_VALUE) packet_->pts = packet_->dts;
        if (packet_->pts != AV_NOPTS_VALUE) {
          if (av_compare_ts(packet_->dts, copied->from->time_base, time, time_base) > 0) return;
          output_.write(packet_.get(), copied->to, copied->from->time_base);
        }
      }
      av_packet_unref(packet_.get());
      have_packet_ = false;
    }
  }

  // The end of the sound in microseconds: that of the source, or of the last frame if
  // the caller stopped more than a second early.
  std::int64_t audio_end() const {
    const AVStream* from = input_.video;
    const std::int64_t end =
        av_rescale_q(last_pts_ + last_ticks_, from->time_base, AVRational{1, AV_TIME_BASE});
    const std::optional<std::int64_t> whole = input_.video_end();
    const bool early =
        whole &&
        static_cast<double>(*whole - last_pts_ - last_ticks_) * av_q2d(from->time_base) > 1;
    return early ? end : INT64_MAX;
  }

  void note(const std::string& text) { notes_ += (notes_.empty() ? "" : "; ") + text; }

  std::filesystem::path path_;
  SinkOptions options_;
  Input input_;  // a second reader of the source: for its sound and its tags
  Output output_;
  Orientation orientation_;
  PacketPtr packet_;
  std::vector<Copied> audio_;
  bool have_packet_ = false, audio_done_ = false;
  VideoFormat format_;
  Colour colour_;
  Converter convert_all_, convert_box_;
  std::int64_t last_pts_ = AV_NOPTS_VALUE, last_ticks_ = 1;
  std::string notes_;
};
}  // namespace

std::unique_ptr<FrameSink> open_sink(const std::filesystem::path& out, const SourceInfo& source,
                                     const SinkOptions& options) {
  return std::make_unique<VideoSink>(out, source, options);
}
}  // namespace faceswap::libav
