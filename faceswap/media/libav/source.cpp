#include "faceswap/media/libav/source.h"

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <cmath>
#include <thread>
#include <utility>

#include "faceswap/media/libav/common.h"
#include "faceswap/stopwatch.h"

extern "C" {
#include <libavutil/opt.h>
#include <libavutil/pixdesc.h>
}

namespace faceswap::libav {
namespace {

constexpr double kMostAspect = 8;   // of a pixel; anamorphic film has 2
constexpr long kMostSide = 16384;   // pixels
constexpr int kMaxReadErrors = 64;  // in a row; then the rest of the file counts as lost

class VideoSource : public FrameSource {
 public:
  VideoSource(const std::filesystem::path& path, const SourceOptions& options)
      : input_(path), options_(options), packet_(new_packet()), decoded_(new_frame()) {
    const AVStream* stream = input_.video;
    for (unsigned i = 0; i < input_.context->nb_streams; ++i) {
      AVStream* s = input_.context->streams[i];
      info_.has_audio = info_.has_audio || s->codecpar->codec_type == AVMEDIA_TYPE_AUDIO;
      if (s != stream) s->discard = AVDISCARD_ALL;
    }
    input_.context->opaque = &errors_logged_;
    open_decoder(path);

    info_.path = path;
    info_.kind = SourceInfo::video;
    info_.codec = avcodec_get_name(stream->codecpar->codec_id);
    info_.time_base = {stream->time_base.num, stream->time_base.den};
    const AVRational rate = av_guess_frame_rate(input_.context, input_.video, nullptr);
    if (rate.num > 0 && rate.den > 0) info_.frame_rate = {rate.num, rate.den};
    orientation_ = orientation(stream);
    info_.rotation = clockwise_degrees(orientation_);
    if (stream->duration > 0)
      info_.seconds = static_cast<double>(stream->duration) * av_q2d(stream->time_base);
    else if (input_.context->duration > 0)
      info_.seconds = static_cast<double>(input_.context->duration) / AV_TIME_BASE;
    info_.frames = stream->nb_frames > 0
                       ? stream->nb_frames
                       : static_cast<std::int64_t>(
                             std::min(info_.seconds * info_.frame_rate.value() + 0.5, 1e12));

    // The first frame is decoded here: a file without one is refused at once, and the
    // sizes are those of the frames.
    if (!decode(first_))
      throw Error(ErrorKind::input,
                  fmt::format("{}: no frame of its {} video can be decoded: {}. The file is "
                              "damaged or cut off; fetch it again",
                              path.string(), info_.codec,
                              info_.damaged_frames > 0
                                  ? fmt::format("{} damaged pieces", info_.damaged_frames)
                                  : "it holds no frames"));
    convert(first_);
    info_.width = first_.rgb.width, info_.height = first_.rgb.height;
    info_.pixel_format =
        av_get_pix_fmt_name(static_cast<AVPixelFormat>(first_.native->frame->format));
    have_first_ = true;
  }

  const SourceInfo& info() const override { return info_; }
  void want(std::function<bool(std::int64_t)> wanted) override { wanted_ = std::move(wanted); }

  bool next(Frame& frame) override {
    if (have_first_) {
      have_first_ = false;
      frame = std::move(first_);
      return true;
    }
    if (!decode(frame)) return false;
    convert(frame);
    return true;
  }

 private:
  void open_decoder(const std::filesystem::path& path) {
    const AVCodecParameters* parameters = input_.video->codecpar;
    const AVCodec* codec = avcodec_find_decoder(parameters->codec_id);
    if (!codec)
      throw Error(ErrorKind::input,
                  fmt::format("{}: its video is coded in {}, for which this FFmpeg has no decoder. "
                              "Convert it to H.264 first",
                              path.string(), avcodec_get_name(parameters->codec_id)));
    decoder_.reset(avcodec_alloc_context3(codec));
    if (!decoder_ || avcodec_parameters_to_context(decoder_.get(), parameters) < 0)
      throw Error(ErrorKind::memory, fmt::format("{}: out of memory", path.string()));
    decoder_->opaque = &errors_logged_;
    decoder_->pkt_timebase = input_.video->time_base;
    decoder_->thread_count =
        static_cast<int>(std::clamp(std::thread::hardware_concurrency(), 1u, 8u));
    // A damaged frame is shown and counted; a missing one would shift the film.
    decoder_->flags |= AV_CODEC_FLAG_OUTPUT_CORRUPT;
    AVDictionary* options = nullptr;
    av_dict_set(&options, "max_pixels", kMaxPixels, 0);
    const int opened = avcodec_open2(decoder_.get(), codec, &options);
    av_dict_free(&options);
    if (opened < 0)
      fail(ErrorKind::input,
           fmt::format("{}: its {} video cannot be decoded", path.string(), codec->name), opened);
  }

