// Training samples made on the device: choose a stored image, then colour shift, affine
// map, flip and, for the input only, a random 5x5 grid warp. All positions are composed
// first, so the stored image is sampled once. Figures and order are Faceswap's: the
// target is the copy before the warp.
#pragma once
#include <span>

#include "kernels/core/step_state.h"
#include "kernels/core/stream.h"

namespace kernels {

// The sampled part of the stored square, in shares of its side.
struct Region {
  float center_x = 0.5f, center_y = 0.5f, side = 1.f;
};

struct AugmentOptions {
  float zoom = 0.05f;        // +- share
  float rotation = 10.f;     // +- degrees
  float shift = 0.05f;       // +- share of the region's side
  float flip = 0.5f;         // chance
  float warp = 5.f / 256.f;  // deviation of a grid node, share of the region's side
  float lightness = 0.30f;   // +- of L: positive towards white, negative scales down
  float chroma = 0.08f;      // +- of a and b, towards or away from the extreme
  bool random = true;        // false: the stored images unchanged, in order (previews)
};

// A whole batch, or `count` samples of it from `first` on.
struct MicroBatch {
  int batch, first, count;
  MicroBatch(int whole) : batch(whole), first(0), count(whole) {}
  MicroBatch(int batch_, int first_, int count_) : batch(batch_), first(first_), count(count_) {}
};

// Images on the device: RGBA, the fourth channel a mask. Sources of different keys draw
// different random numbers.
struct ImageSource {
  const std::uint8_t* images;  // [count,S,S,4], S = stored_size
  int count, stored_size;
  std::uint32_t key;
};
constexpr std::size_t kMaxImageSources = 2;

// Samples of each source, one source behind the other. Sample i of a source's batch is
// draw (step-1)*batch + i, and `count` draws are an epoch: each shows every image once,
// in an order of its own. Step 0 counts as 1.
template <class D, class T>
void augment(Stream&, std::span<const ImageSource> sources, const Region&, const StepState*,
             const MicroBatch&, int size,
             T* input,   // [samples,size,size,3], samples = sources * MicroBatch::count
             T* target,  // [samples,size,size,3]
             T* mask,    // [samples,size,size]
             const AugmentOptions&);
}  // namespace kernels
