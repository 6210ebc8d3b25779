// Writing a video that differs from its source only where faces were changed. The
// samples are the decoder's own; the changed box alone is converted from RGB. Time
// stamps, sound, rotation, colour tags and metadata are the source's.
#pragma once
#include <filesystem>
#include <memory>

#include "faceswap/media/media.h"

namespace faceswap::libav {

std::unique_ptr<FrameSink> open_sink(const std::filesystem::path& out, const SourceInfo& source,
                                     const SinkOptions&);
}  // namespace faceswap::libav
