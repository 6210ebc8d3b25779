// The kinds of source and sink behind open_source, open_sink and make_video. Video is absent from builds without libav.
#pragma once
#include "faceswap/media/media.h"

namespace faceswap {

std::unique_ptr<FrameSource> open_images(
    const std::filesystem::path& path);  // a folder or one picture
std::unique_ptr<FrameSink> open_image_sink(const std::filesystem::path& out, const SourceInfo&,
                                           const SinkOptions&);
std::unique_ptr<FrameSource> open_video(const std::filesystem::path& path);
std::unique_ptr<FrameSink> open_video_sink(const std::filesystem::path& out, const SourceInfo&,
                                           const SinkOptions&);

bool is_video_output(const std::filesystem::path& path);  // .mp4, .m4v, .mov, .mkv

}  // namespace faceswap
