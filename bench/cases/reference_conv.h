// Convolution and matrix product in double precision, straight from the definitions in kernels/conv/conv.h and kernels/conv/gemm.h:
// one loop nest, no code shared with the library. Beside each value stands the sum of the magnitudes that went into it,
// which is what rounding errors are measured against.
#pragma once
#include <cmath>
#include <cstdint>
#include <vector>

#include "kernels/conv/conv.h"
#include "kernels/conv/gemm.h"

namespace tests::reference {

struct Sums {
  std::vector<double> value, magnitude;
  explicit Sums(std::size_t n) : value(n), magnitude(n) {}
  void add(std::size_t i, double term) {
    value[i] += term;
    magnitude[i] += std::abs(term);
  }
};

// Calls f(x index, w index, y index) for every product of the convolution that lies inside the image.
template <class F> void conv_products(const kernels::ConvShape& s, const F& f) {
  for (std::int64_t n = 0; n < s.n; ++n)
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
                  ((static_cast<std::int64_t>(o) * s.kernel + ky) * s.kernel + kx) * s.in_channels +
                      i,
                  ((n * s.out_h() + oy) * s.out_w() + ox) * s.out_channels + o);
              }
            }
}

inline std::size_t x_size(const kernels::ConvShape& s) {
  return static_cast<std::size_t>(s.n) * s.h * s.w * s.in_channels;
}
inline std::size_t w_size(const kernels::ConvShape& s) {
  return static_cast<std::size_t>(s.out_channels) * s.kernel * s.kernel * s.in_channels;
}
inline std::size_t y_size(const kernels::ConvShape& s) {
  return static_cast<std::size_t>(s.n) * s.out_h() * s.out_w() * s.out_channels;
}

inline Sums conv_forward(const kernels::ConvShape& s, const std::vector<double>& x,
                         const std::vector<double>& w, const std::vector<double>* bias) {
  Sums y(y_size(s));
  conv_products(s, [&](std::int64_t xi, std::int64_t wi, std::int64_t yi) {
    y.add(static_cast<std::size_t>(yi),
          x[static_cast<std::size_t>(xi)] * w[static_cast<std::size_t>(wi)]);
  });
  for (std::size_t i = 0; bias && i < y.value.size(); ++i)
    y.add(i, (*bias)[i % static_cast<std::size_t>(s.out_channels)]);
  return y;
}

inline Sums activate(Sums y, const kernels::ConvEpilogue& epilogue) {
  for (double& v : y.value) {
    if (epilogue.activation == kernels::Activation::leaky_relu && v < 0) v *= epilogue.slope;
    if (epilogue.activation == kernels::Activation::sigmoid) v = 1 / (1 + std::exp(-v));
  }
  return y;
}

inline Sums conv_backward_data(const kernels::ConvShape& s, const std::vector<double>& dy,
                               const std::vector<double>& w) {
  Sums dx(x_size(s));
  conv_products(s, [&](std::int64_t xi, std::int64_t wi, std::int64_t yi) {
    dx.add(static_cast<std::size_t>(xi),
           dy[static_cast<std::size_t>(yi)] * w[static_cast<std::size_t>(wi)]);
  });
  return dx;
}

inline Sums conv_backward_filter(const kernels::ConvShape& s, const std::vector<double>& x,
                                 const std::vector<double>& dy) {
  Sums dw(w_size(s));
  conv_products(s, [&](std::int64_t xi, std::int64_t wi, std::int64_t yi) {
    dw.add(static_cast<std::size_t>(wi),
           x[static_cast<std::size_t>(xi)] * dy[static_cast<std::size_t>(yi)]);
  });
  return dw;
}

inline Sums gemm(kernels::Transpose transpose_a, kernels::Transpose transpose_b, std::int64_t m,
                 std::int64_t n, std::int64_t k, double alpha, const std::vector<double>& a,
                 const std::vector<double>& b, double beta, const std::vector<double>& c) {
  Sums out(static_cast<std::size_t>(m * n));
  for (std::int64_t i = 0; i < m; ++i) {
    for (std::int64_t j = 0; j < n; ++j) {
      const auto at = static_cast<std::size_t>(i * n + j);
      for (std::int64_t e = 0; e < k; ++e) {
        const std::int64_t left = transpose_a == kernels::Transpose::yes ? e * m + i : i * k + e,
                           right = transpose_b == kernels::Transpose::yes ? j * k + e : e * n + j;
        out.add(at, alpha * a[static_cast<std::size_t>(left)] * b[static_cast<std::size_t>(right)]);
      }
      if (beta != 0) out.add(at, beta * c[at]);
    }
  }
  return out;
}

