#include "tests/faceswap/media/media_clips.h"

#if DOPPEL_MEDIA
#include <algorithm>
#include <cmath>
#include <stdexcept>

extern "C" {
#include <libavutil/channel_layout.h>
#include <libavutil/pixdesc.h>
}

using namespace faceswap::libav;

namespace {

void check(int code, const char* what) {
  if (code < 0) throw std::runtime_error(std::string(what) + ": " + code_text(code));
}

struct Muxer {
  AVFormatContext* context = nullptr;
  ~Muxer() {
    if (!context) return;
    avio_closep(&context->pb);
    avformat_free_context(context);
  }
};

struct Demuxer {
  AVFormatContext* context = nullptr;
  explicit Demuxer(const std::filesystem::path& path) {
    quiet_log();
    check(avformat_open_input(&context, path.c_str(), nullptr, nullptr), "open");
    check(avformat_find_stream_info(context, nullptr), "probe");
  }
  ~Demuxer() { avformat_close_input(&context); }
};

struct Sent {
  PacketPtr packet;
  AVStream* stream;
  AVRational time_base;
};

// A picture that moves and has no symmetry: a ramp in each plane, and a pattern that
// depends on the frame.
FramePtr picture(int width, int height, AVPixelFormat format, int index) {
  FramePtr frame = new_picture(width, height, format);
  const AVPixFmtDescriptor* d = av_pix_fmt_desc_get(format);
  const bool deep = d->comp[0].depth > 8;
  for (int plane = 0; plane < av_pix_fmt_count_planes(format); ++plane) {
    const bool chroma = (plane == 1 || plane == 2) && !(d->flags & AV_PIX_FMT_FLAG_RGB);
    const int w = chroma ? AV_CEIL_RSHIFT(width, d->log2_chroma_w) : width,
              h = chroma ? AV_CEIL_RSHIFT(height, d->log2_chroma_h) : height;
    const int samples = w * d->comp[plane < d->nb_components ? plane : 0].step / (deep ? 2 : 1);
    for (int y = 0; y < h; ++y)
      for (int x = 0; x < samples; ++x) {
        const int value = 40 + (plane == 0 ? (3 * x + 2 * y + 5 * index) % 160
                                           : 60 + (plane * 2 * x + 3 * y + 2 * index) % 60);
        if (deep)
          reinterpret_cast<std::uint16_t*>(frame->data[plane] + y * frame->linesize[plane])[x] =
              static_cast<std::uint16_t>(value * 4 + (x + y) % 4);
        else frame->data[plane][y * frame->linesize[plane] + x] = static_cast<std::uint8_t>(value);
      }
  }
  return frame;
}

CodecPtr open_encoder(const ClipOptions& o, int width, int height, bool global_header) {
  const AVCodec* codec = avcodec_find_encoder_by_name(o.codec.c_str());
  if (!codec) throw std::runtime_error("no encoder " + o.codec);
  CodecPtr encoder(avcodec_alloc_context3(codec));
  encoder->width = width, encoder->height = height, encoder->pix_fmt = o.pixel_format;
  encoder->time_base = o.codec == "mpeg4"
                           ? av_inv_q(o.frame_rate)
                           : o.time_base;  // MPEG-4 has room for 16 bits of time base
  encoder->framerate = o.frame_rate;
  encoder->max_b_frames = o.b_frames;
  encoder->gop_size = 12;
  encoder->thread_count = 1;
  encoder->color_range = o.full_range ? AVCOL_RANGE_JPEG : AVCOL_RANGE_MPEG;
  encoder->colorspace = o.colour_space;
  encoder->color_primaries = AVCOL_PRI_BT709;
  encoder->color_trc = AVCOL_TRC_BT709;
  encoder->sample_aspect_ratio = o.sample_aspect;
  if (global_header) encoder->flags |= AV_CODEC_FLAG_GLOBAL_HEADER;
  AVDictionary* settings = nullptr;
  if (o.codec == "libx264")
    av_dict_set(&settings, "preset", "veryfast", 0), av_dict_set(&settings, "crf", "18", 0);
  const int opened = avcodec_open2(encoder.get(), codec, &settings);
  av_dict_free(&settings);
  check(opened, "open encoder");
  return encoder;
}
}  // namespace

