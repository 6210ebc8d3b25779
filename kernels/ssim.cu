// Structural similarity, value and gradient.
// Computes: with G the Gaussian window (separable, edges mirrored), per channel
//   mu1 = G*p,  mu2 = G*t
//   s11 = G*p^2 - mu1^2,  s22 = G*t^2 - mu2^2,  s12 = G*(pt) - mu1 mu2
//   SSIM = A1 A2 / (B1 B2) with A1 = 2 mu1 mu2 + c1,      A2 = 2 s12 + c2,
//                               B1 = mu1^2 + mu2^2 + c1,  B2 = s11 + s22 + c2
//   loss = 1/count * sum mask (dssim (1 - SSIM)/2 + mse d^2 + mae |d|)
//   dp_j = (G^T u)_j + 2 p_j (G^T v)_j + t_j (G^T w)_j with the loss's derivatives
//   u, v, w by G*p, G*p^2 and G*(pt) at each pixel. G^T is the exact adjoint: a pixel
//   near an edge also collects its mirror images' share.
// Parallel: one block of 256 threads per 32 x 16 tile of a channel. Forward: tile and
//   halo of 5 into shared memory, five moments along rows, then along columns.
//   Backward: likewise with the three derivative maps.
// Bytes: pred, target and mask 1.9 times (the halo), three maps written and read. Bound
//   by about 350 multiply-adds per value.
// Source: Wang et al. 2004, https://doi.org/10.1109/TIP.2003.819861
#include "kernels/ssim.h"

#include <cmath>

#include "kernels/partial_sums.h"
#include "kernels/pixel_error.h"
#include "kernels/simt/instantiate.h"