// ---- one element alone, for shapes whose whole result would take minutes

inline double conv_forward_at(const kernels::ConvShape& s, const std::vector<double>& x,
                              const std::vector<double>& w, const std::vector<double>* bias,
                              std::int64_t at) {
  const std::int64_t o = at % s.out_channels, ox = at / s.out_channels % s.out_w(),
                     oy = at / s.out_channels / s.out_w() % s.out_h(),
                     n = at / s.out_channels / s.out_w() / s.out_h();
  double sum = bias ? (*bias)[static_cast<std::size_t>(o)] : 0;
  for (int ky = 0; ky < s.kernel; ++ky)
    for (int kx = 0; kx < s.kernel; ++kx) {
      const std::int64_t iy = oy * s.stride - s.pad_begin + ky,
                         ix = ox * s.stride - s.pad_begin + kx;
      if (iy < 0 || iy >= s.h || ix < 0 || ix >= s.w) continue;
      for (int i = 0; i < s.in_channels; ++i)
        sum +=
            x[static_cast<std::size_t>(((n * s.h + iy) * s.w + ix) * s.in_channels + i)] *
            w[static_cast<std::size_t>(((o * s.kernel + ky) * s.kernel + kx) * s.in_channels + i)];
    }
  return sum;
}

inline double conv_backward_data_at(const kernels::ConvShape& s, const std::vector<double>& dy,
                                    const std::vector<double>& w, std::int64_t at) {
  const std::int64_t i = at % s.in_channels, ix = at / s.in_channels % s.w,
                     iy = at / s.in_channels / s.w % s.h, n = at / s.in_channels / s.w / s.h;
  double sum = 0;
  for (int ky = 0; ky < s.kernel; ++ky)
    for (int kx = 0; kx < s.kernel; ++kx) {
      const std::int64_t y = iy + s.pad_begin - ky, x = ix + s.pad_begin - kx;
      if (y < 0 || x < 0 || y % s.stride != 0 || x % s.stride != 0 || y / s.stride >= s.out_h() ||
          x / s.stride >= s.out_w())
        continue;
      for (std::int64_t o = 0; o < s.out_channels; ++o)
        sum +=
            dy[static_cast<std::size_t>(
                ((n * s.out_h() + y / s.stride) * s.out_w() + x / s.stride) * s.out_channels + o)] *
            w[static_cast<std::size_t>(((o * s.kernel + ky) * s.kernel + kx) * s.in_channels + i)];
    }
  return sum;
}

inline double conv_backward_filter_at(const kernels::ConvShape& s, const std::vector<double>& x,
                                      const std::vector<double>& dy, std::int64_t at) {
  const std::int64_t i = at % s.in_channels, kx = at / s.in_channels % s.kernel,
                     ky = at / s.in_channels / s.kernel % s.kernel,
                     o = at / s.in_channels / s.kernel / s.kernel;
  double sum = 0;
  for (std::int64_t n = 0; n < s.n; ++n)
    for (int oy = 0; oy < s.out_h(); ++oy)
      for (int ox = 0; ox < s.out_w(); ++ox) {
        const std::int64_t iy = std::int64_t{oy} * s.stride - s.pad_begin + ky,
                           ix = std::int64_t{ox} * s.stride - s.pad_begin + kx;
        if (iy < 0 || iy >= s.h || ix < 0 || ix >= s.w) continue;
        sum += x[static_cast<std::size_t>(((n * s.h + iy) * s.w + ix) * s.in_channels + i)] *
               dy[static_cast<std::size_t>(
                   ((n * s.out_h() + oy) * s.out_w() + ox) * s.out_channels + o)];
      }
  return sum;
}

inline double gemm_at(kernels::Transpose transpose_a, kernels::Transpose transpose_b,
                      std::int64_t m, std::int64_t n, std::int64_t k, double alpha,
                      const std::vector<double>& a, const std::vector<double>& b, std::int64_t at) {
  const std::int64_t i = at / n, j = at % n;
  double sum = 0;
  for (std::int64_t e = 0; e < k; ++e)
    sum +=
        a[static_cast<std::size_t>(transpose_a == kernels::Transpose::yes ? e * m + i
                                                                          : i * k + e)] *
        b[static_cast<std::size_t>(transpose_b == kernels::Transpose::yes ? j * k + e : e * n + j)];
  return alpha * sum;
}

}  // namespace tests::reference