void make_clip(const std::filesystem::path& out, const ClipOptions& o) {
  quiet_log();
  Muxer muxer;
  check(avformat_alloc_output_context2(&muxer.context, nullptr, nullptr, out.c_str()), "container");
  for (const auto& [key, value] : o.metadata)
    av_dict_set(&muxer.context->metadata, key.c_str(), value.c_str(), 0);
  const bool global = (muxer.context->oformat->flags & AVFMT_GLOBALHEADER) && o.resize_at < 0;
  std::vector<Sent> packets;
  const auto drain = [&](AVCodecContext* encoder, AVStream* stream, AVRational time_base) {
    for (;;) {
      PacketPtr packet = new_packet();
      if (avcodec_receive_packet(encoder, packet.get()) < 0) return;
      packets.push_back({std::move(packet), stream, time_base});
    }
  };

  CodecPtr encoder = open_encoder(o, o.width, o.height, global);
  AVStream* video = avformat_new_stream(muxer.context, nullptr);
  check(avcodec_parameters_from_context(video->codecpar, encoder.get()), "parameters");
  video->time_base = o.time_base;
  video->avg_frame_rate = o.frame_rate;
  video->sample_aspect_ratio = o.sample_aspect;
  if (!o.matrix.empty()) {
#if LIBAVFORMAT_VERSION_INT >= AV_VERSION_INT(60, 15, 100)
    AVPacketSideData* data = av_packet_side_data_new(&video->codecpar->coded_side_data,
                                                     &video->codecpar->nb_coded_side_data,
                                                     AV_PKT_DATA_DISPLAYMATRIX, 36, 0);
    std::copy(o.matrix.begin(), o.matrix.end(), reinterpret_cast<std::int32_t*>(data->data));
#else
    std::copy(o.matrix.begin(), o.matrix.end(),
              reinterpret_cast<std::int32_t*>(
                  av_stream_new_side_data(video, AV_PKT_DATA_DISPLAYMATRIX, 36)));
#endif
  }
  std::vector<std::int64_t> pts = o.pts;
  for (int i = 0; pts.size() < 24 && o.pts.empty(); ++i)
    pts.push_back(av_rescale_q(i, av_inv_q(o.frame_rate), o.time_base));
  for (std::size_t i = 0; i < pts.size(); ++i) {
    const bool small = o.resize_at >= 0 && static_cast<int>(i) >= o.resize_at;
    if (static_cast<int>(i) == o.resize_at) {
      check(avcodec_send_frame(encoder.get(), nullptr), "flush");
      drain(encoder.get(), video, encoder->time_base);
      encoder = open_encoder(o, o.width / 2, o.height / 2, global);
    }
    const FramePtr frame = picture(small ? o.width / 2 : o.width, small ? o.height / 2 : o.height,
                                   o.pixel_format, static_cast<int>(i));
    frame->pts = av_rescale_q(pts[i], o.time_base, encoder->time_base);
    frame->color_range = encoder->color_range;
    check(avcodec_send_frame(encoder.get(), frame.get()), "encode");
    drain(encoder.get(), video, encoder->time_base);
  }
  check(avcodec_send_frame(encoder.get(), nullptr), "flush");
  drain(encoder.get(), video, encoder->time_base);

  const double seconds = static_cast<double>(pts.back() - pts.front()) * av_q2d(o.time_base);
  for (int a = 0; a < o.audio_streams; ++a) {
    const AVCodec* codec = avcodec_find_encoder_by_name(o.audio_codec.c_str());
    const CodecPtr sound(avcodec_alloc_context3(codec));
    sound->sample_rate = 48000;
    sound->sample_fmt = codec->sample_fmts[0];
    sound->bit_rate = 64000;
    sound->time_base = {1, 48000};
    av_channel_layout_default(&sound->ch_layout, 1);
    if (muxer.context->oformat->flags & AVFMT_GLOBALHEADER)
      sound->flags |= AV_CODEC_FLAG_GLOBAL_HEADER;
    check(avcodec_open2(sound.get(), codec, nullptr), "sound encoder");
    AVStream* stream = avformat_new_stream(muxer.context, nullptr);
    check(avcodec_parameters_from_context(stream->codecpar, sound.get()), "parameters");
    stream->time_base = sound->time_base;
    const int block = sound->frame_size > 0 ? sound->frame_size : 1024;
    for (std::int64_t at = 0; at < static_cast<std::int64_t>(seconds * 48000); at += block) {
      const FramePtr frame = new_frame();
      frame->nb_samples = block, frame->format = sound->sample_fmt, frame->sample_rate = 48000;
      av_channel_layout_default(&frame->ch_layout, 1);
      check(av_frame_get_buffer(frame.get(), 0), "sound frame");
      for (int i = 0; i < block; ++i) {
        const double value = 0.3 * std::sin(static_cast<double>(at + i) * 0.04 * (a + 1));
        if (sound->sample_fmt == AV_SAMPLE_FMT_FLTP)
          reinterpret_cast<float*>(frame->data[0])[i] = static_cast<float>(value);
        else
          reinterpret_cast<std::int16_t*>(frame->data[0])[i] =
              static_cast<std::int16_t>(value * 32000);
      }
      frame->pts = at + o.audio_start;
      check(avcodec_send_frame(sound.get(), frame.get()), "sound");
      drain(sound.get(), stream, sound->time_base);
    }
    check(avcodec_send_frame(sound.get(), nullptr), "flush");
    drain(sound.get(), stream, sound->time_base);
  }

  check(avio_open(&muxer.context->pb, out.c_str(), AVIO_FLAG_WRITE), "create");
  AVDictionary* settings = nullptr;
  av_dict_parse_string(&settings, o.options.c_str(), "=", ":", 0);
  if (o.time_base.num == 1) av_dict_set_int(&settings, "video_track_timescale", o.time_base.den, 0);
  av_dict_set_int(&settings, "movie_timescale", 48000,
                  0);  // for exact starts in the source too
  const int written = avformat_write_header(muxer.context, &settings);
  av_dict_free(&settings);
  check(written, "header");
  std::stable_sort(packets.begin(), packets.end(), [](const Sent& a, const Sent& b) {
    return av_compare_ts(a.packet->dts, a.time_base, b.packet->dts, b.time_base) < 0;
  });
  for (Sent& s : packets) {
    s.packet->stream_index = s.stream->index;
    av_packet_rescale_ts(s.packet.get(), s.time_base, s.stream->time_base);
    check(av_interleaved_write_frame(muxer.context, s.packet.get()), "write");
  }
  check(av_write_trailer(muxer.context), "trailer");
}

