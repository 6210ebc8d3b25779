// Rows of bench/cases/op_cases.h for kernels/losses.h, adam.h, random.h and augment.h.
#pragma once
#include "bench/cases/op_cases.h"
#include "bench/cases/reference.h"
#include "bench/cases/reference_image.h"
#include "kernels/adam.h"
#include "kernels/image/augment.h"
#include "kernels/random.h"
#include "kernels/ssim.h"

namespace tests {

struct LossShape {
  int n, h, w, c;
  bool bench = false;
};

template <class T> void loss_cases_of(std::vector<OpCase>& rows) {
  using namespace kernels;
  using C = compute_t<T>;
  struct Kind {
    const char* name;
    LossWeights weights;
  };
  for (const Kind& kind : {Kind{"mae", {0.f, 0.f, 1.f}}, Kind{"mse", {0.f, 1.f, 0.f}},
                           Kind{"mse_mae", {0.f, 0.75f, 0.5f}}, Kind{"dssim", {1.f, 0.f, 0.f}},
                           Kind{"all", {0.75f, 0.5f, 2.f}}}) {
    const bool dssim = kind.weights.dssim > 0;
    std::vector<LossShape> shapes{
        {1, 6, 6, 1}, {1, 7, 40, 3}, {2, 33, 19, 3}, {1, 18, 6, 2}, {16, 64, 64, 3, true}};
    if (!dssim) shapes = {{1, 1, 1, 1}, {2, 3, 5, 3}, {3, 47, 61, 3}, {16, 64, 64, 3, true}};
    for (const LossShape& s : shapes)
      for (const bool masked : {false, true}) {
        const std::int64_t pixels = std::int64_t{s.n} * s.h * s.w, values = pixels * s.c;
        const ImageShape shape{s.n, s.h, s.w, s.c};
        OpCase c =
            new_case<T>("image_loss", std::string(kind.name) + "/" +
                                          shape_name(s.n, s.h, s.w, s.c) + (masked ? "/mask" : ""));
        c.operands = {input<T>("pred", values, uniform_values(0, 1)),
                      input<T>("target", values, uniform_values(0, 1)),
                      input<T>("mask", pixels, uniform_values(0, 2)), output<C>("loss", 1),
                      output<T>("dpred", values)};
        c.run = [=](Stream& stream, const Pointers& p) {
          dispatch<T>(stream, [&]<class D>() {
            image_loss<D, T>(stream, shape, kind.weights, p.get<T>(0), p.get<T>(1),
                             masked ? p.get<T>(2) : nullptr, p.get<C>(3), p.get<T>(4));
          });
        };
        c.reference = [=](std::vector<Values>& v) {
          const Values mask = masked ? v[2] : Values{};
          v[3].assign(1, 0);
          v[4].assign(static_cast<std::size_t>(values), 0);
          const auto accumulate = [&](double weight, const auto& loss_of) {
            if (weight == 0) return;
            Values gradient(static_cast<std::size_t>(values));
            v[3][0] += weight * loss_of(gradient);
            for (std::size_t i = 0; i < gradient.size(); ++i) v[4][i] += weight * gradient[i];
          };
          accumulate(kind.weights.dssim, [&](Values& g) {
            return reference::dssim_loss(v[0], v[1], mask, s.n, s.h, s.w, s.c, g);
          });
          accumulate(kind.weights.mse, [&](Values& g) {
            return reference::map_loss(true, v[0], v[1], mask, s.c, g);
          });
          accumulate(kind.weights.mae, [&](Values& g) {
            return reference::map_loss(false, v[0], v[1], mask, s.c, g);
          });
        };
        c.bytes = size_of(dtype_of<T>()) * static_cast<double>(3 * values + (masked ? pixels : 0));
        c.flops = static_cast<double>(values) * (dssim ? 350 : 5);
        // The gradient of a mean is of the size 1/count; DSSIM's is a difference of terms some 30 times as large.
        c.scale = (dssim ? 30.0 : 1.0) / static_cast<double>(values);
        c.bench = s.bench;
        rows.push_back(c);
      }
  }
  for (const LossShape& s :
       std::vector<LossShape>{{1, 6, 6, 1}, {2, 17, 35, 3}, {8, 64, 64, 3, true}}) {
    const std::int64_t pixels = std::int64_t{s.n} * s.h * s.w, values = pixels * s.c;
    OpCase c = new_case<T>("ssim_map", shape_name(s.n, s.h, s.w, s.c));
    c.operands = {input<T>("a", values, uniform_values(0, 1)),
                  input<T>("b", values, uniform_values(0, 1)), output<T>("ssim", pixels)};
    c.run = [=](Stream& stream, const Pointers& p) {
      dispatch<T>(stream, [&]<class D>() {
        ssim_map<D, T>(stream, ImageShape{s.n, s.h, s.w, s.c}, p.get<T>(0), p.get<T>(1),
                       p.get<T>(2));
      });
    };
    c.reference = [=](std::vector<Values>& v) {
      v[2] = reference::ssim_map(v[0], v[1], s.n, s.h, s.w, s.c);
    };
    c.bytes = size_of(dtype_of<T>()) * static_cast<double>(2 * values + pixels);
    c.flops = static_cast<double>(values) * 240;
    c.scale = 1;
    c.bench = s.bench;
    rows.push_back(c);
  }
}

inline std::vector<OpCase> loss_cases() {
  std::vector<OpCase> rows;
  for_types([&]<class T>() { loss_cases_of<T>(rows); });
  return rows;
}

// ---- optimizer

template <class T> void adam_cases_of(std::vector<OpCase>& rows) {
  using namespace kernels;
  using C = compute_t<T>;
  struct Setting {
    std::int64_t n;
    double step;
    float decay, clip;
    bool working, finite;
    bool bench = false;
  };
  for (const Setting& s : std::vector<Setting>{{1, 1, 0.f, 1.f, false, true},
                                               {40001, 1, 0.f, 1.f, true, true},
                                               {1000, 2, 0.004f, 0.3f, true, true},
                                               {1000, 100000, 0.f, 1.f, false, true},
                                               {1000, 12, 0.01f, 1.f, true, false},
                                               {0, 5, 0.f, 1.f, true, true},
                                               {cache_length, 10, 0.f, 1.f, true, true, true},
                                               {cache_length, 10, 0.f, 1.f, false, true, true},
                                               {bench_length, 10, 0.f, 1.f, true, true, true},
                                               {bench_length, 10, 0.f, 1.f, false, true, true}}) {
    if (s.bench && (std::is_same_v<T, double> || s.working == std::is_same_v<T, float>))
      continue;  // f32 without a copy, bf16 with one
    OpCase c = new_case<T>(
        "adam_step", std::to_string(s.n) + "/step" + std::to_string(static_cast<int>(s.step)) +
                         (s.decay > 0 ? "/decay" : "") + (s.clip < 1 ? "/clip" : "") +
                         (s.finite ? "" : "/not_finite"));
    const float learning_rate = 3e-3f;
    c.operands = {in_and_out<C>("master", s.n),
                  in_and_out<T>("working", s.n),
                  input<T>("gradients", s.n),
                  in_and_out<C>("m", s.n),
                  in_and_out<C>("v", s.n, uniform_values(0.01, 1)),
                  input<StepState>("state", 1,
                                   fixed_values({s.step, 1, double{learning_rate}, double{s.clip},
                                                 0, 0, s.finite ? 1.0 : 0.0, 0}))};
    const AdamOptions options{0.9f, 0.999f, 1e-7f, s.decay};
    c.run = [=](Stream& stream, const Pointers& p) {
      dispatch<T>(stream, [&]<class D>() {
        adam_step<D, T>(stream, p.get<C>(0), s.working ? p.get<T>(1) : nullptr, p.get<T>(2),
                        p.get<C>(3), p.get<C>(4), s.n, p.get<StepState>(5), options);
      });
    };
    c.reference = [=](std::vector<Values>& v) {
      if (!s.finite) return;
      reference::adam({double{options.beta1}, double{options.beta2}, double{options.epsilon},
                       double{s.decay}, double{learning_rate}, double{s.clip}, s.step},
                      v[2], v[0], v[3], v[4]);
      if (s.working) v[1] = v[0];
    };
    const double element = size_of(dtype_of<T>()), master = size_of(dtype_of<C>());
    c.bytes = static_cast<double>(s.n) * (6 * master + element + (s.working ? element : 0));
    c.flops = static_cast<double>(s.n) * 14;
    // A step moves a weight by learning_rate * m^/sqrt(v^); in the first step m^ and 1/sqrt(v^) are 10 and 0.03 times the stored values.
    c.scale = 1;
    c.loosen = std::is_same_v<T, double> ? 10 : 1;
    set_bench(c, s.bench, s.n);
    rows.push_back(c);
  }
}

inline std::vector<OpCase> optimizer_cases() {
  using namespace kernels;
  std::vector<OpCase> rows;
  for_types([&]<class T>() { adam_cases_of<T>(rows); });
  for (const double finite : {0.0, 1.0}) {
    OpCase c = new_case<float>("advance_step", finite > 0 ? "finite" : "not_finite");
    c.operands = {
        in_and_out<StepState>("state", 1, fixed_values({8, 3, 0.5, 0.25, 2, 4, finite, 0}))};
    c.run = [](Stream& s, const Pointers& p) {
      kernels::on_device(s, [&]<class D>() { advance_step<D>(s, p.get<StepState>(0)); });
    };
    c.reference = [](std::vector<Values>& v) { v[0][0] = 9, v[0][6] = 1; };
    rows.push_back(c);
    c.launcher = "finish_step";
    c.name = std::string("finish_step/") + (finite > 0 ? "finite" : "not_finite");
    c.run = [](Stream& s, const Pointers& p) {
      kernels::on_device(s, [&]<class D>() { finish_step<D>(s, p.get<StepState>(0)); });
    };
    c.operands = {
        in_and_out<StepState>("state", 1, fixed_values({8, 3, 0.5, 0.25, 2, 4, finite, 2}))};
    c.reference = [=](std::vector<Values>& v) {
      v[0][5] = finite > 0 ? 4 : 5, v[0][7] = finite > 0 ? 0 : 3;
    };
    rows.push_back(c);
  }
  // The loss scale: kept, halved after a bad step, doubled after enough good ones; never below 1 or above 2^24.
  struct Scale {
    const char* name;
    double finite, scale, good, interval, scale_after, good_after;
  };
  for (const Scale& k : std::vector<Scale>{{"fixed", 0, 1, 0, 0, 1, 0},
                                           {"bad", 0, 1024, 7, 10, 512, 0},
                                           {"bad_at_one", 0, 1, 7, 10, 1, 0},
                                           {"good", 1, 1024, 7, 10, 1024, 8},
                                           {"enough", 1, 1024, 9, 10, 2048, 0},
                                           {"enough_at_most", 1, 16777216, 9, 10, 16777216, 0}}) {
    OpCase c = new_case<float>("finish_step", std::string("scale_") + k.name);
    c.operands = {in_and_out<StepState>(
        "state", 1,
        fixed_values({8, 3, 0.5, 0.25, 2, 4, k.finite, 0, k.scale, k.good, k.interval}))};
    c.run = [](Stream& s, const Pointers& p) {
      kernels::on_device(s, [&]<class D>() { finish_step<D>(s, p.get<StepState>(0)); });
    };
    c.reference = [=](std::vector<Values>& v) {
      v[0][5] += 1 - k.finite, v[0][7] = 1 - k.finite, v[0][8] = k.scale_after,
                               v[0][9] = k.good_after;
    };
    rows.push_back(c);
  }
  for (const double step : {1.0, 3.0, 6.0}) {
    OpCase c = new_case<float>("record_losses", "step" + std::to_string(static_cast<int>(step)));
    c.operands = {input<StepState>("state", 1, fixed_values({step, 3, 0.5, 0.25, 2, 4, 1, 0})),
                  input<float>("loss_a", 1), input<float>("loss_b", 1),
                  in_and_out<float>("log", 6)};
    c.run = [](Stream& s, const Pointers& p) {
      kernels::on_device(s, [&]<class D>() {
        record_losses<D>(s, p.get<StepState>(0), p.get<float>(1), p.get<float>(2), p.get<float>(3),
                         3);
      });
    };
    c.reference = [=](std::vector<Values>& v) {
      const std::size_t row = (static_cast<std::size_t>(step) - 1) % 3;
      v[3][2 * row] = v[1][0], v[3][2 * row + 1] = v[2][0];
    };
    rows.push_back(c);
  }
  return rows;
}

// ---- random numbers

template <class T> void random_cases_of(std::vector<OpCase>& rows) {
  using namespace kernels;
  const std::uint64_t seed = 0x123456789abcdefull, stream_id = 0x5000000007ull;
  for (const std::int64_t n : {std::int64_t{0}, std::int64_t{1}, std::int64_t{6},
                               std::int64_t{20003}, std::int64_t{1} << 22})
    for (const bool normal_numbers : {false, true}) {
      OpCase c = new_case<T>(normal_numbers ? "normal" : "uniform", std::to_string(n));
      c.operands = {output<T>("y", n)};
      c.run = [=](Stream& s, const Pointers& p) {
        dispatch<T>(s, [&]<class D>() {
          if (normal_numbers) normal<D, T>(s, p.get<T>(0), n, 1.5f, 0.5f, seed, stream_id);
          else uniform<D, T>(s, p.get<T>(0), n, -2.f, 3.f, seed, stream_id);
        });
      };
      c.reference = [=](std::vector<Values>& v) {
        v[0].resize(static_cast<std::size_t>(n));
        for (std::size_t i = 0; i < v[0].size(); ++i) {
          const auto words = reference::philox(
              seed, {static_cast<std::uint32_t>(i / 4), 0, static_cast<std::uint32_t>(stream_id),
                     static_cast<std::uint32_t>(stream_id >> 32)});
          v[0][i] = normal_numbers ? 1.5 + 0.5 * reference::normals(words)[i % 4]
                                   : -2 + 5 * reference::unit(words[i % 4]);
        }
      };
      c.bytes = size_of(dtype_of<T>()) * static_cast<double>(n);
      c.scale = 1;
      c.loosen = normal_numbers ? 2 : 1;
      c.bench = n > 1000000;
      rows.push_back(c);
    }
}

inline std::vector<OpCase> random_cases() {
  std::vector<OpCase> rows;
  for_types([&]<class T>() { random_cases_of<T>(rows); });
  return rows;
}

// ---- augmentation

template <class T> void augment_cases_of(std::vector<OpCase>& rows) {
  using namespace kernels;
  struct Setting {
    int count, stored, batch, size;
    std::uint32_t side;
    Region view;
    bool random;
    double step;
    bool bench = false;
  };
  for (const Setting& s :
       std::vector<Setting>{{1, 16, 1, 16, 0, {}, true, 1},
                            {5, 32, 3, 24, 1, {0.5f, 0.45f, 0.7f}, true, 7},
                            {4, 48, 6, 12, 0, {0.52f, 0.5f, 0.9f}, true, 1000},
                            {3, 20, 4, 9, 1, {}, false, 2},
                            {7, 8, 2, 31, 0, {0.5f, 0.5f, 1.3f}, true, 3},
                            {64, 256, 16, 64, 0, {0.5f, 0.5f, 0.8f}, true, 5, true}}) {
    const std::int64_t pixels = std::int64_t{s.batch} * s.size * s.size,
                       stored = std::int64_t{s.count} * s.stored * s.stored * 4;
    const std::uint64_t seed = 99;
    AugmentOptions options;
    options.random = s.random;
    OpCase c =
        new_case<T>("augment", shape_name(s.count, s.stored) + "_to_" +
                                   shape_name(s.batch, s.size) + (s.random ? "" : "/not_random"));
    // Smooth faces, as faces are: where neighbours differ by 255, a place that is off by 1e-6 pixels shows.
    const Generator faces = [=](Values& v, std::mt19937_64& random) {
      for (std::size_t i = 0; i < v.size(); ++i) {
        const double x = static_cast<double>(i / 4 % static_cast<std::size_t>(s.stored)),
                     y = static_cast<double>(i / 4 / static_cast<std::size_t>(s.stored));
        v[i] = std::floor(128 +
                          90 * std::sin(0.3 * x + static_cast<double>(i % 4)) * std::cos(0.2 * y) +
                          static_cast<double>(random() % 20));
      }
    };
    c.operands = {
        input<std::uint8_t>("faces", stored, faces),
        input<StepState>("state", 1,
                         fixed_values({s.step, static_cast<double>(seed), 0, 1, 0, 0, 1, 0})),
        output<T>("input", 3 * pixels), output<T>("target", 3 * pixels), output<T>("mask", pixels)};
    c.run = [=](Stream& stream, const Pointers& p) {
      dispatch<T>(stream, [&]<class D>() {
        augment<D, T>(stream,
                      std::array{ImageSource{p.get<std::uint8_t>(0), s.count, s.stored, s.side}},
                      s.view, p.get<StepState>(1), s.batch, s.size, p.get<T>(2), p.get<T>(3),
                      p.get<T>(4), options);
      });
    };
    c.reference = [=](std::vector<Values>& v) {
      const reference::AugmentSettings r{s.count,
                                         s.stored,
                                         s.batch,
                                         s.size,
                                         s.side,
                                         double{s.view.center_x},
                                         double{s.view.center_y},
                                         double{s.view.side},
                                         double{options.zoom},
                                         double{options.rotation},
                                         double{options.shift},
                                         double{options.flip},
                                         double{options.warp},
                                         double{options.lightness},
                                         double{options.chroma},
                                         s.random,
                                         static_cast<std::uint64_t>(s.step),
                                         seed};
      reference::augment(v[0], r, v[2], v[3], v[4]);
    };
    c.bytes = static_cast<double>(pixels) * (7 * size_of(dtype_of<T>()) + 128);
    c.scale = 5;
    c.loosen = std::is_same_v<T, double> ? 1e8 : 1;  // the arithmetic is float for every T
    c.bench = s.bench;
    rows.push_back(c);
  }
}

inline std::vector<OpCase> augment_cases() {
  std::vector<OpCase> rows;
  for_types([&]<class T>() { augment_cases_of<T>(rows); });
  return rows;
}

}  // namespace tests
