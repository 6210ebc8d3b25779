// Rows for kernels/losses.h, ssim.h, adam.h and random.h.
#include <cmath>

#include "bench/cases/op_cases.h"
#include "bench/cases/reference.h"
#include "bench/cases/reference_image.h"
#include "kernels/adam.h"
#include "kernels/losses.h"
#include "kernels/random.h"
#include "kernels/ssim.h"

namespace bench::cases {
namespace {

using namespace kernels;

struct Images {
  int n, h, w, c;
  bool bench = false;
};

template <class T> void loss_cases(std::vector<OpCase>& rows) {
  struct Kind {
    std::string name;
    LossWeights weights;
  };
  for (const Kind& kind : {Kind{"mae", {0.f, 0.f, 1.f}}, Kind{"mse", {0.f, 1.f, 0.f}},
                           Kind{"mse_mae", {0.f, 0.75f, 0.5f}}, Kind{"dssim", {1.f, 0.f, 0.f}},
                           Kind{"all", {0.75f, 0.5f, 2.f}}}) {
    const LossWeights weights = kind.weights;
    const bool dssim = weights.dssim > 0;
    std::vector<Images> shapes{{1, 1, 1, 1}, {2, 3, 5, 3}, {3, 47, 61, 3}, {16, 64, 64, 3, true}};
    if (dssim)
      shapes = {{1, 6, 6, 1}, {1, 7, 40, 3}, {2, 33, 19, 3}, {1, 18, 6, 2}, {16, 64, 64, 3, true}};
    for (const Images& s : shapes)
      for (const auto& [masked, shares] : {std::pair(false, 1), {true, 1}, {true, 2}}) {
        if (shares > 1 && s.n == 1) continue;
        const Index pixels = Index{s.n} * s.h * s.w, values = pixels * s.c;
        auto c =
            op_case<T>("image_loss", kind.name + "/" + shape_name(s.n, s.h, s.w, s.c) +
                                         (masked ? "/mask" : "") + (shares > 1 ? "/shares" : ""));
        const auto pred = c.in("pred", shares * values, uniform_values(0, 1)),
                   target = c.in("target", shares * values, uniform_values(0, 1)),
                   mask = c.optional(masked, c.in("mask", shares * pixels, uniform_values(0, 2)));
        const auto each = c.out(of<compute_t<T>>, "each", shares);
        const auto sum = shares > 1 ? c.out(of<compute_t<T>>, "sum", 1) : Handle<compute_t<T>>{};
        const auto dpred = c.out("dpred", shares * values);
        c.run([=]<class D>(Stream& stream, auto at) {
          image_loss<D, T>(stream, ImageShape{s.n, s.h, s.w, s.c}, weights, at(pred), at(target),
                           at(mask), {at(each), at(sum), at(dpred)}, shares);
        });
        // Losses of all shares, and the gradient.
        const auto expected = [=](auto at) {
          std::array<Values, 2> result;
          for (int k = 0; k < shares; ++k) {
            double loss = 0;
            Values gradient(values), term(values);
            const auto accumulate = [&](double weight, double value) {
              loss += weight * value;
              for (Index i = 0; i < values; ++i) gradient[i] += weight * term[i];
            };
            const auto share = [&](const Values& all, Index count) {
              return all.empty() ? all
                                 : Values(all.begin() + k * count, all.begin() + (k + 1) * count);
            };
            const Values p = share(at(pred), values), t = share(at(target), values),
                         m = share(at(mask), pixels);
            if (weights.dssim != 0)
              accumulate(weights.dssim, reference::dssim_loss(p, t, m, s.n, s.h, s.w, s.c, term));
            if (weights.mse != 0)
              accumulate(weights.mse, reference::map_loss(true, p, t, m, s.c, term));
            if (weights.mae != 0)
              accumulate(weights.mae, reference::map_loss(false, p, t, m, s.c, term));
            result[0].push_back(loss);
            result[1].insert(result[1].end(), gradient.begin(), gradient.end());
          }
          return result;
        };
        c.expect({each, dpred}, expected);
        if (shares > 1)
          c.expect(sum, [=](auto at) {
            const Values losses = expected(at)[0];
            return Values{losses[0] + losses[1]};
          });
        c.flops = values * (dssim ? 350 : 5);
        // The gradient of a mean is of the size 1/count; DSSIM's is a difference of terms some
        // 30 times as large.
        c.scale = (dssim ? 30.0 : 1.0) / values;
        c.reordered = !dssim;
        c.bench = s.bench;
        rows.push_back(c);
      }
  }
  for (const Images& s : {Images{1, 6, 6, 1}, Images{2, 17, 35, 3}, Images{8, 64, 64, 3, true}}) {
    const Index pixels = Index{s.n} * s.h * s.w, values = pixels * s.c;
    auto c = op_case<T>("ssim_map", shape_name(s.n, s.h, s.w, s.c));
    const auto a = c.in("a", values, uniform_values(0, 1)),
               b = c.in("b", values, uniform_values(0, 1)), ssim = c.out("ssim", pixels);
    c.run([=]<class D>(Stream& stream, auto at) {
      ssim_map<D, T>(stream, ImageShape{s.n, s.h, s.w, s.c}, at(a), at(b), at(ssim));
    });
    c.expect(ssim, [=](auto at) { return reference::ssim_map(at(a), at(b), s.n, s.h, s.w, s.c); });
    c.flops = values * 240;
    c.scale = 1;
    c.bench = s.bench;
    rows.push_back(c);
  }
}

// ---- optimizer

template <class T> void adam_cases(std::vector<OpCase>& rows) {
  using C = compute_t<T>;
  struct Setting {
    Index n;
    int step;
    float decay, clip;
    bool has_working, finite;
    bool bench = false;
  };
  for (const Setting& k :
       {Setting{1, 1, 0.f, 1.f, false, true}, Setting{40001, 1, 0.f, 1.f, true, true},
        Setting{1000, 2, 0.004f, 0.3f, true, true}, Setting{1000, 100000, 0.f, 1.f, false, true},
        Setting{1000, 12, 0.01f, 1.f, true, false}, Setting{0, 5, 0.f, 1.f, true, true},
        Setting{cache_length, 10, 0.f, 1.f, true, true, true},
        Setting{cache_length, 10, 0.f, 1.f, false, true, true},
        Setting{bench_length, 10, 0.f, 1.f, true, true, true},
        Setting{bench_length, 10, 0.f, 1.f, false, true, true}}) {
    if (k.bench && (std::is_same_v<T, double> || k.has_working == std::is_same_v<T, float>))
      continue;  // f32 without a copy, the others with one
    auto c =
        op_case<T>("adam_step", shape_name(k.n) + "/step" + std::to_string(k.step) +
                                    (k.decay > 0 ? "/decay" : "") + (k.clip < 1 ? "/clip" : "") +
                                    (k.finite ? "" : "/not_finite"));
    const float learning_rate = 3e-3f;
    const AdamOptions options{0.9f, 0.999f, 1e-7f, k.decay};
    const double correction1 = 1 - std::pow(double{options.beta1}, k.step),
                 root2 = std::sqrt(1 - std::pow(double{options.beta2}, k.step));
    const auto master = c.inout(of<C>, "master", k.n);
    const auto working = c.inout("working", k.n), gradients = c.in("gradients", k.n);
    const auto m = c.inout(of<C>, "m", k.n), v = c.inout(of<C>, "v", k.n, uniform_values(0.01, 1));
    const auto state = c.in("state", StepState{.step = static_cast<std::uint64_t>(k.step),
                                               .learning_rate = learning_rate,
                                               .clip_factor = k.clip,
                                               .finite = k.finite,
                                               .correction1 = static_cast<float>(correction1),
                                               .root_correction2 = static_cast<float>(root2)});
    c.run([=]<class D>(Stream& stream, auto at) {
      adam_step<D, T>(stream, at(master), k.has_working ? at(working) : nullptr, at(gradients),
                      at(m), at(v), k.n, at(state), options);
    });
    c.expect({master, working, m, v}, [=](auto at) {
      Values weights = at(master), copy = at(working), mean = at(m), square = at(v);
      if (k.finite) {
        const StepState s = at(state);
        reference::adam({options.beta1, options.beta2, options.epsilon, k.decay, learning_rate,
                         k.clip, s.correction1, s.root_correction2},
                        at(gradients), weights, mean, square);
        if (k.has_working) copy = weights;
      }
      return std::array{std::move(weights), std::move(copy), std::move(mean), std::move(square)};
    });
    c.bytes = k.n * (6.0 * sizeof(C) + sizeof(T) + (k.has_working ? sizeof(T) : 0));
    c.flops = 14 * k.n;
    // A step moves a weight by learning_rate * m^/sqrt(v^); in the first step m^ and
    // 1/sqrt(v^) are 10 and 0.03 times the stored values.
    c.scale = 1;
    c.loosen = std::is_same_v<T, double> ? 10 : 1;
    set_bench(c, k.bench, k.n);
    rows.push_back(c);
  }
}

void state_cases(std::vector<OpCase>& rows) {
  const StepState start{.step = 8,
                        .seed = 3,
                        .learning_rate = 0.5f,
                        .clip_factor = 0.25f,
                        .gradient_norm = 2,
                        .skipped = 4};
  const auto add_finish = [&](const std::string& row, const StepState& before,
                              const StepState& after) {
    auto c = op_case<float>("finish_step", "");
    c.name = "finish_step/" + row;
    const auto state = c.inout("state", before);
    c.run([=]<class D>(Stream& s, auto at) { finish_step<D>(s, at(state)); });
    c.expect(state, [=](auto) { return after; });
    rows.push_back(c);
  };
  for (const std::uint64_t step : {1, 9, 100000}) {
    const AdamOptions options{.beta1 = 0.8f, .beta2 = 0.9975f};
    StepState before = start;
    before.step = step - 1;
    before.finite = step == 9;
    auto c = op_case<float>("advance_step", "step" + std::to_string(step));
    const auto state = c.inout("state", before);
    c.run([=]<class D>(Stream& s, auto at) { advance_step<D>(s, at(state), options); });
    c.expect(state, [=](auto at) {
      StepState after = at(state);
      after.step = step;
      after.finite = 1;
      after.correction1 = static_cast<float>(1 - std::pow(double{options.beta1}, step));
      after.root_correction2 =
          static_cast<float>(std::sqrt(1 - std::pow(double{options.beta2}, step)));
      return after;
    });
    rows.push_back(c);
  }
  for (const bool finite : {false, true}) {
    StepState before = start;
    before.finite = finite;
    before.skipped_in_a_row = 2;
    StepState after = before;
    after.skipped = finite ? 4 : 5;
    after.skipped_in_a_row = finite ? 0 : 3;
    add_finish(finite ? "finite" : "not_finite", before, after);
  }
  // The loss scale: kept, halved after a bad step, doubled after enough good ones; never
  // below 1 or above 2^24.
  struct Scale {
    const char* name;
    bool finite;
    float scale;
    std::uint32_t good, interval;
    float scale_after;
    std::uint32_t good_after;
  };
  for (const Scale& k :
       {Scale{"fixed", false, 1, 0, 0, 1, 0}, Scale{"bad", false, 1024, 7, 10, 512, 0},
        Scale{"bad_at_one", false, 1, 7, 10, 1, 0}, Scale{"good", true, 1024, 7, 10, 1024, 8},
        Scale{"enough", true, 1024, 9, 10, 2048, 0},
        Scale{"enough_at_most", true, 16777216, 9, 10, 16777216, 0}}) {
    StepState before = start;
    before.finite = k.finite;
    before.loss_scale = k.scale;
    before.good_steps = k.good;
    before.scale_interval = k.interval;
    StepState after = before;
    after.skipped += !k.finite;
    after.skipped_in_a_row = !k.finite;
    after.loss_scale = k.scale_after;
    after.good_steps = k.good_after;
    add_finish(std::string("f32/scale_") + k.name, before, after);
  }
  for (const unsigned step : {1, 3, 6}) {
    StepState now = start;
    now.step = step;
    auto c = op_case<float>("finish_step", "log_step" + std::to_string(step));
    const auto state = c.in("state", now);
    const auto losses = c.in("losses", 2), log = c.inout("log", 6);
    c.run([=]<class D>(Stream& s, auto at) {
      finish_step<D>(s, at(state), {at(losses), at(log), 3});
    });
    c.expect(log, [=](auto at) {
      Values after = at(log);
      const std::size_t row = (step - 1) % 3;
      after[2 * row] = at(losses)[0];
      after[2 * row + 1] = at(losses)[1];
      return after;
    });
    rows.push_back(c);
  }
}

// ---- random numbers

template <class T> void random_cases(std::vector<OpCase>& rows) {
  const std::uint64_t seed = 0x123456789abcdefull, stream_id = 0x5000000007ull;
  for (const Index n : {0, 1, 6, 20003, 1 << 22})
    for (const bool is_normal : {false, true}) {
      auto c = op_case<T>(is_normal ? "normal" : "uniform", n);
      const auto y = c.out("y", n);
      c.run([=]<class D>(Stream& s, auto at) {
        if (is_normal) normal<D, T>(s, at(y), n, 1.5f, 0.5f, seed, stream_id);
        else uniform<D, T>(s, at(y), n, -2.f, 3.f, seed, stream_id);
      });
      c.expect(y, [=](auto, Index i) {
        const auto words = reference::philox(
            seed, {static_cast<std::uint32_t>(i / 4), 0, static_cast<std::uint32_t>(stream_id),
                   static_cast<std::uint32_t>(stream_id >> 32)});
        return is_normal ? 1.5 + 0.5 * reference::normals(words)[i % 4]
                         : -2 + 5 * reference::unit(words[i % 4]);
      });
      c.scale = 1;
      c.loosen = is_normal ? 2 : 1;
      c.bench = n > 1000000;
      rows.push_back(c);
    }
}
}  // namespace

std::vector<OpCase> training_cases() {
  std::vector<OpCase> rows;
  for_types([&]<class T>() { loss_cases<T>(rows); });
  for_types([&]<class T>() { adam_cases<T>(rows); });
  state_cases(rows);
  for_types([&]<class T>() { random_cases<T>(rows); });
  return rows;
}
}  // namespace bench::cases