std::vector<std::int32_t> turn(int degrees, bool mirrored) {
  const int c = degrees == 0     ? 1
                : degrees == 180 ? -1
                                 : 0,
            s = degrees == 90    ? 1
                : degrees == 270 ? -1
                                 : 0;
  const int one = 1 << 16, sign = mirrored ? -1 : 1;
  // Stored x goes to (c, s), stored y to (-s, c): a clockwise turn where y points down.
  // Mirroring negates the image of x.
  return {c * one * sign, s * one * sign, 0, -s * one, c * one, 0, 0, 0, 1 << 30};
}

const ProbedStream& Probed::video() const {
  for (const ProbedStream& s : streams)
    if (s.type == AVMEDIA_TYPE_VIDEO) return s;
  throw std::runtime_error("no video stream");
}

std::vector<const ProbedStream*> Probed::audio() const {
  std::vector<const ProbedStream*> found;
  for (const ProbedStream& s : streams)
    if (s.type == AVMEDIA_TYPE_AUDIO) found.push_back(&s);
  return found;
}

std::string Probed::tag(const std::string& key) const {
  for (const auto& [k, v] : metadata)
    if (k == key ||
        (k.size() == key.size() && std::equal(k.begin(), k.end(), key.begin(), [](char a, char b) {
           return std::tolower(a) == std::tolower(b);
         })))
      return v;
  return "";
}

