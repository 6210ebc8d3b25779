// Training samples, made where they are used.
// Computes: from a place of the output to stored pixels:
//     (u,v) in [0,1]^2 -> + warp(4u,4v), input only -> flip u -> undo shift, rotation
//     and zoom about the centre -> region -> stored pixels
//   The warp moves the nodes of a 5x5 map by N(0, warp), enlarges the map by 1.25 and
//   cuts 10 % off each side, so the outer nodes lie on the picture's border. If the
//   stored image is over 1.5 times as fine as the output, a pixel is the mean of 2 x 2
//   places. L*, a*, b* move by a share r of the distance to their maximum (r > 0) or
//   shrink by r towards their minimum (r < 0); a* and b* run from -128 to 127.
// Parallel: two launches for all sources: 14 threads per sample draw its random numbers
//   (`Recipe`), one for each four nodes and one for the rest; then a thread per output
//   pixel reads the stored image, once for the target and once for the input.
// Bytes: per pixel at most 32 stored texels (128 bytes, mostly cached) and 7 values
//   written. The colour's powers cost more.
// Source: lib/training/data/augmentation.py of Faceswap,
//   https://github.com/deepfakes/faceswap
#include "kernels/image/augment.h"

#include <cmath>

#include "kernels/core/memory.h"
#include "kernels/image/color_math.h"
#include "kernels/image/sampling.h"
#include "kernels/random.h"
#include "kernels/ranges.h"
#include "kernels/simt/instantiate.h"

