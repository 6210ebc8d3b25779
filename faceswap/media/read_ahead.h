// A source that is read in a thread of its own, so that decoding and the work on its
// frames run side by side.
#pragma once
#include <memory>

#include "faceswap/media/media.h"

namespace faceswap {

// At most `frames` wait to be taken. info() is the source's as of the frame delivered
// last. Errors of the source come out of next(). Call want() before the first next().
std::unique_ptr<FrameSource> read_ahead(std::unique_ptr<FrameSource> source, int frames);
}  // namespace faceswap
