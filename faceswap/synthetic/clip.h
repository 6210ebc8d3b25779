// Video clips of synthetic heads.
#pragma once
#include <cstdint>
#include <filesystem>

#include "faceswap/synthetic/head.h"

namespace faceswap {

struct ClipOptions {
  char person = 'a';
  std::uint32_t pose_seed = 5;  // of the motion: clips with the same seed move alike
  std::uint32_t background_seed = 1;
  int background = 0;
  int width = 320, height = 240, frames = 250, fps = 25;
  bool sound = true;  // a quiet tone in step with the mouth
  bool force = false, quiet = false;
};

// Writes the video, and the landmarks and pose of each frame as JSON lines to `truth`
// unless it is empty.
void render_clip(const ClipOptions&, const std::filesystem::path& out,
                 const std::filesystem::path& truth = {});
}  // namespace faceswap
