// What the video files share: owners for libav's objects, errors in our words, colour and orientation of a stream. Written for
// FFmpeg 5.1; what later versions renamed is wrapped here, one function each.
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
  std::shared_ptr<const AVFrame> frame;  // in the size and pixel format of the source's first frame
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

inline constexpr const char* kMaxPixels = "67108864";  // 8192 x 8192, of one video frame

inline constexpr std::int64_t kMaxTime = std::int64_t{1}
                                         << 60;  // time stamps beyond it are taken for damage

FramePtr new_frame();  // Error(memory)
FramePtr new_picture(int width, int height,
                     AVPixelFormat format);  // with its buffer; Error(memory)
PacketPtr new_packet();

// libav's messages go to us, not to stderr: the last error it logged explains a failure better than its code does. A codec
// or container context whose `opaque` points to a std::atomic<int> has its errors counted there: a demuxer that skips damage says so
// nowhere else, and a decoder with frame threads that patches up a frame does not reliably mark it.
void quiet_log();
void forget_log();
std::string code_text(int code);   // the code in words
std::string error_text(int code);  // and what was logged since forget_log
[[noreturn]] void fail(ErrorKind kind, const std::string& what,
                       int code);  // with error_text; no memory and no space become their own kinds

// An input file under limits: local file only, known containers, at most 64 streams, a deadline for every call.
class Input {
 public:
  explicit Input(const std::filesystem::path& path);  // opens and probes; Error(input)
  ~Input();
  Input(const Input&) = delete;
  Input& operator=(const Input&) = delete;

  AVFormatContext* context = nullptr;
  AVStream* video = nullptr;
  int read(AVPacket* packet);  // av_read_frame under the deadline
  std::optional<std::int64_t> video_end()
      const;  // where the container says that the video ends, in stream ticks

 private:
  void start_clock();
  static int overdue(void* self);
  std::chrono::steady_clock::time_point deadline_;
};

// --- a stream's properties
Orientation orientation(const AVStream*);
const std::int32_t* display_matrix(const AVStream*);  // 9 entries or null
void copy_stream_side_data(const AVStream* from,
                           AVStream* to);  // display matrix, mastering display, light level
std::int64_t duration_of(const AVFrame*);  // in stream ticks; 0: unknown
void set_duration(AVFrame*, std::int64_t ticks);
std::span<const AVPixelFormat> encoder_formats(const AVCodec*);

// --- colour: a matrix as swscale knows it, and whether luma spans 0..255 instead of 16..235
struct Colour {
  int matrix = SWS_CS_ITU709;
  bool full_range = false;
};
Colour colour_of(const AVFrame*);
int depth_of(AVPixelFormat);  // bits of the first component

// A conversion between two pictures; rebuilt only where sizes, formats or colours differ from the last call.
class Converter {
 public:
  // from and to have buffers; colour applies to the side that is YUV (both, where both are).
  void convert(const AVFrame* from, const Colour& from_colour, AVFrame* to,
               const Colour& to_colour);

 private:
  ScalerPtr scaler_;
  std::array<int, 10> made_for_{};
};

}  // namespace libav
}  // namespace faceswap