Probed probe(const std::filesystem::path& path) {
  const Demuxer demuxer(path);
  Probed out;
  for (unsigned i = 0; i < demuxer.context->nb_streams; ++i) {
    const AVStream* s = demuxer.context->streams[i];
    const AVCodecParameters* p = s->codecpar;
    const std::int32_t* m = display_matrix(s);
    const AVRational aspect =
        s->sample_aspect_ratio.num ? s->sample_aspect_ratio : p->sample_aspect_ratio;
    out.streams.push_back({p->codec_type,
                           s->time_base,
                           {},
                           {},
                           m ? std::vector<std::int32_t>(m, m + 9) : std::vector<std::int32_t>{},
                           aspect,
                           p->width,
                           p->height,
                           p->format,
                           p->color_range,
                           p->color_space,
                           p->color_primaries,
                           p->color_trc});
  }
  for (const AVDictionaryEntry* e = nullptr;
       (e = av_dict_get(demuxer.context->metadata, "", e, AV_DICT_IGNORE_SUFFIX));)
    out.metadata.emplace_back(e->key, e->value);
  const PacketPtr packet = new_packet();
  while (av_read_frame(demuxer.context, packet.get()) >= 0) {
    ProbedStream& s = out.streams[static_cast<std::size_t>(packet->stream_index)];
    s.pts.push_back(packet->pts);
    std::uint64_t hash = 1469598103934665603u;
    for (int i = 0; i < packet->size; ++i) hash = (hash ^ packet->data[i]) * 1099511628211u;
    s.hashes.push_back(hash);
    av_packet_unref(packet.get());
  }
  for (ProbedStream& s : out.streams) std::sort(s.pts.begin(), s.pts.end());
  return out;
}

std::vector<FramePtr> decode_planes(const std::filesystem::path& path) {
  const Demuxer demuxer(path);
  const int index = av_find_best_stream(demuxer.context, AVMEDIA_TYPE_VIDEO, -1, -1, nullptr, 0);
  const AVStream* stream = demuxer.context->streams[index];
  const AVCodec* codec = avcodec_find_decoder(stream->codecpar->codec_id);
  const CodecPtr decoder(avcodec_alloc_context3(codec));
  check(avcodec_parameters_to_context(decoder.get(), stream->codecpar), "parameters");
  check(avcodec_open2(decoder.get(), codec, nullptr), "open decoder");
  std::vector<FramePtr> frames;
  const auto drain = [&] {
    for (;;) {
      FramePtr frame = new_frame();
      if (avcodec_receive_frame(decoder.get(), frame.get()) < 0) return;
      frames.push_back(std::move(frame));
    }
  };
  const PacketPtr packet = new_packet();
  while (av_read_frame(demuxer.context, packet.get()) >= 0) {
    if (packet->stream_index == index)
      check(avcodec_send_packet(decoder.get(), packet.get()), "decode");
    av_packet_unref(packet.get());
    drain();
  }
  avcodec_send_packet(decoder.get(), nullptr);
  drain();
  return frames;
}

bool same_times(const ProbedStream& a, const ProbedStream& b, double slack) {
  if (a.pts.size() != b.pts.size()) return false;
  for (std::size_t i = 0; i < a.pts.size(); ++i) {
    if (slack == 0 ? av_compare_ts(a.pts[i], a.time_base, b.pts[i], b.time_base) != 0
                   : std::abs(static_cast<double>(a.pts[i]) * av_q2d(a.time_base) -
                              static_cast<double>(b.pts[i]) * av_q2d(b.time_base)) > slack)
      return false;
  }
  return true;
}
#endif
