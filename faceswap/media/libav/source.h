// Reading video: every frame upright with its exact time stamp; damage is survived and counted.
#pragma once
#include <filesystem>
#include <memory>

#include "faceswap/media/media.h"

namespace faceswap::libav {

std::unique_ptr<FrameSource> open_source(const std::filesystem::path& path);

}  // namespace faceswap::libav
