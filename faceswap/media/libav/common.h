// Owners for FFmpeg's objects, its errors as ours, and the colour and orientation of a
// stream. Written for FFmpeg 5.1; each name that later versions changed has one wrapper
// here.
#pragma once
extern "C" {
#include <libavcodec/avcodec.h>
#include <libavformat/avformat.h>
#include <libswscale/swscale.h>
}

#include <array>
#include <chrono>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>

#include "faceswap/media/media.h"
#include "faceswap/media/orientation.h"

namespace faceswap {

class NativeFrame {
 public:
  std::shared_ptr<const AVFrame> frame;  // in the size and pixel format of the first frame
};

namespace libav {

struct Free {
  void operator()(AVFrame* p) const { av_frame_free(&p); }
  void operator()(AVPacket* p) const { av_packet_free(&p); }
  void operator()(AVCodecContext* p) const { avcodec_free_context(&p); }
  void operator()(SwsContext* p) const { sws_freeContext(p); }
};
using FramePtr = std::unique_ptr<AVFrame, Free>;
using PacketPtr = std::unique_ptr<AVPacket, Free>;
using CodecPtr = std::unique_ptr<AVCodecContext, Free>;
using ScalerPtr = std::unique_ptr<SwsContext, Free>;

inline constexpr const char* kMaxPixels = "67108864";  // of one video frame: 8192 x 8192
// Time stamps beyond it are taken for damage, so that their sums do not overflow.
inline constexpr std::int64_t kMaxTime = std::int64_t{1} << 60;

// Error(memory)
FramePtr new_frame();
FramePtr new_picture(int width, int height, AVPixelFormat format);  // with its buffer
PacketPtr new_packet();

// Sends FFmpeg's messages here instead of to stderr. The last error logged explains a
// failure better than its code. A codec or container context whose `opaque` points to a
// std::atomic<int> has its errors counted there: a demuxer that skips damage reports it
// nowhere else, and a decoder with frame threads does not reliably mark a frame that it
// patched.
void quiet_log();
void forget_log();
std::string code_text(int code);   // the code in words
std::string error_text(int code);  // and the last error logged since forget_log
// Throws with error_text. No memory and no space on the disk become their own kinds.
[[noreturn]] void fail(ErrorKind kind, const std::string& what, int code);

// An input file under limits: a local file of a known container, at most 64 streams,
// and a deadline for every call.
class Input {
 public:
  explicit Input(const std::filesystem::path& path);  // opens and probes; Error(input)
  ~Input();
  Input(const Input&) = delete;
  Input& operator=(const Input&) = delete;

  AVFormatContext* context = nullptr;
  AVStream* video = nullptr;
  int read(AVPacket* packet);                     // av_read_frame under the deadline
  std::optional<std::int64_t> video_end() const;  // by the container, in stream ticks

 private:
  void start_clock();
  static int overdue(void* self);
  std::chrono::steady_clock::time_point deadline_;
};

// --- properties of a stream
Orientation orientation(const AVStream*);
// Width over height of a pixel of the video; 0/1: not known. The container's word counts
// more than the stream's, as in players.
AVRational sample_aspect(const Input&, const AVFrame*);
const std::int32_t* display_matrix(const AVStream*);  // 9 entries or null
// Display matrix, mastering display and light level.
void copy_stream_side_data(const AVStream* from, AVStream* to);
std::int64_t duration_of(const AVFrame*);  // in stream ticks; 0: unknown
void set_duration(AVFrame*, std::int64_t ticks);
std::span<const AVPixelFormat> encoder_formats(const AVCodec*);

// --- colour: a matrix in swscale's numbers, and luma from 0 to 255 or from 16 to 235
struct Colour {
  int matrix = SWS_CS_ITU709;
  bool full_range = false;
};
Colour colour_of(const AVFrame*);
int depth_of(AVPixelFormat);  // bits of the first component

// A conversion between two pictures. The scaler is rebuilt only for other sizes,
// formats or colours than those of the last call.
class Converter {
 public:
  // Both frames have buffers. A colour applies to a side in YUV.
  void convert(const AVFrame* from, const Colour& from_colour, AVFrame* to,
               const Colour& to_colour);

 private:
  ScalerPtr scaler_;
  std::array<int, 10> made_for_{};
};
}  // namespace libav
}  // namespace faceswap
