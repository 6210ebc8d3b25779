// Rows of bench/cases/op_cases.h for kernels/image/color.h, blend.h and warp.h.
#pragma once
#include "bench/cases/op_cases.h"
#include "bench/cases/reference_image.h"
#include "kernels/image/blend.h"
#include "kernels/image/color.h"
#include "kernels/image/resample.h"

namespace tests {

inline std::vector<OpCase> color_cases() {
  using namespace kernels;
  std::vector<OpCase> rows;
  for (const std::int64_t n : {std::int64_t{0}, std::int64_t{1}, std::int64_t{1003},
                               std::int64_t{5000}, std::int64_t{1} << 20}) {
    const bool bench = n > 100000;
    OpCase c = new_case<float>("rgb_to_lab", std::to_string(n));
    c.operands = {input<float>("rgb", 3 * n, uniform_values(0, 1)), output<float>("lab", 3 * n)};
    c.run = [=](Stream& s, const Pointers& p) {
      dispatch<float>(s, [&]<class D>() { rgb_to_lab<D>(s, p.get<float>(0), p.get<float>(1), n); });
    };
    c.reference = [](std::vector<Values>& v) {
      v[1] = reference::map_triples(v[0], reference::rgb_to_lab);
    };
    c.bytes = 24.0 * static_cast<double>(n);
    c.scale = 100;  // a* and b* are differences of numbers of this size
    c.bench = bench;
    rows.push_back(c);

    c = new_case<float>("lab_to_rgb", std::to_string(n));
    c.operands = {input<float>("lab", 3 * n,
                               [](Values& v, std::mt19937_64& random) {
                                 std::uniform_real_distribution<double> l(-2, 102),
                                     ab(-90, 90);  // some outside sRGB
                                 for (std::size_t i = 0; i < v.size(); ++i)
                                   v[i] = i % 3 == 0 ? l(random) : ab(random);
                               }),
                  output<float>("rgb", 3 * n)};
    c.run = [=](Stream& s, const Pointers& p) {
      dispatch<float>(s, [&]<class D>() { lab_to_rgb<D>(s, p.get<float>(0), p.get<float>(1), n); });
    };
    c.reference = [](std::vector<Values>& v) {
      v[1] = reference::map_triples(v[0], reference::lab_to_rgb);
    };
    c.bytes = 24.0 * static_cast<double>(n);
    c.scale = 3;  // near 0 the curve has slope 13 and the matrix cancels
    c.bench = bench;
    rows.push_back(c);

    for (const bool weighted : {true, false}) {
      c = new_case<float>("channel_stats", std::to_string(n) + (weighted ? "" : "/no_weight"));
      c.operands = {input<float>("image", 3 * n, uniform_values(0, 100)),
                    input<float>("weight", n, uniform_values(0, 1)), output<float>("stats", 7)};
      c.run = [=](Stream& s, const Pointers& p) {
        dispatch<float>(s, [&]<class D>() {
          channel_stats<D>(s, p.get<float>(0), weighted ? p.get<float>(1) : nullptr,
                           p.get<float>(2), n);
        });
      };
      c.reference = [=](std::vector<Values>& v) {
        v[2] = reference::channel_stats(v[0], weighted ? v[1] : Values{});
      };
      c.bytes = (weighted ? 16.0 : 12.0) * 2 * static_cast<double>(n);
      c.scale = 1;
      c.bench = bench;
      rows.push_back(c);
    }

    for (const bool match : {true, false}) {
      c = new_case<float>("transfer_stats", std::to_string(n) + (match ? "" : "/mean_only"));
      // Three channels: an ordinary gain, one that max_gain cuts off, and a flat source, which is only shifted.
      c.operands = {input<float>("image", 3 * n, uniform_values(0, 100)),
                    output<float>("out", 3 * n),
                    input<float>("from", 7, fixed_values({50, 10, -4, 10, 2, 0, 9})),
                    input<float>("to", 7, fixed_values({61, -3, 8, 14, 9, 5, 9}))};
      c.run = [=](Stream& s, const Pointers& p) {
        dispatch<float>(s, [&]<class D>() {
          transfer_stats<D>(s, p.get<float>(0), p.get<float>(1), n, p.get<float>(2),
                            p.get<float>(3), match, 2.f);
        });
      };
      c.reference = [=](std::vector<Values>& v) {
        const double gain[3] = {match ? 1.4 : 1, match ? 2.0 : 1, 1};
        v[1] = v[0];
        for (std::size_t i = 0; i < v[0].size(); ++i)
          v[1][i] = (v[0][i] - v[2][i % 3]) * gain[i % 3] + v[3][i % 3];
      };
      c.bytes = 24.0 * static_cast<double>(n);
      c.scale = 100;
      c.bench = bench;
      rows.push_back(c);
    }
  }
  return rows;
}

inline std::vector<OpCase> blend_cases() {
  using namespace kernels;
  std::vector<OpCase> rows;
  struct Blur {
    int h, w, channels;
    float sigma;
    bool bench = false;
  };
  for (const Blur s : std::vector<Blur>{{0, 5, 3, 1.f},
                                        {1, 1, 1, 2.f},
                                        {9, 7, 3, 1.f},
                                        {5, 300, 1, 2.5f},
                                        {40, 90, 3, 0.4f},
                                        {30, 20, 4, 4.f},
                                        {6, 9, 2, 30.f},
                                        {8, 8, 1, 0.f},
                                        {512, 512, 1, 4.f, true},
                                        {512, 512, 3, 4.f, true}}) {
    const std::int64_t n = static_cast<std::int64_t>(s.h) * s.w * s.channels;
    OpCase c = new_case<float>("gaussian_blur", shape_name(s.h, s.w, s.channels) + "/sigma" +
                                                    std::to_string(s.sigma).substr(0, 4));
    c.operands = {input<float>("image", n, uniform_values(0, 1)), output<float>("out", n)};
    c.run = [=](Stream& stream, const Pointers& p) {
      dispatch<float>(stream, [&]<class D>() {
        gaussian_blur<D>(stream, {p.get<float>(0), s.h, s.w, s.channels}, p.get<float>(1), s.sigma);
      });
    };
    c.reference = [=](std::vector<Values>& v) {
      v[1] = reference::gaussian_blur(v[0], s.h, s.w, s.channels, static_cast<double>(s.sigma));
    };
    c.bytes = 16.0 * static_cast<double>(n);
    c.flops = 2.0 * 3 * static_cast<double>(n) * std::ceil(3 * static_cast<double>(s.sigma));
    c.scale = 1;
    c.bench = s.bench;
    rows.push_back(c);
  }

  struct Disc {
    int h, w;
    float radius;
    bool bench = false;
  };
  for (const Disc s : std::vector<Disc>{{1, 1, 3.f},
                                        {9, 300, 2.5f},
                                        {33, 20, -4.f},
                                        {20, 30, 0.f},
                                        {12, 12, 1.f},
                                        {12, 12, -1.f},
                                        {10, 9, 40.f},
                                        {256, 256, 8.f, true}}) {
    const std::int64_t n = static_cast<std::int64_t>(s.h) * s.w;
    OpCase c = new_case<float>(
        "erode", shape_name(s.h, s.w) + "/radius" + std::to_string(s.radius).substr(0, 4));
    c.operands = {input<float>("mask", n, uniform_values(0, 1)), output<float>("out", n)};
    c.run = [=](Stream& stream, const Pointers& p) {
      dispatch<float>(stream, [&]<class D>() {
        erode<D>(stream, {p.get<float>(0), s.h, s.w, 1}, p.get<float>(1), s.radius);
      });
    };
    c.reference = [=](std::vector<Values>& v) {
      v[1] = reference::erode(v[0], s.h, s.w, static_cast<double>(s.radius));
    };
    c.bytes = 8.0 * static_cast<double>(n);
    c.flops = 3.14 * static_cast<double>(s.radius) * static_cast<double>(s.radius) *
              static_cast<double>(n);
    c.bench = s.bench;
    rows.push_back(c);
  }

  struct Size {
    int h, w, channels;
    bool bench = false;
  };
  for (const Size s :
       std::vector<Size>{{0, 3, 3}, {1, 1, 1}, {7, 5, 3}, {100, 90, 4}, {1080, 1920, 3, true}}) {
    const std::int64_t pixels = static_cast<std::int64_t>(s.h) * s.w, n = pixels * s.channels;
    OpCase c = new_case<float>("blend", shape_name(s.h, s.w, s.channels));
    c.operands = {input<float>("foreground", n), input<float>("background", n),
                  input<float>("mask", pixels, uniform_values(0, 1)), output<float>("out", n)};
    c.run = [=](Stream& stream, const Pointers& p) {
      dispatch<float>(stream, [&]<class D>() {
        blend<D>(stream, {p.get<float>(0), s.h, s.w, s.channels}, p.get<float>(1), p.get<float>(2),
                 p.get<float>(3));
      });
    };
    c.reference = [=](std::vector<Values>& v) {
      v[3].resize(v[0].size());
      for (std::size_t i = 0; i < v[0].size(); ++i) {
        const double m = v[2][i / static_cast<std::size_t>(s.channels)];
        v[3][i] = m * v[0][i] + (1 - m) * v[1][i];
      }
    };
    c.bytes = 12.0 * static_cast<double>(n) + 4.0 * static_cast<double>(pixels);
    c.flops = 3.0 * static_cast<double>(n);
    c.scale = 1;
    c.bench = s.bench;
    rows.push_back(c);
  }
  return rows;
}

struct WarpShape {
  int source_h, source_w, h, w, channels;
  bool bench = false;
};

template <class Src> Operand source_image(const WarpShape& s) {
  const std::int64_t n = static_cast<std::int64_t>(s.source_h) * s.source_w * s.channels;
  if constexpr (std::is_same_v<Src, float>) return input<float>("source", n, uniform_values(0, 1));
  else return input<std::uint8_t>("source", n, byte_values());
}
// As the kernels see it: bytes are 0..1.
template <class Src> Values unit_image(const Values& v) {
  Values out = v;
  if (!std::is_same_v<Src, float>)
    for (double& x : out) x /= 255;
  return out;
}

template <class Src> void warp_cases_of(std::vector<OpCase>& rows) {
  using namespace kernels;
  const auto base = [](const std::string& launcher, const WarpShape& s, const std::string& note) {
    OpCase c = new_case<Src>(launcher, shape_name(s.source_h, s.source_w) + "_to_" +
                                           shape_name(s.h, s.w, s.channels) + note);
    const std::int64_t n = static_cast<std::int64_t>(s.h) * s.w * s.channels;
    c.operands = {source_image<Src>(s), output<float>("out", n)};
    c.bytes = size_of(dtype_of<Src>()) * static_cast<double>(c.operands[0].count) +
              4.0 * static_cast<double>(n);
    c.scale =
        30;  // a place is off by 1e-7 of the image's size, and neighbouring pixels differ by up to 1
    c.bench = s.bench;
    return c;
  };

  struct Turn {
    WarpShape s;
    Affine m;
    int supersample;
  };
  const float k = 0.8f;
  for (const Turn& t : std::vector<Turn>{
           {{1, 1, 1, 1, 1}, {}, 1},
           {{9, 13, 9, 13, 3}, {}, 1},
           {{20, 30, 17, 11, 4}, {0.8f, 0.4f, -2.3f, -0.5f, 0.9f, 6.1f}, 1},
           {{20, 30, 5, 7, 3}, {3.1f, 0.4f, -2.3f, -0.5f, 2.9f, 1.1f}, 3},
           {{8, 8, 70, 70, 2}, {0.1f, 0, -0.5f, 0, 0.1f, 20.f}, 2},
           {{5, 6, 0, 4, 1}, {}, 1},
           {{1080, 1920, 256, 256, 3, true}, {k, 0.2f, 700.f, -0.2f, k, 300.f}, 1},
           {{1080, 1920, 256, 256, 3, true}, {2.f, 0.2f, 500.f, -0.2f, 2.f, 100.f}, 2}}) {
    const WarpShape s = t.s;
    OpCase c = base("affine_warp", s, "/x" + std::to_string(t.supersample));
    c.run = [=](Stream& stream, const Pointers& p) {
      dispatch<float>(stream, [&]<class D>() {
        affine_warp<D, Src>(stream, {p.get<Src>(0), s.source_h, s.source_w, s.channels},
                            {p.get<float>(1), s.h, s.w, s.channels}, t.m, t.supersample);
      });
    };
    c.reference = [=](std::vector<Values>& v) {
      const Values source = unit_image<Src>(v[0]);
      v[1] =
          reference::warp({source.data(), s.source_h, s.source_w, s.channels}, s.h, s.w,
                          t.supersample, [&](double x, double y) {
                            return std::pair(double{t.m.a} * x + double{t.m.b} * y + double{t.m.c},
                                             double{t.m.d} * x + double{t.m.e} * y + double{t.m.f});
                          });
    };
    rows.push_back(c);
  }

  // Smaller, larger, one axis each way, equal, and down to one pixel.
  for (const WarpShape s : std::vector<WarpShape>{{1, 1, 3, 2, 1},
                                                  {12, 18, 4, 6, 3},
                                                  {13, 17, 5, 16, 3},
                                                  {7, 5, 20, 31, 4},
                                                  {6, 40, 9, 7, 2},
                                                  {9, 9, 9, 9, 3},
                                                  {31, 29, 1, 1, 1},
                                                  {1080, 1920, 270, 480, 3, true},
                                                  {64, 64, 256, 256, 3, true}}) {
    OpCase c = base("resize", s, "");
    c.run = [=](Stream& stream, const Pointers& p) {
      dispatch<float>(stream, [&]<class D>() {
        resize<D, Src>(stream, {p.get<Src>(0), s.source_h, s.source_w, s.channels},
                       {p.get<float>(1), s.h, s.w, s.channels});
      });
    };
    c.reference = [=](std::vector<Values>& v) {
      const Values source = unit_image<Src>(v[0]);
      v[1] = reference::resize({source.data(), s.source_h, s.source_w, s.channels}, s.h, s.w);
    };
    rows.push_back(c);
  }
}

inline std::vector<OpCase> warp_cases() {
  std::vector<OpCase> rows;
  warp_cases_of<std::uint8_t>(rows);
  warp_cases_of<float>(rows);
  return rows;
}

}  // namespace tests