  // The next decoded frame in decoded_; false at the end.
  bool receive() {
    for (;;) {
      const int got = avcodec_receive_frame(decoder_.get(), decoded_.get());
      if (got == 0) {
        count_damage(decoded_->decode_error_flags != 0 || decoded_->flags & AV_FRAME_FLAG_CORRUPT);
        return true;
      }
      if (got == AVERROR_EOF) {
        count_damage(false);
        return false;
      }
      if (got == AVERROR(ENOMEM))
        throw Error(ErrorKind::memory,
                    fmt::format("{}: out of memory while decoding", info_.path.string()));
      if (got != AVERROR(EAGAIN)) {
        count_damage(true);
        if (++failures_ > kMaxReadErrors && drained_) return false;
        continue;
      }
      send();
    }
  }

  // Gives the decoder the next packet of the stream, or the end.
  void send() {
    for (int errors = 0; !drained_;) {
      const int read = input_.read(packet_.get());
      if (read < 0 && read != AVERROR_EOF) {
        if (read == AVERROR_EXIT || ++errors >= kMaxReadErrors) ended_badly_ = true;
        else continue;
      }
      if (read < 0) {
        drained_ = true;
        if (ended_badly_) count_damage(true);
        avcodec_send_packet(decoder_.get(), nullptr);
        return;
      }
      if (packet_->stream_index != input_.video->index) {
        av_packet_unref(packet_.get());
        continue;
      }
      const bool incomplete = packet_->flags & AV_PKT_FLAG_CORRUPT;
      const int sent = avcodec_send_packet(decoder_.get(), packet_.get());
      av_packet_unref(packet_.get());
      if (sent == AVERROR(ENOMEM))
        throw Error(ErrorKind::memory,
                    fmt::format("{}: out of memory while decoding", info_.path.string()));
      if (sent < 0 || incomplete) count_damage(true);
      return;
    }
  }

  // The decoder's results and its log report the same damage at different steps; the
  // larger count of the two stands.
  void count_damage(bool seen) {
    damage_seen_ += seen;
    damage_logged_ += errors_logged_.exchange(0) > 0;
    info_.damaged_frames = std::max(damage_seen_, damage_logged_) + missing_;
  }

  bool decode(Frame& frame) {
    const Stopwatch decoding(info_.decode_seconds);
    for (;;) {
      if (!receive()) {
        count_missing();
        return false;
      }
      if (decoded_->width > 0 && decoded_->height > 0 && decoded_->data[0]) break;
      av_frame_unref(decoded_.get());
    }
    frame.index = delivered_++;
    frame.name.clear();
    frame.pts = strictly_rising(decoded_->best_effort_timestamp);
    frame.seconds = static_cast<double>(frame.pts) * info_.time_base.value();
    return true;
  }

  // Gives the frame that decode() has left in decoded_ its pixels, if they are wanted.
  void convert(Frame& frame) {
    const Stopwatch converting(info_.convert_seconds);
    if (wanted_ && !wanted_(frame.index)) {
      frame.rgb = {};
      frame.native.reset();
      info_.resized_frames += !in_first_format(*decoded_);
      av_frame_unref(decoded_.get());
      return;
    }
    std::shared_ptr<const AVFrame> native = take_decoded();
    if (!rgb_) {
      const Size size = options_.square_pixels ? square_size(native.get()) : Size{width_, height_};
      rgb_ = new_picture(size.width, size.height, AV_PIX_FMT_RGB24);
    }
    to_rgb_.convert(native.get(), colour_of(native.get()), rgb_.get(),
                    Colour{SWS_CS_DEFAULT, true});
    to_upright(rgb_->data[0], rgb_->linesize[0], rgb_->width, rgb_->height, orientation_,
               frame.rgb);
    frame.native = std::make_shared<NativeFrame>(NativeFrame{std::move(native)});
  }

