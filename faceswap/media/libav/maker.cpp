#include "faceswap/media/libav/maker.h"

#include <fmt/format.h>

#include <algorithm>

#include "faceswap/media/libav/output.h"

extern "C" {
#include <libavutil/channel_layout.h>
}

namespace faceswap::libav {
namespace {

constexpr int kSampleRate = 48000;
constexpr std::int64_t kSoundBitRate = 96000;

// Compressed packets wait for the sound, so that both lie interleaved in the file.
class Maker : public VideoMaker {
 public:
  Maker(const std::filesystem::path& out, int width, int height, Rational rate,
        const SinkOptions& options)
      : path_(out), output_(out, options) {
    VideoFormat format;
    format.width = width, format.height = height;
    format.frame_rate = {rate.num, rate.den};
    format.time_base = {rate.den, rate.num};
    format.sample_aspect = {1, 1};
    format.range = AVCOL_RANGE_MPEG;
    format.primaries = AVCOL_PRI_BT709, format.transfer = AVCOL_TRC_BT709,
    format.matrix = AVCOL_SPC_BT709;
    format.chroma = AVCHROMA_LOC_LEFT;
    output_.open_encoder(format);
    width_ = width, height_ = height;
  }

  void write(const Image& rgb) override {
    if (rgb.width != width_ || rgb.height != height_ || rgb.channels != 3)
      throw Error(
          ErrorKind::failure,
          fmt::format("{}: a picture of {}x{}x{} came for a video of {}x{}x3", path_.string(),
                      rgb.width, rgb.height, rgb.channels, width_, height_));
    const FramePtr from = new_picture(width_, height_, AV_PIX_FMT_RGB24);
    to_stored(rgb, Orientation{}, width_, height_, {0, 0, width_, height_}, from->data[0],
              from->linesize[0]);
    const FramePtr frame = new_picture(width_, height_, AV_PIX_FMT_YUV420P);
    converter_.convert(from.get(), Colour{SWS_CS_DEFAULT, true}, frame.get(),
                       Colour{SWS_CS_ITU709, false});
    frame->pts = frames_++;
    set_duration(frame.get(), 1);
    output_.encode(frame.get(), [this](AVPacket* packet) {
      keep(packet, output_.video, output_.encoder_time_base());
    });
  }

  void finish(const std::vector<std::int16_t>& sound) override {
    if (frames_ == 0)
      throw Error(
          ErrorKind::nothing_found,
          fmt::format("{}: no frame was written. Write one before finish()", path_.string()));
    output_.encode(nullptr, [this](AVPacket* packet) {
      keep(packet, output_.video, output_.encoder_time_base());
    });
    if (!sound.empty()) encode_sound(sound);
    output_.write_header(false);
    std::stable_sort(waiting_.begin(), waiting_.end(), [](const Waiting& a, const Waiting& b) {
      return av_compare_ts(a.packet->dts, a.time_base, b.packet->dts, b.time_base) < 0;
    });
    for (Waiting& w : waiting_) output_.write(w.packet.get(), w.stream, w.time_base);
    output_.finish();
  }

 private:
  struct Waiting {
    PacketPtr packet;
    AVStream* stream;
    AVRational time_base;
  };

  void keep(AVPacket* packet, AVStream* stream, AVRational time_base) {
    PacketPtr own = new_packet();
    av_packet_move_ref(own.get(), packet);
    waiting_.push_back({std::move(own), stream, time_base});
  }

  void encode_sound(const std::vector<std::int16_t>& sound) {
    const AVCodec* codec = avcodec_find_encoder(AV_CODEC_ID_AAC);
    const CodecPtr encoder(codec ? avcodec_alloc_context3(codec) : nullptr);
    if (!encoder)
      throw Error(
          ErrorKind::failure,
          fmt::format("{}: this FFmpeg has no AAC encoder. Leave the sound out", path_.string()));
    encoder->sample_rate = kSampleRate;
    encoder->sample_fmt = AV_SAMPLE_FMT_FLTP;
    encoder->bit_rate = kSoundBitRate;
    encoder->time_base = {1, kSampleRate};
    av_channel_layout_default(&encoder->ch_layout, 1);
    if (output_.context->oformat->flags & AVFMT_GLOBALHEADER)
      encoder->flags |= AV_CODEC_FLAG_GLOBAL_HEADER;
    if (const int opened = avcodec_open2(encoder.get(), codec, nullptr); opened < 0)
      fail(ErrorKind::failure, fmt::format("{}: the AAC encoder does not start", path_.string()),
           opened);
    AVStream* stream = output_.add_stream();
    if (avcodec_parameters_from_context(stream->codecpar, encoder.get()) < 0)
      throw Error(ErrorKind::memory, fmt::format("{}: out of memory", path_.string()));
    stream->time_base = encoder->time_base;

    const PacketPtr packet = new_packet();
    const auto drain = [&] {
      while (avcodec_receive_packet(encoder.get(), packet.get()) == 0)
        keep(packet.get(), stream, encoder->time_base);
    };
    for (std::size_t at = 0; at < sound.size();
         at += static_cast<std::size_t>(encoder->frame_size)) {
      const FramePtr frame = new_frame();
      frame->nb_samples = static_cast<int>(
          std::min<std::size_t>(static_cast<std::size_t>(encoder->frame_size), sound.size() - at));
      frame->format = encoder->sample_fmt;
      frame->sample_rate = kSampleRate;
      av_channel_layout_default(&frame->ch_layout, 1);
      if (av_frame_get_buffer(frame.get(), 0) < 0)
        throw Error(ErrorKind::memory, fmt::format("{}: out of memory", path_.string()));
      auto* samples = reinterpret_cast<float*>(frame->data[0]);
      for (int i = 0; i < frame->nb_samples; ++i)
        samples[i] = static_cast<float>(sound[at + static_cast<std::size_t>(i)]) / 32768.0f;
      frame->pts = static_cast<std::int64_t>(at);
      if (const int sent = avcodec_send_frame(encoder.get(), frame.get()); sent < 0)
        fail(ErrorKind::failure, fmt::format("{}: the AAC encoder refuses sound", path_.string()),
             sent);
      drain();
    }
    avcodec_send_frame(encoder.get(), nullptr);
    drain();
  }

  std::filesystem::path path_;
  Output output_;
  Converter converter_;
  int width_ = 0, height_ = 0;
  std::int64_t frames_ = 0;
  std::vector<Waiting> waiting_;
};
}  // namespace

std::unique_ptr<VideoMaker> make_video(const std::filesystem::path& out, int width, int height,
                                       Rational rate, const SinkOptions& options) {
  if (width < 2 || height < 2 || width % 2 || height % 2 || width > 8192 || height > 8192)
    throw Error(
        ErrorKind::usage,
        fmt::format("{}: a video of {}x{} cannot be made: even sizes from 2 to 8192 were expected",
                    out.string(), width, height));
  if (rate.num < 1 || rate.den < 1)
    throw Error(ErrorKind::usage,
                fmt::format("{}: {}/{} is not a frame rate; two positive numbers were expected",
                            out.string(), rate.num, rate.den));
  return std::make_unique<Maker>(out, width, height, rate, options);
}
}  // namespace faceswap::libav
