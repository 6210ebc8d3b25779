// Expected results of convolution and matrix product in double precision, straight from the
// definitions in kernels/conv/: loop nests that share no code with the library. Beside each
// value stands the sum of the magnitudes of its terms, the measure for rounding errors.
#pragma once
#include <cmath>
#include <cstdint>
#include <vector>

#include "kernels/conv/conv.h"
#include "kernels/conv/gemm.h"

namespace bench::cases::reference {

using Values = std::vector<double>;
using Index = std::int64_t;
using kernels::ConvShape;
using kernels::Transpose;

struct Sums {
  Values value, magnitude;
  explicit Sums(std::size_t n) : value(n), magnitude(n) {}
  void add(std::size_t i, double term) {
    value[i] += term;
    magnitude[i] += std::abs(term);
  }
};

inline std::size_t x_size(const ConvShape& s) { return s.n * s.h * s.w * s.in_channels; }
inline std::size_t w_size(const ConvShape& s) {
  return Index{s.out_channels} * s.kernel * s.kernel * s.in_channels;
}
inline std::size_t y_size(const ConvShape& s) {
  return s.n * s.out_h() * s.out_w() * s.out_channels;
}
inline Index x_index(const ConvShape& s, Index n, Index y, Index x, Index i) {
  return ((n * s.h + y) * s.w + x) * s.in_channels + i;
}
inline Index w_index(const ConvShape& s, Index o, Index ky, Index kx, Index i) {
  return ((o * s.kernel + ky) * s.kernel + kx) * s.in_channels + i;
}
inline Index y_index(const ConvShape& s, Index n, Index oy, Index ox, Index o) {
  return ((n * s.out_h() + oy) * s.out_w() + ox) * s.out_channels + o;
}
inline bool in_image(const ConvShape& s, Index y, Index x) {
  return y >= 0 && y < s.h && x >= 0 && x < s.w;
}

// f(x index, w index, y index) for every product of the convolution inside the image.
template <class F> void conv_products(const ConvShape& s, const F& f) {
  for (Index n = 0; n < s.n; ++n)
    for (int oy = 0; oy < s.out_h(); ++oy)
      for (int ox = 0; ox < s.out_w(); ++ox)
        for (int o = 0; o < s.out_channels; ++o)
          for (int ky = 0; ky < s.kernel; ++ky)
            for (int kx = 0; kx < s.kernel; ++kx) {
              const int y = oy * s.stride - s.pad_begin + ky, x = ox * s.stride - s.pad_begin + kx;
              for (int i = 0; i < s.in_channels && in_image(s, y, x); ++i)
                f(x_index(s, n, y, x, i), w_index(s, o, ky, kx, i), y_index(s, n, oy, ox, o));
            }
}

// bias: null for none
inline Sums conv_forward(const ConvShape& s, const Values& x, const Values& w, const Values* bias) {
  Sums y(y_size(s));
  conv_products(s, [&](Index xi, Index wi, Index yi) { y.add(yi, x[xi] * w[wi]); });
  for (std::size_t i = 0; bias && i < y.value.size(); ++i) y.add(i, (*bias)[i % s.out_channels]);
  return y;
}
inline Sums conv_backward_data(const ConvShape& s, const Values& dy, const Values& w) {
  Sums dx(x_size(s));
  conv_products(s, [&](Index xi, Index wi, Index yi) { dx.add(xi, dy[yi] * w[wi]); });
  return dx;
}
inline Sums conv_backward_filter(const ConvShape& s, const Values& x, const Values& dy) {
  Sums dw(w_size(s));
  conv_products(s, [&](Index xi, Index wi, Index yi) { dw.add(wi, x[xi] * dy[yi]); });
  return dw;
}

inline Sums activate(Sums y, const kernels::ConvEpilogue& epilogue) {
  for (double& v : y.value) {
    if (epilogue.activation == kernels::Activation::leaky_relu && v < 0) v *= epilogue.slope;
    if (epilogue.activation == kernels::Activation::sigmoid) v = 1 / (1 + std::exp(-v));
  }
  return y;
}

inline Sums gemm(Transpose ta, Transpose tb, Index m, Index n, Index k, double alpha,
                 const Values& a, const Values& b, double beta, const Values& c) {
  Sums out(m * n);
  for (Index i = 0; i < m; ++i)
    for (Index j = 0; j < n; ++j) {
      for (Index e = 0; e < k; ++e)
        out.add(i * n + j, alpha * a[ta == Transpose::yes ? e * m + i : i * k + e] *
                               b[tb == Transpose::yes ? j * k + e : e * n + j]);
      if (beta != 0) out.add(i * n + j, beta * c[i * n + j]);
    }
  return out;
}

// ---- one element alone, for shapes whose whole result would take minutes

inline double conv_forward_at(const ConvShape& s, const Values& x, const Values& w,
                              const Values* bias, Index at) {
  const Index o = at % s.out_channels, ox = at / s.out_channels % s.out_w(),
              oy = at / s.out_channels / s.out_w() % s.out_h(),
              n = at / s.out_channels / s.out_w() / s.out_h();
  double sum = bias ? (*bias)[o] : 0;
  for (int ky = 0; ky < s.kernel; ++ky)
    for (int kx = 0; kx < s.kernel; ++kx) {
      const Index y = oy * s.stride - s.pad_begin + ky, ix = ox * s.stride - s.pad_begin + kx;
      for (int i = 0; i < s.in_channels && in_image(s, y, ix); ++i)
        sum += x[x_index(s, n, y, ix, i)] * w[w_index(s, o, ky, kx, i)];
    }
  return sum;
}

inline double conv_backward_data_at(const ConvShape& s, const Values& dy, const Values& w,
                                    Index at) {
  const Index i = at % s.in_channels, x = at / s.in_channels % s.w,
              y = at / s.in_channels / s.w % s.h, n = at / s.in_channels / s.w / s.h;
  double sum = 0;
  for (int ky = 0; ky < s.kernel; ++ky)
    for (int kx = 0; kx < s.kernel; ++kx) {
      const Index ty = y + s.pad_begin - ky, tx = x + s.pad_begin - kx;  // stride * output
      if (ty < 0 || tx < 0 || ty % s.stride != 0 || tx % s.stride != 0) continue;
      const Index oy = ty / s.stride, ox = tx / s.stride;
      for (Index o = 0; o < s.out_channels && oy < s.out_h() && ox < s.out_w(); ++o)
        sum += dy[y_index(s, n, oy, ox, o)] * w[w_index(s, o, ky, kx, i)];
    }
  return sum;
}

inline double conv_backward_filter_at(const ConvShape& s, const Values& x, const Values& dy,
                                      Index at) {
  const Index i = at % s.in_channels, kx = at / s.in_channels % s.kernel,
              ky = at / s.in_channels / s.kernel % s.kernel,
              o = at / s.in_channels / s.kernel / s.kernel;
  double sum = 0;
  for (Index n = 0; n < s.n; ++n)
    for (Index oy = 0; oy < s.out_h(); ++oy)
      for (Index ox = 0; ox < s.out_w(); ++ox) {
        const Index y = oy * s.stride - s.pad_begin + ky, ix = ox * s.stride - s.pad_begin + kx;
        if (in_image(s, y, ix)) sum += x[x_index(s, n, y, ix, i)] * dy[y_index(s, n, oy, ox, o)];
      }
  return sum;
}

inline double gemm_at(Transpose ta, Transpose tb, Index m, Index n, Index k, double alpha,
                      const Values& a, const Values& b, Index at) {
  const Index i = at / n, j = at % n;
  double sum = 0;
  for (Index e = 0; e < k; ++e)
    sum += a[ta == Transpose::yes ? e * m + i : i * k + e] *
           b[tb == Transpose::yes ? j * k + e : e * n + j];
  return alpha * sum;
}
}  // namespace bench::cases::reference
