// Training samples made on the device: pick a face, colour, affine, flip, and for the input a random 5x5 grid warp. Every
// position is composed analytically, so that the stored face is sampled once. Figures and order are Faceswap's (colour, affine,
// flip; the copy before the warp is the target).
#pragma once
#include <span>

#include "kernels/core/step_state.h"
#include "kernels/core/stream.h"

namespace kernels {

// The part of the stored square crop that the model sees, in shares of its side.
struct View {
  float center_x = 0.5f, center_y = 0.5f, side = 1.f;
};

struct AugmentOptions {
  float zoom = 0.05f;        // +- share
  float rotation = 10.f;     // +- degrees
  float shift = 0.05f;       // +- share of the view's side
  float flip = 0.5f;         // chance
  float warp = 5.f / 256.f;  // deviation of each grid node, share of the view's side
  float lightness = 0.30f;   // +- of L: positive moves towards white, negative scales down
  float chroma = 0.08f;      // +- of a and b, likewise towards and away from the extreme
  bool random = true;  // false: no change at all, the stored faces in order (previews, evaluation)
};

// A batch, or the `count` samples from `first` on of one that is made in parts.
struct MicroBatch {
  int batch, first, count;
  MicroBatch(int whole) : batch(whole), first(0), count(whole) {}
  MicroBatch(int batch_, int first_, int count_) : batch(batch_), first(first_), count(count_) {}
};

// One person's faces on the device: RGBA, the fourth channel a mask. side keys the random numbers (A is 0, B is 1).
struct ImageSource {
  const std::uint8_t* faces;  // [count,S,S,4], S = stored_size
  int count, stored_size;
  std::uint32_t side;
};
constexpr std::size_t kMaxImageSources = 2;

// Each source's part of its batch, one behind the other; at most kMaxImageSources. Sample i of a source's batch is turn
// (step-1)*batch + i; turns count by count make an epoch, in which every face is seen once, in an order of its own. Step 0 counts as 1.
template <class D, class T>
void augment(Stream&, std::span<const ImageSource> sources, const View&, const StepState* state,
             const MicroBatch& part, int size, T* input /*[sources*part.count,size,size,3]*/,
             T* target /*[sources*part.count,size,size,3]*/,
             T* mask /*[sources*part.count,size,size]*/, const AugmentOptions&);

}  // namespace kernels
