// Rows of bench/cases/op_cases.h for kernels/conv/conv.h and gemm.h. The small shapes are chosen so that each implementation behind the seam gets some;
// tests/kernels/conv/test_conv.cpp and test_gemm.cpp go through every implementation by name. The shapes of the models are for the benchmark.
#pragma once
#include "bench/cases/op_cases.h"
#include "bench/cases/reference_conv.h"
#include "kernels/conv/conv.h"
#include "kernels/conv/gemm.h"

namespace tests {

// A shape that a small test runs, one that a model has, or one of a series.
enum class Use { test, model, sweep };
inline void set_use(OpCase& c, Use use) {
  c.bench = use != Use::test;
  c.sweep = use == Use::sweep;
}

template <class T>
void add_conv(std::vector<OpCase>& rows, const kernels::ConvShape& s, const std::string& shape,
              Use use) {
  using namespace kernels;
  const auto nx = static_cast<std::int64_t>(reference::x_size(s)),
             nw = static_cast<std::int64_t>(reference::w_size(s)),
             ny = static_cast<std::int64_t>(reference::y_size(s));
  const auto finish = [&](OpCase c, std::int64_t terms,
                          std::function<double(const std::vector<Values>&, std::int64_t)> element) {
    c.flops = 2.0 * static_cast<double>(ny) * s.kernel * s.kernel * s.in_channels;
    c.bytes = static_cast<double>(nx + nw + ny) * sizeof(T);
    c.scale = use == Use::test ? 1 : std::sqrt(static_cast<double>(terms));
    c.shape = {s.n,      s.h,      s.w,         s.in_channels, s.out_channels,
               s.kernel, s.stride, s.pad_begin, s.pad_end};
    set_use(c, use);
    if (use != Use::test) c.element = std::move(element);
    rows.push_back(std::move(c));
  };
  struct Kind {
    const char* name;
    Activation activation;
    bool bias;
  };
  for (const Kind& kind :
       {Kind{"leaky_relu", Activation::leaky_relu, true},
        Kind{"sigmoid", Activation::sigmoid, true}, Kind{"plain", Activation::none, false}}) {
    if (use != Use::test &&
        kind.activation != (s.out_channels == 3 ? Activation::sigmoid : Activation::leaky_relu))
      continue;
    const ConvEpilogue epilogue{kind.activation, 0.2f};
    OpCase c = new_case<T>("conv_forward", shape + "/" + kind.name);
    c.operands = {input<T>("x", nx), input<T>("w", nw), input<T>("bias", s.out_channels),
                  output<T>("y", ny)};
    c.run = [=](Stream& stream, const Pointers& p) {
      dispatch<T>(stream, [&]<class D>() {
        conv_forward<D, T>(stream, s, p.get<T>(0), p.get<T>(1), kind.bias ? p.get<T>(2) : nullptr,
                           p.get<T>(3), epilogue);
      });
    };
    c.reference = [=](std::vector<Values>& v) {
      v[3] = reference::activate(
                 reference::conv_forward(s, v[0], v[1], kind.bias ? &v[2] : nullptr), epilogue)
                 .value;
    };
    finish(std::move(c), std::int64_t{s.kernel} * s.kernel * s.in_channels,
           [=](const std::vector<Values>& v, std::int64_t at) {
             reference::Sums one(1);
             one.value[0] =
                 reference::conv_forward_at(s, v[0], v[1], kind.bias ? &v[2] : nullptr, at);
             return reference::activate(one, epilogue).value[0];
           });
  }
  OpCase c = new_case<T>("conv_backward_data", shape);
  c.operands = {input<T>("dy", ny), input<T>("w", nw), output<T>("dx", nx)};
  c.run = [=](Stream& stream, const Pointers& p) {
    dispatch<T>(stream, [&]<class D>() {
      conv_backward_data<D, T>(stream, s, p.get<T>(0), p.get<T>(1), p.get<T>(2));
    });
  };
  c.reference = [=](std::vector<Values>& v) {
    v[2] = reference::conv_backward_data(s, v[0], v[1]).value;
  };
  finish(std::move(c), std::int64_t{s.kernel} * s.kernel * s.out_channels,
         [=](const std::vector<Values>& v, std::int64_t at) {
           return reference::conv_backward_data_at(s, v[0], v[1], at);
         });

  c = new_case<T>("conv_backward_filter", shape);
  c.operands = {input<T>("x", nx), input<T>("dy", ny), output<T>("dw", nw)};
  c.run = [=](Stream& stream, const Pointers& p) {
    dispatch<T>(stream, [&]<class D>() {
      conv_backward_filter<D, T>(stream, s, p.get<T>(0), p.get<T>(1), p.get<T>(2));
    });
  };
  c.reference = [=](std::vector<Values>& v) {
    v[2] = reference::conv_backward_filter(s, v[0], v[1]).value;
  };
  finish(std::move(c), s.n * s.out_h() * s.out_w(),
         [=](const std::vector<Values>& v, std::int64_t at) {
           return reference::conv_backward_filter_at(s, v[0], v[1], at);
         });
}

// The convolutions of `original` at batch 16 a side; the encoder sees both sides at once.
struct ModelConv {
  const char* name;
  kernels::ConvShape shape;
};
inline std::vector<ModelConv> original_convs() {
  using kernels::same_padding;
  const int one = 16, both = 32;
  return {{"enc1", same_padding(both, 64, 64, 3, 128, 5, 2)},
          {"enc2", same_padding(both, 32, 32, 128, 256, 5, 2)},
          {"enc3", same_padding(both, 16, 16, 256, 512, 5, 2)},
          {"enc4", same_padding(both, 8, 8, 512, 1024, 5, 2)},
          {"up0", same_padding(both, 4, 4, 1024, 2048, 3, 1)},
          {"up1", same_padding(one, 8, 8, 512, 1024, 3, 1)},
          {"up2", same_padding(one, 16, 16, 256, 512, 3, 1)},
          {"up3", same_padding(one, 32, 32, 128, 256, 3, 1)},
          {"out", same_padding(one, 64, 64, 64, 3, 5, 1)}};
}

inline std::vector<OpCase> conv_cases() {
  using namespace kernels;
  std::vector<OpCase> rows;
  const auto name_of = [](const ConvShape& s) {
    return shape_name(s.n, s.h, s.w, s.in_channels, s.out_channels, s.kernel, s.stride);
  };
  for (const ConvShape& s : {same_padding(2, 12, 12, 8, 16, 5, 2),  // padding 1 and 2, oneDNN's
                             same_padding(2, 8, 8, 16, 24, 5, 2),   // few positions: ours
                             same_padding(1, 10, 9, 64, 3, 5, 1),   // three channels out
                             same_padding(3, 5, 5, 1, 7, 3, 1)})
    for_types([&]<class T>() { add_conv<T>(rows, s, name_of(s), Use::test); });
  const auto both_types = [&](const ConvShape& s, const std::string& name, Use use) {
    add_conv<float>(rows, s, name, use);
    add_conv<bf16>(rows, s, name, use);
  };
  for (const ModelConv& layer : original_convs())
    both_types(layer.shape, std::string("original_") + layer.name + "_" + name_of(layer.shape),
               Use::model);
  for (const std::int64_t batch : {1, 4, 64}) {  // 16 is the model's
    const ConvShape s = same_padding(batch, 16, 16, 256, 512, 3, 1);
    both_types(s, "batch" + std::to_string(batch) + "_" + name_of(s), Use::sweep);
  }
  return rows;
}

template <class T>
void add_gemm(std::vector<OpCase>& rows, kernels::Transpose ta, kernels::Transpose tb,
              std::int64_t m, std::int64_t n, std::int64_t k, float alpha, float beta,
              const std::string& note, Use use) {
  using namespace kernels;
  OpCase c =
      new_case<T>("gemm", note + shape_name(m, n, k) + "/" + (ta == Transpose::yes ? "T" : "N") +
                              (tb == Transpose::yes ? "T" : "N"));
  c.operands = {input<T>("a", m * k), input<T>("b", k * n),
                beta != 0.f ? in_and_out<T>("c", m * n) : output<T>("c", m * n)};
  c.run = [=](Stream& stream, const Pointers& p) {
    dispatch<T>(stream, [&]<class D>() {
      gemm<D, T>(stream, ta, tb, m, n, k, alpha, p.get<T>(0), p.get<T>(1), beta, p.get<T>(2));
    });
  };
  c.reference = [=](std::vector<Values>& v) {
    v[2] = reference::gemm(ta, tb, m, n, k, alpha, v[0], v[1], beta, v[2]).value;
  };
  if (use != Use::test)
    c.element = [=](const std::vector<Values>& v, std::int64_t at) {
      return reference::gemm_at(ta, tb, m, n, k, alpha, v[0], v[1], at);
    };
  c.flops = 2.0 * static_cast<double>(m) * static_cast<double>(n) * static_cast<double>(k);
  c.bytes = static_cast<double>(m * k + k * n + m * n) * sizeof(T);
  c.scale = use == Use::test ? 1 : std::sqrt(static_cast<double>(k));
  c.shape = {m, n, k, ta == Transpose::yes, tb == Transpose::yes};
  set_use(c, use);
  rows.push_back(std::move(c));
}

inline std::vector<OpCase> gemm_cases() {
  using namespace kernels;
  constexpr Transpose N = Transpose::no, T = Transpose::yes;
  std::vector<OpCase> rows;
  struct Size {
    std::int64_t m, n, k;
    float alpha, beta;
  };
  for (const Size& s :
       {Size{1, 1, 1, 1.f, 0.f}, Size{33, 20, 47, 1.f, 0.f}, Size{17, 130, 300, 0.5f, 1.f}})
    for (const Transpose ta : {N, T})
      for (const Transpose tb : {N, T})
        for_types([&]<class V>() {
          add_gemm<V>(rows, ta, tb, s.m, s.n, s.k, s.alpha, s.beta, "", Use::test);
        });

  const auto both_types = [&](Transpose ta, Transpose tb, std::int64_t m, std::int64_t n,
                              std::int64_t k, const std::string& note, Use use) {
    add_gemm<float>(rows, ta, tb, m, n, k, 1.f, 0.f, note, use);
    add_gemm<bf16>(rows, ta, tb, m, n, k, 1.f, 0.f, note, use);
  };
  // The dense layers of `original`, forward, backward to the data and to the weights; 32 faces, 16 a side.
  struct Layer {
    const char* name;
    std::int64_t in, out;
  };
  for (const Layer& layer :
       {Layer{"original_fc1", 16384, 1024}, Layer{"original_fc2", 1024, 16384}}) {
    both_types(N, T, 32, layer.out, layer.in, std::string(layer.name) + "_forward_", Use::model);
    both_types(N, N, 32, layer.in, layer.out, std::string(layer.name) + "_data_", Use::model);
    both_types(T, N, layer.out, layer.in, 32, std::string(layer.name) + "_filter_", Use::model);
  }
  for (const std::int64_t side : {256, 512, 1024, 2048})
    both_types(N, N, side, side, side, "", Use::sweep);
  return rows;
}

inline std::vector<OpCase> seam_cases() {
  std::vector<OpCase> rows = conv_cases();
  for (OpCase& row : gemm_cases()) rows.push_back(std::move(row));
  return rows;
}

}  // namespace tests
