// The small shapes reach each implementation behind the seam at least once; test_conv.cpp and
// test_gemm.cpp go through every implementation by name.
#include "bench/cases/seams.h"

#include <cmath>

#include "bench/cases/reference.h"
#include "bench/cases/reference_conv.h"

namespace bench::cases {

using namespace kernels;

template <class T>
void add_conv(std::vector<OpCase>& rows, const ConvShape& s, const std::string& shape, Use use) {
  const Index nx = reference::x_size(s), nw = reference::w_size(s), ny = reference::y_size(s);
  // terms: products in the sum of one element.
  const auto append = [&](auto& c, Index terms) {
    c.flops = 2.0 * ny * s.kernel * s.kernel * s.in_channels;
    c.scale = use == Use::test ? 1 : std::sqrt(terms);
    c.shape = {s.n,      s.h,      s.w,         s.in_channels, s.out_channels,
               s.kernel, s.stride, s.pad_begin, s.pad_end};
    c.bench = use != Use::test;
    c.sweep = use == Use::sweep;
    if (use == Use::test) c.element = nullptr;
    rows.push_back(c);
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
    auto c = op_case<T>("conv_forward", shape + "/" + kind.name);
    const auto x = c.in("x", nx), w = c.in("w", nw),
               bias = c.optional(kind.bias, c.in("bias", s.out_channels)), y = c.out("y", ny);
    c.run([=]<class D>(Stream& stream, auto at) {
      conv_forward<D, T>(stream, s, at(x), at(w), at(bias), at(y), epilogue);
    });
    c.expect(y, [=](auto at) {
      const Values* const b = kind.bias ? &at(bias) : nullptr;
      return reference::activate(reference::conv_forward(s, at(x), at(w), b), epilogue).value;
    });
    c.expect_sampled([=](auto at, Index i) {
      reference::Sums one(1);
      one.value[0] =
          reference::conv_forward_at(s, at(x), at(w), kind.bias ? &at(bias) : nullptr, i);
      return reference::activate(one, epilogue).value[0];
    });
    append(c, Index{s.kernel} * s.kernel * s.in_channels);
  }
  {
    auto c = op_case<T>("conv_backward_data", shape);
    const auto dy = c.in("dy", ny), w = c.in("w", nw), dx = c.out("dx", nx);
    c.run([=]<class D>(Stream& stream, auto at) {
      conv_backward_data<D, T>(stream, s, at(dy), at(w), at(dx));
    });
    c.expect(dx, [=](auto at) { return reference::conv_backward_data(s, at(dy), at(w)).value; });
    c.expect_sampled(
        [=](auto at, Index i) { return reference::conv_backward_data_at(s, at(dy), at(w), i); });
    append(c, Index{s.kernel} * s.kernel * s.out_channels);
  }
  auto c = op_case<T>("conv_backward_filter", shape);
  const auto x = c.in("x", nx), dy = c.in("dy", ny), dw = c.out("dw", nw);
  c.run([=]<class D>(Stream& stream, auto at) {
    conv_backward_filter<D, T>(stream, s, at(x), at(dy), at(dw));
  });
  c.expect(dw, [=](auto at) { return reference::conv_backward_filter(s, at(x), at(dy)).value; });
  c.expect_sampled(
      [=](auto at, Index i) { return reference::conv_backward_filter_at(s, at(x), at(dy), i); });
  append(c, s.n * s.out_h() * s.out_w());
}

template <class T>
void add_gemm(std::vector<OpCase>& rows, Transpose ta, Transpose tb, Index m, Index n, Index k,
              float alpha, float beta, const std::string& note, Use use) {
  const bool a_t = ta == Transpose::yes, b_t = tb == Transpose::yes;
  auto row =
      op_case<T>("gemm", note + shape_name(m, n, k) + "/" + (a_t ? "T" : "N") + (b_t ? "T" : "N"));
  const auto a = row.in("a", m * k), b = row.in("b", k * n),
             c = beta != 0.f ? row.inout("c", m * n) : row.out("c", m * n);
  row.run([=]<class D>(Stream& stream, auto at) {
    gemm<D, T>(stream, ta, tb, m, n, k, alpha, at(a), at(b), beta, at(c));
  });
  row.expect(c, [=](auto at) {
    return reference::gemm(ta, tb, m, n, k, alpha, at(a), at(b), beta, at(c)).value;
  });
  if (use != Use::test)
    row.expect_sampled([=](auto at, Index i) {
      return reference::gemm_at(ta, tb, m, n, k, alpha, at(a), at(b), i);
    });
  row.flops = 2.0 * m * n * k;
  row.scale = use == Use::test ? 1 : std::sqrt(k);
  row.shape = {m, n, k, a_t, b_t};
  row.bench = use != Use::test;
  row.sweep = use == Use::sweep;
  rows.push_back(row);
}

template void add_conv<float>(std::vector<OpCase>&, const ConvShape&, const std::string&, Use);
template void add_gemm<float>(std::vector<OpCase>&, Transpose, Transpose, Index, Index, Index,
                              float, float, const std::string&, Use);

namespace {

std::string conv_name(const ConvShape& s) {
  return shape_name(s.n, s.h, s.w, s.in_channels, s.out_channels, s.kernel, s.stride);
}

void conv_cases(std::vector<OpCase>& rows) {
  for (const ConvShape& s : {same_padding(2, 12, 12, 8, 16, 5, 2),  // padding 1 and 2, oneDNN's
                             same_padding(2, 8, 8, 16, 24, 5, 2),   // few positions: ours
                             same_padding(1, 10, 9, 64, 3, 5, 1),   // three channels out
                             same_padding(3, 5, 5, 1, 7, 3, 1)})
    for_types([&]<class T>() { add_conv<T>(rows, s, conv_name(s), Use::test); });
  const auto add_both = [&](const ConvShape& s, const std::string& name, Use use) {
    add_conv<float>(rows, s, name + conv_name(s), use);
    add_conv<bf16>(rows, s, name + conv_name(s), use);
  };
  // The layers of `original` at a batch of 16 per person; the encoder sees both people at once.
  const int one = 16, both = 32;
  add_both(same_padding(both, 64, 64, 3, 128, 5, 2), "original_enc1_", Use::model);
  add_both(same_padding(both, 32, 32, 128, 256, 5, 2), "original_enc2_", Use::model);
  add_both(same_padding(both, 16, 16, 256, 512, 5, 2), "original_enc3_", Use::model);
  add_both(same_padding(both, 8, 8, 512, 1024, 5, 2), "original_enc4_", Use::model);
  add_both(same_padding(both, 4, 4, 1024, 2048, 3, 1), "original_up0_", Use::model);
  add_both(same_padding(one, 8, 8, 512, 1024, 3, 1), "original_up1_", Use::model);
  add_both(same_padding(one, 16, 16, 256, 512, 3, 1), "original_up2_", Use::model);
  add_both(same_padding(one, 32, 32, 128, 256, 3, 1), "original_up3_", Use::model);
  add_both(same_padding(one, 64, 64, 64, 3, 5, 1), "original_out_", Use::model);
  for (const Index batch : {1, 4, 64})  // 16 is the model's
    add_both(same_padding(batch, 16, 16, 256, 512, 3, 1), "batch" + std::to_string(batch) + "_",
             Use::sweep);
}

void gemm_cases(std::vector<OpCase>& rows) {
  constexpr Transpose N = Transpose::no, T = Transpose::yes;
  struct Size {
    Index m, n, k;
    float alpha, beta;
  };
  for (const Size& s :
       {Size{1, 1, 1, 1.f, 0.f}, Size{33, 20, 47, 1.f, 0.f}, Size{17, 130, 300, 0.5f, 1.f}})
    for (const Transpose ta : {N, T})
      for (const Transpose tb : {N, T})
        for_types([&]<class V>() {
          add_gemm<V>(rows, ta, tb, s.m, s.n, s.k, s.alpha, s.beta, "", Use::test);
        });

  const auto add_both = [&](Transpose ta, Transpose tb, Index m, Index n, Index k,
                            const std::string& note, Use use) {
    add_gemm<float>(rows, ta, tb, m, n, k, 1.f, 0.f, note, use);
    add_gemm<bf16>(rows, ta, tb, m, n, k, 1.f, 0.f, note, use);
  };
  // The dense layers of `original` for 32 faces, 16 per person.
  struct Layer {
    std::string name;
    Index in, out;
  };
  for (const Layer& layer :
       {Layer{"original_fc1_", 16384, 1024}, Layer{"original_fc2_", 1024, 16384}}) {
    add_both(N, T, 32, layer.out, layer.in, layer.name + "forward_", Use::model);
    add_both(N, N, 32, layer.in, layer.out, layer.name + "data_", Use::model);
    add_both(T, N, layer.out, layer.in, 32, layer.name + "filter_", Use::model);
  }
  for (const Index side : {256, 512, 1024, 2048}) add_both(N, N, side, side, side, "", Use::sweep);
}
template <class T>
void add_dense(std::vector<OpCase>& rows, const DenseShape& s, const std::string& note, Use use) {
  const std::string shape = note + shape_name(s.n, s.in, s.out);
  const auto append = [&](auto& c, double scale) {
    c.flops = 2.0 * static_cast<double>(s.n * s.in * s.out);
    c.scale = scale;
    c.bench = use != Use::test;
    rows.push_back(c);
  };
  for (const bool with_bias : {true, false}) {
    if (use != Use::test && !with_bias) continue;
    auto c = op_case<T>("dense_forward", shape + (with_bias ? "" : "/no_bias"));
    const auto x = c.in("x", s.n * s.in), w = c.in("w", s.out * s.in);
    const auto bias = c.optional(with_bias, c.in("bias", s.out));
    const auto y = c.out("y", s.n * s.out);
    c.run([=]<class D>(Stream& stream, auto at) {
      dense_forward<D, T>(stream, s, at(x), at(w), at(bias), at(y));
    });
    const auto element = [=](auto at, Index i) {
      double sum = with_bias ? at(bias)[i % s.out] : 0;
      for (Index k = 0; k < s.in; ++k)
        sum += at(x)[i / s.out * s.in + k] * at(w)[i % s.out * s.in + k];
      return sum;
    };
    c.expect(y, element);
    if (use != Use::test) c.expect_sampled(element);
    append(c, use == Use::test ? 1 : std::sqrt(s.in));
  }
  for (const int wanted : {3, 2, 1}) {  // the gradient of the bias, of the weights, of both
    if (use != Use::test && wanted != 3) continue;
    auto c = op_case<T>("dense_backward_weights", shape + (wanted == 3   ? ""
                                                           : wanted == 2 ? "/no_bias"
                                                                         : "/bias_alone"));
    const auto x = c.optional(wanted != 1, c.in("x", s.n * s.in)), dy = c.in("dy", s.n * s.out);
    Handle<T> dbias, dw;
    if (wanted != 2) dbias = c.out("dbias", s.out);
    if (wanted != 1) dw = c.out("dw", s.out * s.in);
    c.run([=]<class D>(Stream& stream, auto at) {
      dense_backward_weights<D, T>(stream, s, at(x), at(dy), at(dw), at(dbias));
    });
    if (wanted != 2)
      c.expect(dbias, [=](auto at) { return reference::sum_columns(at(dy), s.out); });
    const auto element = [=](auto at, Index i) {
      double sum = 0;
      for (Index k = 0; k < s.n; ++k)
        sum += at(dy)[k * s.out + i / s.in] * at(x)[k * s.in + i % s.in];
      return sum;
    };
    if (wanted != 1) c.expect(dw, element);
    if (use != Use::test) c.expect_sampled(element);
    append(c, use == Use::test ? 1 : std::sqrt(s.n));
  }
}

void dense_cases(std::vector<OpCase>& rows) {
  // Rows at multiples of 16 bytes, and at any place; more of them than a tile has.
  for (const DenseShape& s :
       {DenseShape{1, 1, 1}, DenseShape{5, 11, 7}, DenseShape{33, 40, 24}, DenseShape{3, 64, 130}})
    for_types([&]<class T>() { add_dense<T>(rows, s, "", Use::test); });
  for (const auto& [name, shape] : {std::pair("original_fc1_", DenseShape{32, 16384, 1024}),
                                    {"original_fc2_", DenseShape{32, 1024, 16384}}}) {
    add_dense<float>(rows, shape, name, Use::model);
    add_dense<bf16>(rows, shape, name, Use::model);
  }
}
}  // namespace

std::vector<OpCase> seam_cases() {
  std::vector<OpCase> rows;
  conv_cases(rows);
  gemm_cases(rows);
  dense_cases(rows);
  return rows;
}
}  // namespace bench::cases