namespace kernels {
namespace {

constexpr int kRadius = 5, kTaps = 2 * kRadius + 1;
constexpr int kTileW = 32, kThreadRows = 8;

template <class C> struct Window { C g[kTaps]; };

template <class C> Window<C> gaussian_window() {
  double g[kTaps], sum = 0;
  for (int k = 0; k < kTaps; ++k)
    sum += g[k] = std::exp(-0.5 * (k - kRadius) * (k - kRadius) / (1.5 * 1.5));
  Window<C> window;
  for (int k = 0; k < kTaps; ++k) window.g[k] = static_cast<C>(g[k] / sum);
  return window;
}

// ... 2 1 | 0 1 2 ... n-1 | n-2 n-3 ...
// Positions further out, of tiles that overhang the image, give any valid one.
SIMT_DEVICE int mirror(int i, int n) {
  const int folded = i < 0 ? -i : (i >= n ? 2 * (n - 1) - i : i);
  return folded < 0 ? 0 : folded;
}

// The tiles of all planes: block -> (plane, tile row, tile column).
template <class T> struct Tiling {
  // 48 KB of shared memory hold 16 rows of float or 8 of double.
  static constexpr int kTileH = sizeof(compute_t<T>) == 4 ? 16 : 8;
  static constexpr int kRows = kTileH + 2 * kRadius, kColumns = kTileW + 2 * kRadius;
  ImageShape shape;
  int tiles_x, tiles_y;
  explicit Tiling(const ImageShape& s)
      : shape(s),
        tiles_x(static_cast<int>(ceil_div(s.w, kTileW))),
        tiles_y(static_cast<int>(ceil_div(s.h, kTileH))) {}
  std::int64_t blocks(std::int64_t planes) const { return planes * tiles_x * tiles_y; }

  struct Place {
    int plane, x0, y0;
  };
  SIMT_DEVICE Place place(int block) const {
    const int row = block / tiles_x, plane = row / tiles_y;
    return {plane, (block - row * tiles_x) * kTileW, (row - plane * tiles_y) * kTileH};
  }
  SIMT_DEVICE std::int64_t pixel(int n, int y, int x) const {
    return (static_cast<std::int64_t>(n) * shape.h + y) * shape.w + x;
  }
  SIMT_DEVICE std::int64_t map_size() const {
    return pixel(static_cast<int>(shape.n) * shape.c, 0, 0);
  }
};

template <class C> struct Moments { C p, t, pp, tt, pt; };

template <class C> struct Similarity {
  C ssim, by_mean, by_square, by_product;  // derivatives by G*p, G*p^2, G*(pt)
  SIMT_DEVICE explicit Similarity(const Moments<C>& m) {
    const C c1 = C(1e-4), c2 = C(9e-4);
    const C a1 = C(2) * m.p * m.t + c1, a2 = C(2) * (m.pt - m.p * m.t) + c2;
    const C b1 = m.p * m.p + m.t * m.t + c1, b2 = (m.pp - m.p * m.p) + (m.tt - m.t * m.t) + c2;
    const C over = C(1) / (b1 * b2);
    ssim = a1 * a2 * over;
    by_square = -ssim * (b1 * over);
    by_product = C(2) * a1 * over;
    by_mean = C(2) * over * (m.t * (a2 - a1) - m.p * ssim * (b2 - b1));
  }
};

// One value per thread and moment.
template <class B, class C> struct MomentRegisters {
  simt::Reg<B, C> p, t, pp, tt, pt;
  SIMT_DEVICE Moments<C> operator[](int thread) const {
    return {p[thread], t[thread], pp[thread], tt[thread], pt[thread]};
  }
};

// Calls f(y, moments) for kThreadRows rows of the tile at a time, the first of which is
// y. All threads must call it. f has two phases: arithmetic without a branch, which the
// host turns into SIMD, then stores, which must check for a tile that overhangs the
// image.
template <class T, class B, class F>
SIMT_DEVICE void tile_moments(B& b, const Tiling<T>& tiling, const Window<compute_t<T>>& window,
                              const T* pred, const T* target, int n, int c, int x0, int y0, F&& f) {
  using C = compute_t<T>;
  using Tile = Tiling<T>;
  const int h = tiling.shape.h, w = tiling.shape.w, channels = tiling.shape.c;
  SIMT_BLOCK_SHARED(B, int, column, [Tile::kColumns]);
  SIMT_BLOCK_SHARED(B, C, p, [Tile::kRows][Tile::kColumns]);
  SIMT_BLOCK_SHARED(B, C, t, [Tile::kRows][Tile::kColumns]);
  SIMT_BLOCK_SHARED(B, C, mid, [5][Tile::kRows][kTileW]);
  b.for_each(Tile::kColumns,
             [&](int j) SIMT_LAMBDA { column[j] = mirror(x0 + j - kRadius, w) * channels + c; });
  b.template for_each2<Tile::kColumns>(Tile::kRows, [&](int i, int j) SIMT_LAMBDA {
    const std::int64_t at = tiling.pixel(n, mirror(y0 + i - kRadius, h), 0) * channels + column[j];
    p[i][j] = load(pred, at);
    t[i][j] = load(target, at);
  });
  b.template for_each2<kTileW>(Tile::kRows, [&](int i, int j) SIMT_LAMBDA {
    Moments<C> m{};
    SIMT_UNROLL
    for (int k = 0; k < kTaps; ++k) {
      const C g = window.g[k], pv = p[i][j + k], tv = t[i][j + k], gp = g * pv, gt = g * tv;
      m.p += gp;
      m.t += gt;
      m.pp += gp * pv;
      m.tt += gt * tv;
      m.pt += gp * tv;
    }
    mid[0][i][j] = m.p;
    mid[1][i][j] = m.t;
    mid[2][i][j] = m.pp;
    mid[3][i][j] = m.tt;
    mid[4][i][j] = m.pt;
  });
  MomentRegisters<B, C> moments;
  for (int row = 0; row < Tile::kTileH; row += kThreadRows) {
    b.each([&](int tx, int ty) SIMT_LAMBDA {
      Moments<C> m{};
      SIMT_UNROLL
      for (int k = 0; k < kTaps; ++k) {
        const C g = window.g[k];
        m.p += g * mid[0][row + ty + k][tx];
        m.t += g * mid[1][row + ty + k][tx];
        m.pp += g * mid[2][row + ty + k][tx];
        m.tt += g * mid[3][row + ty + k][tx];
        m.pt += g * mid[4][row + ty + k][tx];
      }
      const int thread = ty * kTileW + tx;
      moments.p[thread] = m.p;
      moments.t[thread] = m.t;
      moments.pp[thread] = m.pp;
      moments.tt[thread] = m.tt;
      moments.pt[thread] = m.pt;
    });
    f(y0 + row, moments);
  }
  b.phase([](int, int) SIMT_LAMBDA {});  // the tile may be filled again
}

template <class T> struct DssimForward {
  static constexpr int kx = kTileW, ky = kThreadRows;
  Tiling<T> tiling;
  Window<compute_t<T>> window;
  const T* pred;           // [N,H,W,C]
  const T* target;         // [N,H,W,C]
  const T* mask;           // [N,H,W] or null
  compute_t<T>* maps;      // [3,N*C,H,W]: u, v, w above
  compute_t<T>* partials;  // [blocks]
  compute_t<T> scale;      // 1/values of a share
  compute_t<T> dssim;      // weight of it
  PixelError<compute_t<T>> error;

  template <class B> SIMT_DEVICE void operator()(B& b) const {
    using C = compute_t<T>;
    const auto place = tiling.place(b.block_x());
    const int n = place.plane / tiling.shape.c, c = place.plane - n * tiling.shape.c;
    const std::int64_t map_size = tiling.map_size();
    simt::Reg<B, C> total{};
    simt::Reg<B, C> map, by_mean, by_square, by_product;
    const auto rows = [&](int y0, const MomentRegisters<B, C>& moments) SIMT_LAMBDA {
      b.each([&](int tx, int ty) SIMT_LAMBDA {
        const int thread = ty * kTileW + tx;
        const Similarity<C> s(moments[thread]);
        const C half = C(-0.5) * scale * dssim;
        map[thread] = dssim * (C(0.5) * (C(1) - s.ssim));
        by_mean[thread] = half * s.by_mean;
        by_square[thread] = half * s.by_square;
        by_product[thread] = half * s.by_product;
      });
      b.each([&](int tx, int ty) SIMT_LAMBDA {
        const int y = y0 + ty, x = place.x0 + tx, thread = ty * kTileW + tx;
        if (y >= tiling.shape.h || x >= tiling.shape.w) return;
        const C weight = mask ? load(mask, tiling.pixel(n, y, x)) : C(1);
        const std::int64_t at = tiling.pixel(place.plane, y, x);
        const std::int64_t value = tiling.pixel(n, y, x) * tiling.shape.c + c;
        total[thread] +=
            weight * (map[thread] + error.value(load(pred, value) - load(target, value)));
        maps[at] = weight * by_mean[thread];
        maps[map_size + at] = weight * by_square[thread];
        maps[2 * map_size + at] = weight * by_product[thread];
      });
    };
    tile_moments<T>(b, tiling, window, pred, target, n, c, place.x0, place.y0, rows);
    const C sum = b.sum(total);
    b.once([&]() SIMT_LAMBDA { partials[b.block_x()] = sum; });
  }
};

// Weight of position i in the adjoint's sum at position j of an axis of length n:
// directly, and through the mirror images -j and 2(n-1)-j.
template <class C> SIMT_DEVICE C adjoint_tap(const Window<C>& window, int j, int i, int n) {
  if (i < 0 || i >= n || j >= n) return C(0);
  C g = window.g[i - j + kRadius];
  if (j >= 1 && i + j <= kRadius) g += window.g[i + j + kRadius];
  if (j <= n - 2 && 2 * (n - 1) - i - j <= kRadius) g += window.g[2 * (n - 1) - i - j + kRadius];
  return g;
}

template <class T> struct DssimBackward {
  static constexpr int kx = kTileW, ky = kThreadRows;
  Tiling<T> tiling;
  Window<compute_t<T>> window;
  const T* pred;                    // [N,H,W,C]
  const T* target;                  // [N,H,W,C]
  const T* mask;                    // [N,H,W] or null
  const compute_t<T>* maps;         // [3,N*C,H,W]
  LossTotals<compute_t<T>> totals;  // stored by the first block, to save a launch
  T* dpred;                         // [N,H,W,C]
  PixelError<compute_t<T>> error;

  template <class B> SIMT_DEVICE void operator()(B& b) const {
    using C = compute_t<T>;
    using Tile = Tiling<T>;
    if (b.block_x() == 0) totals.store(b);
    const auto place = tiling.place(b.block_x());
    const int h = tiling.shape.h, w = tiling.shape.w, x0 = place.x0, y0 = place.y0;
    const int n = place.plane / tiling.shape.c, c = place.plane - n * tiling.shape.c;
    const std::int64_t map_size = tiling.map_size();
    SIMT_BLOCK_SHARED(B, C, tap_x, [kTaps][kTileW]);
    SIMT_BLOCK_SHARED(B, C, tap_y, [Tile::kTileH][kTaps]);
    SIMT_BLOCK_SHARED(B, C, tile, [3][Tile::kRows][Tile::kColumns]);
    SIMT_BLOCK_SHARED(B, C, mid, [3][Tile::kRows][kTileW]);
    b.template for_each2<kTileW>(kTaps, [&](int k, int j) SIMT_LAMBDA {
      tap_x[k][j] = adjoint_tap(window, x0 + j, x0 + j + k - kRadius, w);
    });
    b.template for_each2<kTaps>(Tile::kTileH, [&](int i, int k) SIMT_LAMBDA {
      tap_y[i][k] = adjoint_tap(window, y0 + i, y0 + i + k - kRadius, h);
    });
    b.template for_each2<Tile::kColumns>(Tile::kRows, [&](int i, int j) SIMT_LAMBDA {
      const int y = y0 + i - kRadius, x = x0 + j - kRadius;
      const bool inside = y >= 0 && y < h && x >= 0 && x < w;
      const std::int64_t at = inside ? tiling.pixel(place.plane, y, x) : 0;
      for (int q = 0; q < 3; ++q) tile[q][i][j] = inside ? maps[q * map_size + at] : C(0);
    });
    b.template for_each2<kTileW>(Tile::kRows, [&](int i, int j) SIMT_LAMBDA {
      C u = 0, v = 0, s = 0;
      SIMT_UNROLL
      for (int k = 0; k < kTaps; ++k) {
        const C g = tap_x[k][j];
        u += g * tile[0][i][j + k];
        v += g * tile[1][i][j + k];
        s += g * tile[2][i][j + k];
      }
      mid[0][i][j] = u;
      mid[1][i][j] = v;
      mid[2][i][j] = s;
    });
    simt::Reg<B, C> by_mean, by_square, by_product;
    for (int row = 0; row < Tile::kTileH; row += kThreadRows) {
      b.each([&](int tx, int ty) SIMT_LAMBDA {
        const int i = row + ty;
        C u = 0, v = 0, s = 0;
        SIMT_UNROLL
        for (int k = 0; k < kTaps; ++k) {
          const C g = tap_y[i][k];
          u += g * mid[0][i + k][tx];
          v += g * mid[1][i + k][tx];
          s += g * mid[2][i + k][tx];
        }
        const int thread = ty * kTileW + tx;
        by_mean[thread] = u;
        by_square[thread] = v;
        by_product[thread] = s;
      });
      b.each([&](int tx, int ty) SIMT_LAMBDA {
        const int y = y0 + row + ty, x = x0 + tx, thread = ty * kTileW + tx;
        if (y >= h || x >= w) return;
        const std::int64_t pixel = tiling.pixel(n, y, x), at = pixel * tiling.shape.c + c;
        const C p = load(pred, at), t = load(target, at), weight = mask ? load(mask, pixel) : C(1);
        store(dpred, at,
              by_mean[thread] + C(2) * p * by_square[thread] + t * by_product[thread] +
                  weight * totals.scale * error.slope(p - t));
      });
    }
  }
};

template <class T> struct SsimMap {
  static constexpr int kx = kTileW, ky = kThreadRows;
  Tiling<T> tiling;
  Window<compute_t<T>> window;
  const T* a;   // [N,H,W,C]
  const T* b_;  // [N,H,W,C]
  T* ssim;      // [N,H,W]

  template <class B> SIMT_DEVICE void operator()(B& b) const {
    using C = compute_t<T>;
    const auto place = tiling.place(b.block_x());
    const int channels = tiling.shape.c;
    SIMT_BLOCK_SHARED(B, C, sums, [Tiling<T>::kTileH][kTileW]);
    b.template for_each2<kTileW>(Tiling<T>::kTileH,
                                 [&](int i, int j) SIMT_LAMBDA { sums[i][j] = C(0); });
    const auto rows = [&](int y0, const MomentRegisters<B, C>& moments) SIMT_LAMBDA {
      b.each([&](int tx, int ty) SIMT_LAMBDA {
        sums[y0 - place.y0 + ty][tx] += Similarity<C>(moments[ty * kTileW + tx]).ssim;
      });
    };
    for (int c = 0; c < channels; ++c)
      tile_moments<T>(b, tiling, window, a, b_, place.plane, c, place.x0, place.y0, rows);
    b.template for_each2<kTileW>(Tiling<T>::kTileH, [&](int i, int j) SIMT_LAMBDA {
      const int y = place.y0 + i, x = place.x0 + j;
      if (y < tiling.shape.h && x < tiling.shape.w)
        store(ssim, tiling.pixel(place.plane, y, x), sums[i][j] / static_cast<C>(channels));
    });
  }
};

void check(const char* what, const ImageShape& s) {
  if (s.n < 1 || s.c < 1 || s.h <= kRadius || s.w <= kRadius)
    throw Error(ErrorKind::usage, std::string(what) +
                                      ": the 11-tap window needs images of at least 6 x 6, got [" +
                                      std::to_string(s.n) + "," + std::to_string(s.h) + "," +
                                      std::to_string(s.w) + "," + std::to_string(s.c) + "]");
}
}  // namespace

template <class D, class T>
void loss_with_ssim(const LossWeights& weights, Stream& stream, const ImageShape& shape,
                    const T* pred, const T* target, const T* mask, const LossResults<T>& out,
                    int shares) {
  using C = compute_t<T>;
  check("image_loss", shape);
  // The shares' blocks lie one behind the other, each as it would be alone.
  const Tiling<T> tiling(ImageShape{shares * shape.n, shape.h, shape.w, shape.c});
  const std::int64_t planes = shape.n * shape.c, blocks = tiling.blocks(planes),
                     values = planes * shape.h * shape.w;
  const C scale = static_cast<C>(1.0 / static_cast<double>(values));
  const PixelError<C> error{static_cast<C>(weights.mse), static_cast<C>(weights.mae)};
  const Buffer maps(stream.device(), static_cast<std::size_t>(3 * shares * values) * sizeof(C)),
      partials(stream.device(), static_cast<std::size_t>(shares * blocks) * sizeof(C));
  const Window<C> window = gaussian_window<C>();
  const dim3 grid(static_cast<unsigned>(shares * blocks));
  const std::size_t all = static_cast<std::size_t>(shares * values),
                    masks = mask ? all / static_cast<std::size_t>(shape.c) * sizeof(T) : 0,
                    kept = (3 * all + static_cast<std::size_t>(shares * blocks)) * sizeof(C);
  // Per value: two passes of 11 taps, the first over the halo's rows too.
  stream.moves(2 * all * sizeof(T) + masks + kept).computes(330.0 * static_cast<double>(all));
  simt::launch_block(
      stream, grid,
      DssimForward<T>{tiling, window, pred, target, mask, maps.as<C>(), partials.as<C>(), scale,
                      static_cast<C>(weights.dssim), error});
  const LossTotals<C> totals{
      partials.as<C>(), static_cast<int>(blocks), shares, out.each, out.sum, scale};
  stream.moves(3 * all * sizeof(T) + masks + kept).computes(190.0 * static_cast<double>(all));
  simt::launch_block(
      stream, grid,
      DssimBackward<T>{tiling, window, pred, target, mask, maps.as<C>(), totals, out.dpred, error});
}

template <class D, class T>
void ssim_map(Stream& stream, const ImageShape& shape, const T* a, const T* b, T* ssim) {
  check("ssim_map", shape);
  const Tiling<T> tiling(shape);
  stream.moves(shape.n * shape.h * shape.w * (2 * shape.c + 1) * sizeof(T));
  simt::launch_block(stream, dim3(static_cast<unsigned>(tiling.blocks(shape.n))),
                     SsimMap<T>{tiling, gaussian_window<compute_t<T>>(), a, b, ssim});
}

SIMT_INSTANTIATE(loss_with_ssim)
SIMT_INSTANTIATE(ssim_map)
}  // namespace kernels