namespace kernels {
namespace {

struct Recipe {
  int source, image;
  int supersample;
  float flip_scale, flip_shift;  // u -> flip_scale * u + flip_shift
  float xx, xy, x0, yx, yy, y0;  // stored x = xx*u + xy*v + x0, y likewise, in pixels
  float lightness, a, b;         // shares r above
  float warp[50];                // of the nodes, in shares of the region: 25 x, 25 y
};

struct Request {
  ImageSource sources[kMaxImageSources];
  int samples, size;       // of all sources
  MicroBatch micro_batch;  // of each
  Region region;
  AugmentOptions options;
  // Without indexing, which would copy the arguments into each thread's local memory.
  SIMT_DEVICE ImageSource source(int wanted) const {
    ImageSource source = sources[0];
    SIMT_UNROLL
    for (int k = 1; k < static_cast<int>(kMaxImageSources); ++k)
      if (k == wanted) source = sources[k];
    return source;
  }
};

// Operations of a sample's random stream. The grid takes 13, four normals each.
enum Op : std::uint32_t {
  affine_op = 0,
  flip_and_color_op = 1,
  grid_op = 2,
  order_op = 0x80000000u
};

// A permutation of [0, count) per seed, key and epoch: a four-round Feistel network on
// the smallest square power of two that holds count. A value outside is mapped again.
SIMT_DEVICE std::uint32_t epoch_order(std::uint32_t position, std::uint32_t count,
                                      std::uint64_t seed, std::uint32_t key, std::uint64_t epoch) {
  int half = 1;
  while (half < 16 && (1u << (2 * half)) < count) ++half;
  const std::uint32_t mask = (1u << half) - 1;
  std::uint32_t value = position;
  do {
    std::uint32_t left = value >> half, right = value & mask;
    for (std::uint32_t round = 0; round < 4; ++round) {
      const std::uint32_t mixed = left ^ (Philox::draw(seed, static_cast<std::uint32_t>(epoch),
                                                       right, key, order_op + round)
                                              .v[0] &
                                          mask);
      left = right;
      right = mixed;
    }
    value = left << half | right;
  } while (value >= count);
  return value;
}

SIMT_DEVICE float symmetric(std::uint32_t word, float range) {
  return (2.f * Philox::unit(word) - 1.f) * range;
}

SIMT_DEVICE Philox::Block words_of(std::uint64_t seed, std::uint64_t step, std::uint32_t sample,
                                   std::uint32_t op) {
  return Philox::draw(seed, static_cast<std::uint32_t>(step),
                      static_cast<std::uint32_t>(step >> 32), sample, op);
}

constexpr int kGridOps = 13;

// Nodes [4k, 4k + 4) of the warp; there are 50.
SIMT_DEVICE void draw_nodes(Recipe& recipe, std::uint32_t k, std::uint64_t seed, std::uint64_t step,
                            std::uint32_t sample, float deviation) {
  const Philox::Block words = words_of(seed, step, sample, grid_op + k);
  for (int pair = 0; pair < 2; ++pair) {
    const float radius =
        deviation * std::sqrt(-2.f * std::log(1.f - Philox::unit(words.v[2 * pair])));
    const float angle = 6.2831853f * Philox::unit(words.v[2 * pair + 1]);
    for (int half = 0; half < 2; ++half) {
      const int i = static_cast<int>(4 * k) + 2 * pair + half;
      const float value = radius * (half == 0 ? std::cos(angle) : std::sin(angle));
      if (i < 50) recipe.warp[i] = value;
    }
  }
}

// A sample of a source's batch.
struct Sample {
  ImageSource source;
  std::uint32_t index, batch;
  SIMT_DEVICE Sample(const Request& r, std::int64_t i)
      : source(r.source(static_cast<int>(i / r.micro_batch.count))),
        index(static_cast<std::uint32_t>(r.micro_batch.first + i % r.micro_batch.count)),
        batch(static_cast<std::uint32_t>(r.micro_batch.batch)) {}
  SIMT_DEVICE std::uint32_t stream() const { return source.key * batch + index; }
};

// All but the warp.
SIMT_DEVICE void draw_rest(Recipe& recipe, const Request& r, const Sample& of, std::uint64_t seed,
                           std::uint64_t step) {
  const ImageSource& source = of.source;
  const std::uint64_t draw = (step - 1) * of.batch + of.index,
                      count = static_cast<std::uint64_t>(source.count);
  const std::uint32_t position = static_cast<std::uint32_t>(draw % count);
  float zoom = 1.f, angle = 0.f, shift_x = 0.f, shift_y = 0.f;
  recipe.flip_scale = 1.f;
  if (r.options.random) {
    recipe.image = static_cast<int>(epoch_order(position, static_cast<std::uint32_t>(source.count),
                                                seed, source.key, draw / count));
    const Philox::Block affine = words_of(seed, step, of.stream(), affine_op),
                        color = words_of(seed, step, of.stream(), flip_and_color_op);
    zoom += symmetric(affine.v[0], r.options.zoom);
    angle = symmetric(affine.v[1], r.options.rotation) * 0.017453293f;
    shift_x = symmetric(affine.v[2], r.options.shift);
    shift_y = symmetric(affine.v[3], r.options.shift);
    if (Philox::unit(color.v[0]) < r.options.flip) recipe.flip_scale = -1.f;
    recipe.lightness = symmetric(color.v[1], r.options.lightness);
    recipe.a = symmetric(color.v[2], r.options.chroma);
    recipe.b = symmetric(color.v[3], r.options.chroma);
  } else {
    recipe.image = static_cast<int>(position);
  }
  recipe.flip_shift = recipe.flip_scale < 0.f ? 1.f : 0.f;
  // q = R(-angle) (p - shift) / zoom with p = (u,v) - 1/2
  // stored = (centre + side * q) * S - 1/2
  const float stored_size = static_cast<float>(source.stored_size),
              pixels = r.region.side * stored_size, k = pixels / zoom;
  const float cosine = std::cos(angle) * k, sine = std::sin(angle) * k, px = 0.5f + shift_x,
              py = 0.5f + shift_y;
  recipe.xx = cosine;
  recipe.xy = sine;
  recipe.x0 = r.region.center_x * stored_size - 0.5f - (cosine * px + sine * py);
  recipe.yx = -sine;
  recipe.yy = cosine;
  recipe.y0 = r.region.center_y * stored_size - 0.5f - (cosine * py - sine * px);
  recipe.supersample = k > 1.5f * static_cast<float>(r.size) ? 2 : 1;
}

// The ops of a sample are `samples` threads apart, so those of a warp do the same work.
__global__ void draw_recipes(Recipe* recipes, const StepState* state, Request r) {
  const std::uint64_t seed = state->seed, step = state->step > 0 ? state->step : 1;
  for (const std::int64_t i : simt::grid_range(std::int64_t{r.samples} * (kGridOps + 1))) {
    const std::int64_t op = i / r.samples, sample = i - op * r.samples;
    Recipe& recipe = recipes[sample];
    const Sample of(r, sample);
    if (op == kGridOps) {
      recipe.source = static_cast<int>(sample / r.micro_batch.count);
      draw_rest(recipe, r, of, seed, step);
    } else if (r.options.random) {
      draw_nodes(recipe, static_cast<std::uint32_t>(op), seed, step, of.stream(), r.options.warp);
    }
  }
}

// Means of the stored image over the output pixels of a run; values 0..1.
struct Pixels {
  float r[kRun], g[kRun], b[kRun], m[kRun];
};

template <bool kWarp>
SIMT_DEVICE void sample_image(Pixels& pixels, int k, const std::uint8_t* image,
                              const Recipe& recipe, int stored_size, float x, float y,
                              float over_size) {
  float sum[4] = {};
  const int n = recipe.supersample;
  const float step = 1.f / static_cast<float>(n), share = step * step * (1.f / 255.f);
  for (int j = 0; j < n; ++j)
    for (int i = 0; i < n; ++i) {
      float u = (x + (static_cast<float>(i) + 0.5f) * step) * over_size,
            v = (y + (static_cast<float>(j) + 0.5f) * step) * over_size;
      if constexpr (kWarp) {
        const GridCell cell(4.f * u, 4.f * v);
        const float du = cell.read(recipe.warp), dv = cell.read(recipe.warp + 25);
        u += du;
        v += dv;
      }
      u = recipe.flip_scale * u + recipe.flip_shift;
      Neighbours(recipe.xx * u + recipe.xy * v + recipe.x0,
                 recipe.yx * u + recipe.yy * v + recipe.y0, stored_size, stored_size)
          .template add<4>(image, sum);
    }
  pixels.r[k] = sum[0] * share;
  pixels.g[k] = sum[1] * share;
  pixels.b[k] = sum[2] * share;
  pixels.m[k] = sum[3] * share;
}

SIMT_DEVICE float move(float value, float r, float low, float high) {
  return value + r * (r > 0.f ? high - value : value - low);
}

SIMT_DEVICE void shift_color(Pixels& pixels, const Recipe& recipe, int count) {
  const float lightness = recipe.lightness, a = recipe.a, b = recipe.b;
  SIMT_SIMD
  for (int k = 0; k < count; ++k) {
    const Lab lab = rgb_to_lab(Rgb{pixels.r[k], pixels.g[k], pixels.b[k]});
    const Rgb shifted =
        lab_to_rgb(Lab{move(lab.l, lightness, 0.f, 100.f), move(lab.a, a, -128.f, 127.f),
                       move(lab.b, b, -128.f, 127.f)});
    pixels.r[k] = shifted.r;
    pixels.g[k] = shifted.g;
    pixels.b[k] = shifted.b;
  }
}

template <class T> SIMT_DEVICE void store_rgb(T* out, const Pixels& pixels, int count) {
  for (int k = 0; k < count; ++k) {
    store(out, 3 * k, pixels.r[k]);
    store(out, 3 * k + 1, pixels.g[k]);
    store(out, 3 * k + 2, pixels.b[k]);
  }
}

template <class T, bool kRandom>
__global__ void augment_kernel(const Recipe* recipes, Request r, T* input, T* target, T* mask) {
  const float over_size = 1.f / static_cast<float>(r.size);
  const auto run = [=](std::int64_t line, std::int64_t x, int count) SIMT_LAMBDA {
    const std::int64_t sample = line / r.size, pixel = line * r.size + x;
    const Recipe& recipe = recipes[sample];
    const ImageSource source = r.source(recipe.source);
    const int stored_size = source.stored_size;
    const std::uint8_t* const image =
        source.images + static_cast<std::int64_t>(recipe.image) * stored_size * stored_size * 4;
    const float y = static_cast<float>(line - sample * r.size);
    Pixels pixels;
    for (int k = 0; k < count; ++k)
      sample_image<false>(pixels, k, image, recipe, stored_size, static_cast<float>(x + k), y,
                          over_size);
    for (int k = 0; k < count; ++k) store(mask, pixel + k, static_cast<compute_t<T>>(pixels.m[k]));
    if constexpr (kRandom) shift_color(pixels, recipe, count);
    store_rgb(target + 3 * pixel, pixels, count);
    if constexpr (kRandom) {
      for (int k = 0; k < count; ++k)
        sample_image<true>(pixels, k, image, recipe, stored_size, static_cast<float>(x + k), y,
                           over_size);
      shift_color(pixels, recipe, count);
    }
    store_rgb(input + 3 * pixel, pixels, count);
  };
  for_runs(static_cast<std::int64_t>(r.samples) * r.size, r.size, run);
}
}  // namespace

template <class D, class T>
void augment(Stream& stream, std::span<const ImageSource> sources, const Region& region,
             const StepState* state, const MicroBatch& micro_batch, int size, T* input, T* target,
             T* mask, const AugmentOptions& options) {
  if (sources.size() > kMaxImageSources)
    throw Error(ErrorKind::usage, "augment: at most " + std::to_string(kMaxImageSources) +
                                      " sources, got " + std::to_string(sources.size()));
  const int samples = static_cast<int>(sources.size()) * micro_batch.count;
  Request request{{}, samples, size, micro_batch, region, options};
  for (std::size_t k = 0; k < sources.size(); ++k) {
    if (sources[k].count < 1 || sources[k].stored_size < 1)
      throw Error(ErrorKind::usage,
                  "augment: source " + std::to_string(k) + " is empty; give it at least one image");
    request.sources[k] = sources[k];
  }
  if (samples < 1 || size < 1) return;
  const Buffer recipes(stream.device(), static_cast<std::size_t>(samples) * sizeof(Recipe));
  simt::launch_range<draw_recipes, 64>(stream.moves(samples * sizeof(Recipe)),
                                       std::int64_t{samples} * (kGridOps + 1), recipes.as<Recipe>(),
                                       state, request);
  const std::int64_t pixels = static_cast<std::int64_t>(samples) * size * size;
  std::size_t stored = 0;
  for (const ImageSource& source : sources)
    stored += std::size_t{4} * source.stored_size * source.stored_size * micro_batch.count;
  stream.moves(samples * sizeof(Recipe) + stored + 7 * pixels * sizeof(T));
  stream.computes(600.0 * static_cast<double>(pixels));
  if (options.random)
    simt::launch_range<augment_kernel<T, true>, 1024>(stream, pixels, recipes.as<Recipe>(), request,
                                                      input, target, mask);
  else
    simt::launch_range<augment_kernel<T, false>, 1024>(stream, pixels, recipes.as<Recipe>(),
                                                       request, input, target, mask);
}

SIMT_INSTANTIATE(augment)
}  // namespace kernels
