// Rows of tests/op_cases.h for kernels/conv.h and gemm.h. Shapes are chosen so that each implementation behind the seam gets some;
// tests/kernels/test_conv.cpp and test_gemm.cpp go through every implementation by name.
#pragma once
#include "kernels/conv.h"
#include "kernels/gemm.h"
#include "tests/op_cases.h"
#include "tests/reference_conv.h"

namespace tests {

inline std::vector<OpCase> conv_cases() {
  using namespace kernels;
  std::vector<OpCase> rows;
  const ConvShape shapes[] = {same_padding(2, 12, 12, 8, 16, 5, 2),   // padding 1 and 2, oneDNN's
                              same_padding(2, 8, 8, 16, 24, 5, 2),    // few positions: ours
                              same_padding(1, 10, 9, 64, 3, 5, 1),    // three channels out
                              same_padding(3, 5, 5, 1, 7, 3, 1)};
  for (const ConvShape& s : shapes) {
    const auto nx = static_cast<std::int64_t>(reference::x_size(s)), nw = static_cast<std::int64_t>(reference::w_size(s)), ny = static_cast<std::int64_t>(reference::y_size(s));
    const double flops = 2.0 * static_cast<double>(ny) * s.kernel * s.kernel * s.in_channels;
    const std::string shape = shape_name(s.n, s.h, s.w, s.in_channels, s.out_channels, s.kernel, s.stride);
    for_types([&]<class T>() {
      const auto finish = [&](OpCase c) {
        c.flops = flops;
        c.bytes = static_cast<double>(nx + nw + ny) * sizeof(T);
        c.scale = 1;
        rows.push_back(std::move(c));
      };
      struct Kind { const char* name; Activation activation; bool bias; };
      for (const Kind& kind : {Kind{"leaky_relu", Activation::leaky_relu, true}, Kind{"sigmoid", Activation::sigmoid, true}, Kind{"plain", Activation::none, false}}) {
        const ConvEpilogue epilogue{kind.activation, 0.2f};
        OpCase c = new_case<T>("conv_forward", shape + "/" + kind.name);
        c.operands = {input<T>("x", nx), input<T>("w", nw), input<T>("bias", s.out_channels), output<T>("y", ny)};
        c.run = [=](Stream& stream, const Pointers& p) {
          dispatch<T>(stream, [&]<class D>() { conv_forward<D, T>(stream, s, p.get<T>(0), p.get<T>(1), kind.bias ? p.get<T>(2) : nullptr, p.get<T>(3), epilogue); });
        };
        c.reference = [=](std::vector<Values>& v) { v[3] = reference::activate(reference::conv_forward(s, v[0], v[1], kind.bias ? &v[2] : nullptr), epilogue).value; };
        finish(std::move(c));
      }
      OpCase c = new_case<T>("conv_backward_data", shape);
      c.operands = {input<T>("dy", ny), input<T>("w", nw), output<T>("dx", nx)};
      c.run = [=](Stream& stream, const Pointers& p) { dispatch<T>(stream, [&]<class D>() { conv_backward_data<D, T>(stream, s, p.get<T>(0), p.get<T>(1), p.get<T>(2)); }); };
      c.reference = [=](std::vector<Values>& v) { v[2] = reference::conv_backward_data(s, v[0], v[1]).value; };
      finish(std::move(c));

      c = new_case<T>("conv_backward_filter", shape);
      c.operands = {input<T>("x", nx), input<T>("dy", ny), output<T>("dw", nw)};
      c.run = [=](Stream& stream, const Pointers& p) { dispatch<T>(stream, [&]<class D>() { conv_backward_filter<D, T>(stream, s, p.get<T>(0), p.get<T>(1), p.get<T>(2)); }); };
      c.reference = [=](std::vector<Values>& v) { v[2] = reference::conv_backward_filter(s, v[0], v[1]).value; };
      finish(std::move(c));
    });
  }
  return rows;
}

inline std::vector<OpCase> gemm_cases() {
  using namespace kernels;
  std::vector<OpCase> rows;
  struct Size { std::int64_t m, n, k; float alpha, beta; };
  for (const Size& s : {Size{1, 1, 1, 1.f, 0.f}, Size{33, 20, 47, 1.f, 0.f}, Size{17, 130, 300, 0.5f, 1.f}}) {
    for (const Transpose ta : {Transpose::no, Transpose::yes}) {
      for (const Transpose tb : {Transpose::no, Transpose::yes}) {
        for_types([&]<class T>() {
          OpCase c = new_case<T>("gemm", shape_name(s.m, s.n, s.k) + "/" + (ta == Transpose::yes ? "T" : "N") + (tb == Transpose::yes ? "T" : "N"));
          c.operands = {input<T>("a", s.m * s.k), input<T>("b", s.k * s.n), s.beta != 0.f ? in_and_out<T>("c", s.m * s.n) : output<T>("c", s.m * s.n)};
          c.run = [=](Stream& stream, const Pointers& p) {
            dispatch<T>(stream, [&]<class D>() { gemm<D, T>(stream, ta, tb, s.m, s.n, s.k, s.alpha, p.get<T>(0), p.get<T>(1), s.beta, p.get<T>(2)); });
          };
          c.reference = [=](std::vector<Values>& v) { v[2] = reference::gemm(ta, tb, s.m, s.n, s.k, s.alpha, v[0], v[1], s.beta, v[2]).value; };
          c.flops = 2.0 * static_cast<double>(s.m) * static_cast<double>(s.n) * static_cast<double>(s.k);
          c.bytes = static_cast<double>(s.m * s.k + s.k * s.n + s.m * s.n) * sizeof(T);
          c.scale = 1;
          rows.push_back(std::move(c));
        });
      }
    }
  }
  return rows;
}

inline std::vector<OpCase> seam_cases() {
  std::vector<OpCase> rows = conv_cases();
  for (OpCase& row : gemm_cases()) rows.push_back(std::move(row));
  return rows;
}

}  // namespace tests
