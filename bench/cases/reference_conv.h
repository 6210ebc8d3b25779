// Convolution and matrix product in double precision, straight from the definitions in kernels/conv/conv.h and kernels/conv/gemm.h:
// one loop nest, no code shared with the library. Beside each value stands the sum of the magnitudes that went into it,
// which is what rounding errors are measured against.
#pragma once
#include <cmath>
#include <cstdint>
#include <vector>

#include "kernels/conv/conv.h"
#include "kernels/conv/gemm.h"

namespace bench::cases::reference {

struct Sums {
  Values value, magnitude;
  explicit Sums(std::size_t n) : value(n), magnitude(n) {}
  void add(std::size_t i, double term) {
    value[i] += term;
    magnitude[i] += std::abs(term);
  }
};

// Calls f(x index, w index, y index) for every product of the convolution that lies inside the image.
template <class F> void conv_products(const kernels::ConvShape& s, const F& f) {
  for (Index n = 0; n < s.n; ++n)
    for (int oy = 0; oy < s.out_h(); ++oy)
      for (int ox = 0; ox < s.out_w(); ++ox)
        for (int o = 0; o < s.out_channels; ++o)
          for (int ky = 0; ky < s.kernel; ++ky)
            for (int kx = 0; kx < s.kernel; ++kx) {
              const int iy = oy * s.stride - s.pad_begin + ky,
                        ix = ox * s.stride - s.pad_begin + kx;
              if (iy < 0 || iy >= s.h || ix < 0 || ix >= s.w) continue;
              for (int i = 0; i < s.in_channels; ++i) {
                f(((n * s.h + iy) * s.w + ix) * s.in_channels + i,
                  ((static_cast<Index>(o) * s.kernel + ky) * s.kernel + kx) * s.in_channels + i,
                  ((n * s.out_h() + oy) * s.out_w() + ox) * s.out_channels + o);
              }
            }
}

inline std::size_t x_size(const kernels::ConvShape& s) { return s.n * s.h * s.w * s.in_channels; }
inline std::size_t w_size(const kernels::ConvShape& s) {
  return s.out_channels * s.kernel * s.kernel * s.in_channels;
}
inline std::size_t y_size(const kernels::ConvShape& s) {
  return s.n * s.out_h() * s.out_w() * s.out_channels;
}

inline Sums conv_forward(const kernels::ConvShape& s, const Values& x, const Values& w,
                         const Values* bias) {
  Sums y(y_size(s));
  conv_products(s, [&](Index xi, Index wi, Index yi) { y.add(yi, x[xi] * w[wi]); });
  for (std::size_t i = 0; bias && i < y.value.size(); ++i) y.add(i, (*bias)[i % s.out_channels]);
  return y;
}

inline Sums activate(Sums y, const kernels::ConvEpilogue& epilogue) {
  for (double& v : y.value) {
    if (epilogue.activation == kernels::Activation::leaky_relu && v < 0) v *= epilogue.slope;
    if (epilogue.activation == kernels::Activation::sigmoid) v = 1 / (1 + std::exp(-v));
  }
  return y;
}

inline Sums conv_backward_data(const kernels::ConvShape& s, const Values& dy, const Values& w) {
  Sums dx(x_size(s));
  conv_products(s, [&](Index xi, Index wi, Index yi) { dx.add(xi, dy[yi] * w[wi]); });
  return dx;
}

inline Sums conv_backward_filter(const kernels::ConvShape& s, const Values& x, const Values& dy) {
  Sums dw(w_size(s));
  conv_products(s, [&](Index xi, Index wi, Index yi) { dw.add(wi, x[xi] * dy[yi]); });
  return dw;
}

inline Sums gemm(kernels::Transpose transpose_a, kernels::Transpose transpose_b, Index m, Index n,
                 Index k, double alpha, const Values& a, const Values& b, double beta,
                 const Values& c) {
  Sums out(m * n);
  for (Index i = 0; i < m; ++i) {
    for (Index j = 0; j < n; ++j) {
      const auto at = i * n + j;
      for (Index e = 0; e < k; ++e) {
        const Index left = transpose_a == kernels::Transpose::yes ? e * m + i : i * k + e,
                    right = transpose_b == kernels::Transpose::yes ? j * k + e : e * n + j;
        out.add(at, alpha * a[left] * b[right]);
      }
      if (beta != 0) out.add(at, beta * c[at]);
    }
  }
  return out;
}

// ---- one element alone, for shapes whose whole result would take minutes

inline double conv_forward_at(const kernels::ConvShape& s, const Values& x, const Values& w,
                              const Values* bias, Index at) {
  const Index o = at % s.out_channels, ox = at / s.out_channels % s.out_w(),
              oy = at / s.out_channels / s.out_w() % s.out_h(),
              n = at / s.out_channels / s.out_w() / s.out_h();
  double sum = bias ? (*bias)[o] : 0;
  for (int ky = 0; ky < s.kernel; ++ky)
    for (int kx = 0; kx < s.kernel; ++kx) {
      const Index iy = oy * s.stride - s.pad_begin + ky, ix = ox * s.stride - s.pad_begin + kx;
      if (iy < 0 || iy >= s.h || ix < 0 || ix >= s.w) continue;
      for (int i = 0; i < s.in_channels; ++i)
        sum += x[((n * s.h + iy) * s.w + ix) * s.in_channels + i] *
               w[((o * s.kernel + ky) * s.kernel + kx) * s.in_channels + i];
    }
  return sum;
}

inline double conv_backward_data_at(const kernels::ConvShape& s, const Values& dy, const Values& w,
                                    Index at) {
  const Index i = at % s.in_channels, ix = at / s.in_channels % s.w,
              iy = at / s.in_channels / s.w % s.h, n = at / s.in_channels / s.w / s.h;
  double sum = 0;
  for (int ky = 0; ky < s.kernel; ++ky)
    for (int kx = 0; kx < s.kernel; ++kx) {
      const Index y = iy + s.pad_begin - ky, x = ix + s.pad_begin - kx;
      if (y < 0 || x < 0 || y % s.stride != 0 || x % s.stride != 0 || y / s.stride >= s.out_h() ||
          x / s.stride >= s.out_w())
        continue;
      for (Index o = 0; o < s.out_channels; ++o)
        sum +=
            dy[((n * s.out_h() + y / s.stride) * s.out_w() + x / s.stride) * s.out_channels + o] *
            w[((o * s.kernel + ky) * s.kernel + kx) * s.in_channels + i];
    }
  return sum;
}

inline double conv_backward_filter_at(const kernels::ConvShape& s, const Values& x,
                                      const Values& dy, Index at) {
  const Index i = at % s.in_channels, kx = at / s.in_channels % s.kernel,
              ky = at / s.in_channels / s.kernel % s.kernel,
              o = at / s.in_channels / s.kernel / s.kernel;
  double sum = 0;
  for (Index n = 0; n < s.n; ++n)
    for (int oy = 0; oy < s.out_h(); ++oy)
      for (int ox = 0; ox < s.out_w(); ++ox) {
        const Index iy = Index{oy} * s.stride - s.pad_begin + ky,
                    ix = Index{ox} * s.stride - s.pad_begin + kx;
        if (iy < 0 || iy >= s.h || ix < 0 || ix >= s.w) continue;
        sum += x[((n * s.h + iy) * s.w + ix) * s.in_channels + i] *
               dy[((n * s.out_h() + oy) * s.out_w() + ox) * s.out_channels + o];
      }
  return sum;
}

inline double gemm_at(kernels::Transpose transpose_a, kernels::Transpose transpose_b, Index m,
                      Index n, Index k, double alpha, const Values& a, const Values& b, Index at) {
  const Index i = at / n, j = at % n;
  double sum = 0;
  for (Index e = 0; e < k; ++e)
    sum += a[transpose_a == kernels::Transpose::yes ? e * m + i : i * k + e] *
           b[transpose_b == kernels::Transpose::yes ? j * k + e : e * n + j];
  return alpha * sum;
}

}  // namespace bench::cases::reference
