// Rows for kernels/image/color.h, blend.h and resample.h.
#include <cmath>

#include "bench/cases/op_cases.h"
#include "bench/cases/reference_image.h"
#include "kernels/image/blend.h"
#include "kernels/image/color.h"
#include "kernels/image/resample.h"

namespace bench::cases {
namespace {

using namespace kernels;

void color_cases(std::vector<OpCase>& rows, Index n) {
  const auto append = [&](auto& c, double scale) {
    c.scale = scale;
    c.bench = n > 100000;
    rows.push_back(c);
  };
  {
    auto c = op_case<float>("rgb_to_lab", n);
    const auto rgb = c.in("rgb", 3 * n, uniform_values(0, 1)), lab = c.out("lab", 3 * n);
    c.run([=]<class D>(Stream& s, auto at) { rgb_to_lab<D>(s, at(rgb), at(lab), n); });
    c.expect(lab, [=](auto at) { return reference::map_triples(at(rgb), reference::rgb_to_lab); });
    append(c, 100);  // a* and b* are differences of numbers of this size
  }
  {
    const Generator some_outside_srgb = [](Values& v, std::mt19937_64& random) {
      std::uniform_real_distribution<double> l(-2, 102), ab(-90, 90);
      for (std::size_t i = 0; i < v.size(); ++i) v[i] = i % 3 == 0 ? l(random) : ab(random);
    };
    auto c = op_case<float>("lab_to_rgb", n);
    const auto lab = c.in("lab", 3 * n, some_outside_srgb), rgb = c.out("rgb", 3 * n);
    c.run([=]<class D>(Stream& s, auto at) { lab_to_rgb<D>(s, at(lab), at(rgb), n); });
    c.expect(rgb, [=](auto at) { return reference::map_triples(at(lab), reference::lab_to_rgb); });
    append(c, 3);  // near 0 the curve has slope 13 and the matrix cancels
  }
  for (const bool weighted : {true, false}) {
    auto c = op_case<float>("channel_stats", std::to_string(n) + (weighted ? "" : "/no_weight"));
    const auto image = c.in("image", 3 * n, uniform_values(0, 100)),
               weight = c.optional(weighted, c.in("weight", n, uniform_values(0, 1))),
               stats = c.out("stats", 7);
    c.run([=]<class D>(Stream& s, auto at) {
      channel_stats<D>(s, at(image), at(weight), at(stats), n);
    });
    c.expect(stats, [=](auto at) { return reference::channel_stats(at(image), at(weight)); });
    c.bytes = (weighted ? 16.0 : 12.0) * 2 * n;  // read twice
    append(c, 1);
  }
  for (const bool match : {true, false}) {
    auto c = op_case<float>("transfer_stats", std::to_string(n) + (match ? "" : "/mean_only"));
    // Three channels: an ordinary gain, one that max_gain cuts off, and a flat source, which
    // is only shifted.
    const auto image = c.in("image", 3 * n, uniform_values(0, 100)), out = c.out("out", 3 * n),
               from = c.in("from", 7, fixed_values({50, 10, -4, 10, 2, 0, 9})),
               to = c.in("to", 7, fixed_values({61, -3, 8, 14, 9, 5, 9}));
    c.run([=]<class D>(Stream& s, auto at) {
      transfer_stats<D>(s, at(image), at(out), n, at(from), at(to), match, 2.f);
    });
    c.expect(out, [=](auto at, Index i) {
      const double gain[3] = {match ? 1.4 : 1, match ? 2.0 : 1, 1};
      return (at(image)[i] - at(from)[i % 3]) * gain[i % 3] + at(to)[i % 3];
    });
    append(c, 100);
  }
}

void blend_cases(std::vector<OpCase>& rows) {
  struct Blur {
    int h, w, channels;
    float sigma;
    bool bench = false;
  };
  for (const Blur& s :
       {Blur{0, 5, 3, 1.f}, Blur{1, 1, 1, 2.f}, Blur{9, 7, 3, 1.f}, Blur{5, 300, 1, 2.5f},
        Blur{40, 90, 3, 0.4f}, Blur{30, 20, 4, 4.f}, Blur{6, 9, 2, 30.f}, Blur{8, 8, 1, 0.f},
        Blur{512, 512, 1, 4.f, true}, Blur{512, 512, 3, 4.f, true}}) {
    const Index n = Index{s.h} * s.w * s.channels;
    auto c = op_case<float>("gaussian_blur", shape_name(s.h, s.w, s.channels) + "/sigma" +
                                                 std::to_string(s.sigma).substr(0, 4));
    const auto image = c.in("image", n, uniform_values(0, 1)), out = c.out("out", n);
    c.run([=]<class D>(Stream& stream, auto at) {
      gaussian_blur<D>(stream, {at(image), s.h, s.w, s.channels}, at(out), s.sigma);
    });
    c.expect(out, [=](auto at) {
      return reference::gaussian_blur(at(image), s.h, s.w, s.channels, s.sigma);
    });
    c.bytes *= 2;  // two passes
    c.flops = 2.0 * 3 * n * std::ceil(3.0 * s.sigma);
    c.scale = 1;
    c.bench = s.bench;
    rows.push_back(c);
  }

  struct Disc {
    int h, w;
    float radius;
    bool bench = false;
  };
  for (const Disc& s :
       {Disc{1, 1, 3.f}, Disc{9, 300, 2.5f}, Disc{33, 20, -4.f}, Disc{20, 30, 0.f},
        Disc{12, 12, 1.f}, Disc{12, 12, -1.f}, Disc{10, 9, 40.f}, Disc{256, 256, 8.f, true}}) {
    const Index n = Index{s.h} * s.w;
    auto c = op_case<float>(
        "erode", shape_name(s.h, s.w) + "/radius" + std::to_string(s.radius).substr(0, 4));
    const auto mask = c.in("mask", n, uniform_values(0, 1)), out = c.out("out", n);
    c.run([=]<class D>(Stream& stream, auto at) {
      erode<D>(stream, {at(mask), s.h, s.w, 1}, at(out), s.radius);
    });
    c.expect(out, [=](auto at) { return reference::erode(at(mask), s.h, s.w, s.radius); });
    c.flops = 3.14 * s.radius * s.radius * n;
    c.bench = s.bench;
    rows.push_back(c);
  }

  struct Size {
    int h, w, channels;
    bool bench = false;
  };
  for (const Size& s :
       {Size{0, 3, 3}, Size{1, 1, 1}, Size{7, 5, 3}, Size{100, 90, 4}, Size{1080, 1920, 3, true}}) {
    const Index pixels = Index{s.h} * s.w, n = pixels * s.channels;
    auto c = op_case<float>("blend", shape_name(s.h, s.w, s.channels));
    const auto foreground = c.in("foreground", n), background = c.in("background", n),
               mask = c.in("mask", pixels, uniform_values(0, 1)), out = c.out("out", n);
    c.run([=]<class D>(Stream& stream, auto at) {
      blend<D>(stream, {at(foreground), s.h, s.w, s.channels}, at(background), at(mask), at(out));
    });
    c.expect(out, [=](auto at, Index i) {
      const double m = at(mask)[i / s.channels];
      return m * at(foreground)[i] + (1 - m) * at(background)[i];
    });
    c.flops = 3 * n;
    c.scale = 1;
    c.bench = s.bench;
    rows.push_back(c);
  }
}

struct Resampling {
  int source_h, source_w, h, w, channels;
  bool bench = false;
};

// A row with a source image, of bytes (read as x/255) or floats, and a float result.
// run<D>(stream, source, out); expect(source as doubles) gives the result.
template <class Source, class Run, class Expect>
void add_resampling(std::vector<OpCase>& rows, const char* launcher, const Resampling& s,
                    const std::string& note, Run run, Expect expect) {
  constexpr bool bytes = std::is_same_v<Source, std::uint8_t>;
  auto c = op_case<Source>(launcher, shape_name(s.source_h, s.source_w) + "_to_" +
                                         shape_name(s.h, s.w, s.channels) + note);
  const auto source = c.in("source", Index{s.source_h} * s.source_w * s.channels,
                           bytes ? byte_values() : uniform_values(0, 1));
  const auto out = c.out(of<float>, "out", Index{s.h} * s.w * s.channels);
  c.run([=]<class D>(Stream& stream, auto at) {
    run.template operator()<D>(stream, at(source), at(out));
  });
  c.expect(out, [=](auto at) {
    Values v = at(source);
    if (bytes)
      for (double& x : v) x /= 255;
    return expect(reference::Image{v.data(), s.source_h, s.source_w, s.channels});
  });
  c.scale = 30;  // a position is off by 1e-7 of the image's size; neighbours differ by up to 1
  c.bench = s.bench;
  rows.push_back(c);
}

template <class Source> void resample_cases(std::vector<OpCase>& rows) {
  struct Warp {
    Resampling s;
    Affine m;
    int supersample;
  };
  for (const auto& [s, m, k] :
       {Warp{{1, 1, 1, 1, 1}, {}, 1}, Warp{{9, 13, 9, 13, 3}, {}, 1},
        Warp{{20, 30, 17, 11, 4}, {0.8f, 0.4f, -2.3f, -0.5f, 0.9f, 6.1f}, 1},
        Warp{{20, 30, 5, 7, 3}, {3.1f, 0.4f, -2.3f, -0.5f, 2.9f, 1.1f}, 3},
        Warp{{8, 8, 70, 70, 2}, {0.1f, 0, -0.5f, 0, 0.1f, 20.f}, 2}, Warp{{5, 6, 0, 4, 1}, {}, 1},
        Warp{{1080, 1920, 256, 256, 3, true}, {0.8f, 0.2f, 700.f, -0.2f, 0.8f, 300.f}, 1},
        Warp{{1080, 1920, 256, 256, 3, true}, {2.f, 0.2f, 500.f, -0.2f, 2.f, 100.f}, 2}})
    add_resampling<Source>(
        rows, "affine_warp", s, "/x" + std::to_string(k),
        [s = s, m = m, k = k]<class D>(Stream& stream, const Source* source, float* out) {
          affine_warp<D, Source>(stream, {source, s.source_h, s.source_w, s.channels},
                                 {out, s.h, s.w, s.channels}, m, k);
        },
        [s = s, m = m, k = k](const reference::Image& source) {
          return reference::warp(source, s.h, s.w, k, [&](double x, double y) {
            return std::pair(m.a * x + m.b * y + m.c, m.d * x + m.e * y + m.f);
          });
        });

  // Smaller, larger, one axis up and one down, equal, and down to one pixel.
  for (const Resampling& s :
       {Resampling{1, 1, 3, 2, 1}, Resampling{12, 18, 4, 6, 3}, Resampling{13, 17, 5, 16, 3},
        Resampling{7, 5, 20, 31, 4}, Resampling{6, 40, 9, 7, 2}, Resampling{9, 9, 9, 9, 3},
        Resampling{31, 29, 1, 1, 1}, Resampling{1080, 1920, 270, 480, 3, true},
        Resampling{64, 64, 256, 256, 3, true}})
    add_resampling<Source>(
        rows, "resize", s, "",
        [=]<class D>(Stream& stream, const Source* source, float* out) {
          resize<D, Source>(stream, {source, s.source_h, s.source_w, s.channels},
                            {out, s.h, s.w, s.channels});
        },
        [=](const reference::Image& source) { return reference::resize(source, s.h, s.w); });
}
}  // namespace

std::vector<OpCase> image_cases() {
  std::vector<OpCase> rows;
  for (const Index n : {0, 1, 1003, 5000, 1 << 20}) color_cases(rows, n);
  blend_cases(rows);
  resample_cases<std::uint8_t>(rows);
  resample_cases<float>(rows);
  return rows;
}
}  // namespace bench::cases