  std::int64_t strictly_rising(std::int64_t pts) {
    const std::int64_t ticks = std::clamp<std::int64_t>(duration_of(decoded_.get()), 1, kMaxTime);
    if (pts < -kMaxTime || pts > kMaxTime) pts = AV_NOPTS_VALUE;
    if (pts == AV_NOPTS_VALUE)
      pts = last_pts_ == AV_NOPTS_VALUE ? 0 : last_pts_ + ticks, ++info_.repaired_times;
    else if (last_pts_ != AV_NOPTS_VALUE && pts <= last_pts_)
      pts = last_pts_ + 1, ++info_.repaired_times;
    last_pts_ = pts;
    last_ticks_ = ticks;
    return pts;
  }

  struct Size {
    int width, height;
  };

  // The size of a frame whose pixels are made square by enlarging it in one direction.
  Size square_size(const AVFrame* frame) {
    const double aspect = av_q2d(sample_aspect(input_, frame));
    // A ratio beyond all formats is damage.
    if (aspect < 1 / kMostAspect || aspect > kMostAspect) return {width_, height_};
    const auto enlarged = [](int side, double by) {
      return static_cast<int>(std::min(std::lround(side * by), kMostSide));
    };
    return {enlarged(width_, std::max(1.0, aspect)), enlarged(height_, std::max(1.0, 1 / aspect))};
  }

  bool in_first_format(const AVFrame& frame) const {
    return frame.width == width_ && frame.height == height_ && frame.format == format_;
  }

  // Takes decoded_ over, scaled if the stream changed its size or format.
  std::shared_ptr<const AVFrame> take_decoded() {
    FramePtr taken = new_frame();
    av_frame_move_ref(taken.get(), decoded_.get());
    if (width_ == 0)
      width_ = taken->width, height_ = taken->height,
      format_ = static_cast<AVPixelFormat>(taken->format), colour_ = colour_of(taken.get());
    if (in_first_format(*taken)) return {taken.release(), Free{}};
    ++info_.resized_frames;
    FramePtr resized = new_picture(width_, height_, format_);
    if (av_frame_copy_props(resized.get(), taken.get()) < 0)
      throw Error(ErrorKind::memory, "video: out of memory for a frame");
    to_first_.convert(taken.get(), colour_of(taken.get()), resized.get(), colour_);
    return {resized.release(), Free{}};
  }

  // Counts the frames that the container promised and a cut-off file lacks: no packet
  // fails for them.
  void count_missing() {
    if (std::exchange(counted_missing_, true) || last_pts_ == AV_NOPTS_VALUE) return;
    const std::optional<std::int64_t> end = input_.video_end();
    if (!end) return;
    const std::int64_t short_by = *end - (last_pts_ + last_ticks_);
    const double seconds = static_cast<double>(short_by) * info_.time_base.value();
    std::int64_t missing = 0;
    if (input_.video->nb_frames > delivered_ && short_by > last_ticks_)
      missing = input_.video->nb_frames - delivered_;
    else if (seconds > 0.5)
      missing = static_cast<std::int64_t>(std::min(seconds * info_.frame_rate.value(), 1e6));
    missing_ = static_cast<int>(std::min<std::int64_t>(missing, 1 << 20));
    count_damage(false);
  }

  std::atomic<int> errors_logged_{0};  // declared before the reader and decoder that refer to it
  Input input_;
  SourceOptions options_;
  SourceInfo info_;
  Orientation orientation_;
  CodecPtr decoder_;
  PacketPtr packet_;
  FramePtr decoded_, rgb_;
  Converter to_rgb_, to_first_;
  std::function<bool(std::int64_t)> wanted_;
  Frame first_;
  bool have_first_ = false, drained_ = false, ended_badly_ = false, counted_missing_ = false;
  int failures_ = 0, damage_seen_ = 0, damage_logged_ = 0, missing_ = 0;
  int width_ = 0, height_ = 0;
  AVPixelFormat format_ = AV_PIX_FMT_NONE;
  Colour colour_;
  std::int64_t delivered_ = 0, last_pts_ = AV_NOPTS_VALUE, last_ticks_ = 1;
};
}  // namespace

std::unique_ptr<FrameSource> open_source(const std::filesystem::path& path,
                                         const SourceOptions& options) {
  return std::make_unique<VideoSource>(path, options);
}
}  // namespace faceswap::libav
