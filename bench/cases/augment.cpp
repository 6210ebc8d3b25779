// Rows for kernels/image/augment.h.
#include "kernels/image/augment.h"

#include <cmath>

#include "bench/cases/op_cases.h"
#include "bench/cases/reference_image.h"

namespace bench::cases {
namespace {

using namespace kernels;

template <class T> void add_augment(std::vector<OpCase>& rows) {
  struct Setting {
    int count, stored, batch, size;
    std::uint32_t side;
    Region view;
    bool random;
    std::uint64_t step;
    bool bench = false;
  };
  for (const Setting& s :
       {Setting{1, 16, 1, 16, 0, {}, true, 1},
        Setting{5, 32, 3, 24, 1, {0.5f, 0.45f, 0.7f}, true, 7},
        Setting{4, 48, 6, 12, 0, {0.52f, 0.5f, 0.9f}, true, 1000},
        Setting{3, 20, 4, 9, 1, {}, false, 2}, Setting{7, 8, 2, 31, 0, {0.5f, 0.5f, 1.3f}, true, 3},
        Setting{64, 256, 16, 64, 0, {0.5f, 0.5f, 0.8f}, true, 5, true}}) {
    const Index pixels = Index{s.batch} * s.size * s.size;
    const std::uint64_t seed = 99;
    AugmentOptions options;
    options.random = s.random;
    // Smooth, as faces are: where neighbours differ by 255, a position off by 1e-6 shows.
    const Generator smooth = [=](Values& v, std::mt19937_64& random) {
      for (std::size_t i = 0; i < v.size(); ++i) {
        const double x = i / 4 % s.stored, y = i / 4 / s.stored;
        v[i] = std::floor(128 + 90 * std::sin(0.3 * x + i % 4) * std::cos(0.2 * y) + random() % 20);
      }
    };
    auto c =
        op_case<T>("augment", shape_name(s.count, s.stored) + "_to_" + shape_name(s.batch, s.size) +
                                  (s.random ? "" : "/not_random"));
    const auto faces =
        c.in(of<std::uint8_t>, "faces", Index{s.count} * s.stored * s.stored * 4, smooth);
    const auto state = c.in("state", StepState{.step = s.step, .seed = seed, .learning_rate = 0});
    const auto input = c.out("input", 3 * pixels), target = c.out("target", 3 * pixels),
               mask = c.out("mask", pixels);
    c.run([=]<class D>(Stream& stream, auto at) {
      augment<D, T>(stream, std::array{ImageSource{at(faces), s.count, s.stored, s.side}}, s.view,
                    at(state), s.batch, s.size, at(input), at(target), at(mask), options);
    });
    c.expect({input, target, mask}, [=](auto at) {
      return reference::augment(at(faces), {.count = s.count,
                                            .stored = s.stored,
                                            .batch = s.batch,
                                            .size = s.size,
                                            .side = s.side,
                                            .center_x = s.view.center_x,
                                            .center_y = s.view.center_y,
                                            .view_side = s.view.side,
                                            .zoom = options.zoom,
                                            .rotation = options.rotation,
                                            .shift = options.shift,
                                            .flip = options.flip,
                                            .warp = options.warp,
                                            .lightness = options.lightness,
                                            .chroma = options.chroma,
                                            .random = s.random,
                                            .step = s.step,
                                            .seed = seed});
    });
    c.bytes = pixels * (7.0 * sizeof(T) + 128);
    c.scale = 5;
    c.loosen = std::is_same_v<T, double> ? 1e8 : 1;  // float arithmetic for every T
    c.bench = s.bench;
    rows.push_back(c);
  }
}
}  // namespace

std::vector<OpCase> augment_cases() {
  std::vector<OpCase> rows;
  for_types([&]<class T>() { add_augment<T>(rows); });
  return rows;
}
}  // namespace bench::cases
