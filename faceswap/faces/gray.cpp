#include "faceswap/faces/gray.h"

#include <algorithm>
#include <cmath>

namespace faceswap {

Image to_gray(const Image& rgb) {
  Image gray(rgb.width, rgb.height, 1);
  const std::size_t count = gray.pixels.size();
  if (rgb.channels == 1) {
    gray.pixels = rgb.pixels;
  } else {
    const std::size_t step = static_cast<std::size_t>(rgb.channels);
    const std::uint8_t* p = rgb.pixels.data();
    for (std::size_t i = 0; i < count; ++i, p += step)
      gray.pixels[i] = static_cast<std::uint8_t>((77 * p[0] + 150 * p[1] + 29 * p[2] + 128) >> 8);
  }
  return gray;
}

Image shrink_gray(const Image& gray, int factor) {
  if (factor <= 1) return gray;
  Image out(std::max(1, gray.width / factor), std::max(1, gray.height / factor), 1);
  const int bw = std::min(factor, gray.width), bh = std::min(factor, gray.height), area = bw * bh;
  for (int y = 0; y < out.height; ++y)
    for (int x = 0; x < out.width; ++x) {
      int sum = area / 2;
      for (int j = 0; j < bh; ++j) {
        const std::uint8_t* row = gray.at(x * factor, y * factor + j);
        for (int i = 0; i < bw; ++i) sum += row[i];
      }
      *out.at(x, y) = static_cast<std::uint8_t>(sum / area);
    }
  return out;
}

Image shrink_to(const Image& gray, int width, int height) {
  Image out(width, height, 1);
  const auto edge = [](int i, int n, int size) {
    return static_cast<int>(static_cast<std::int64_t>(i) * size / n);
  };
  for (int y = 0; y < height; ++y) {
    const int y0 = edge(y, height, gray.height),
              y1 = std::max(y0 + 1, edge(y + 1, height, gray.height));
    for (int x = 0; x < width; ++x) {
      const int x0 = edge(x, width, gray.width),
                x1 = std::max(x0 + 1, edge(x + 1, width, gray.width));
      std::int64_t sum = 0;
      for (int j = y0; j < y1; ++j) {
        const std::uint8_t* row = gray.at(0, j);
        for (int i = x0; i < x1; ++i) sum += row[i];
      }
      const std::int64_t area = static_cast<std::int64_t>(y1 - y0) * (x1 - x0);
      *out.at(x, y) = static_cast<std::uint8_t>((sum + area / 2) / area);
    }
  }
  return out;
}

Image gray_patch(const Image& gray, const Similarity& to_patch, int width, int height) {
  const Similarity to_source = to_patch.inverse();
  const int k = std::clamp(static_cast<int>(std::lround(to_source.scale())), 1, 8);
  const float step_x = static_cast<float>(to_source.a / k),
              step_y = static_cast<float>(to_source.b / k);
  const float last_x = static_cast<float>(gray.width - 1),
              last_y = static_cast<float>(gray.height - 1);
  const float share = 1.0f / static_cast<float>(k * k);
  Image patch(width, height, 1);
  const std::uint8_t* pixels = gray.pixels.data();
  for (int y = 0; y < height; ++y)
    for (int x = 0; x < width; ++x) {
      // The first of k positions, spread evenly over the pixel's side.
      const double first = 0.5 * (1.0 / k - 1.0);
      const Point start = to_source({x + first, y + first});
      float sum = 0;
      for (int j = 0; j < k; ++j)
        for (int i = 0; i < k; ++i) {
          const float sx = std::clamp(static_cast<float>(start.x) + static_cast<float>(i) * step_x -
                                          static_cast<float>(j) * step_y,
                                      0.0f, last_x);
          const float sy = std::clamp(static_cast<float>(start.y) + static_cast<float>(i) * step_y +
                                          static_cast<float>(j) * step_x,
                                      0.0f, last_y);
          const int ix = static_cast<int>(sx), iy = static_cast<int>(sy);
          const float fx = sx - static_cast<float>(ix), fy = sy - static_cast<float>(iy);
          const int right = ix + 1 < gray.width ? 1 : 0;
          const std::uint8_t* upper = pixels + static_cast<std::size_t>(iy) * gray.width + ix;
          const std::uint8_t* lower = iy + 1 < gray.height ? upper + gray.width : upper;
          const float a = upper[0] + fx * static_cast<float>(upper[right] - upper[0]),
                      b = lower[0] + fx * static_cast<float>(lower[right] - lower[0]);
          sum += a + fy * (b - a);
        }
      *patch.at(x, y) = static_cast<std::uint8_t>(sum * share + 0.5f);
    }
  return patch;
}

double laplacian_variance(const Image& gray) {
  double sum = 0, sum2 = 0;
  const int stride = gray.width;
  for (int y = 1; y + 1 < gray.height; ++y)
    for (int x = 1; x + 1 < gray.width; ++x) {
      const std::uint8_t* p = gray.at(x, y);
      const double v = p[-1] + p[1] + p[-stride] + p[stride] - 4 * p[0];
      sum += v;
      sum2 += v * v;
    }
  const double n = std::max(1.0, static_cast<double>(gray.width - 2) * (gray.height - 2));
  return std::max(0.0, sum2 / n - (sum / n) * (sum / n));
}
}  // namespace faceswap
