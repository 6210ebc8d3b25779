#include "faceswap/faces/sheet.h"

#include <algorithm>
#include <cstring>
#include <string>

#include <fmt/format.h>

namespace faceswap {
namespace {

constexpr int kThumb = 72, kGap = 4, kLabel = 84, kColumns = 14, kMostRows = 150;
constexpr std::uint8_t kPaper = 32, kInk = 220;

// 3 x 5 dots per character, one row per octal digit.
constexpr int kDotsWide = 3, kDotsHigh = 5;
struct Glyph {
  char character;
  int rows[kDotsHigh];
};
constexpr Glyph kGlyphs[] = {
    {'0', {7, 5, 5, 5, 7}}, {'1', {2, 6, 2, 2, 7}}, {'2', {7, 1, 7, 4, 7}}, {'3', {7, 1, 3, 1, 7}},
    {'4', {5, 5, 7, 1, 1}}, {'5', {7, 4, 7, 1, 7}}, {'6', {7, 4, 7, 5, 7}}, {'7', {7, 1, 1, 2, 2}},
    {'8', {7, 5, 7, 5, 7}}, {'9', {7, 5, 7, 1, 7}}, {'#', {5, 7, 5, 7, 5}}, {'x', {0, 5, 2, 5, 0}}};

void write_text(Image& picture, int x, int y, int dot, const std::string& text) {
  for (const char character : text) {
    for (const Glyph& glyph : kGlyphs) {
      if (glyph.character != character) continue;
      for (int j = 0; j < kDotsHigh * dot && y + j < picture.height; ++j)
        for (int i = 0; i < kDotsWide * dot && x + i < picture.width; ++i)
          if (glyph.rows[j / dot] >> (kDotsWide - 1 - i / dot) & 1)
            std::memset(picture.at(x + i, y + j), kInk, 3);
    }
    x += (kDotsWide + 1) * dot;
  }
}

Image thumbnail(const Image& crop) {
  Image thumb(kThumb, kThumb);
  for (int y = 0; y < kThumb; ++y)
    for (int x = 0; x < kThumb; ++x) {
      const int x0 = x * crop.width / kThumb, x1 = std::max(x0 + 1, (x + 1) * crop.width / kThumb);
      const int y0 = y * crop.height / kThumb,
                y1 = std::max(y0 + 1, (y + 1) * crop.height / kThumb);
      for (int c = 0; c < 3; ++c) {
        int sum = 0;
        for (int j = y0; j < y1; ++j)
          for (int i = x0; i < x1; ++i) sum += crop.at(i, j)[c];
        thumb.at(x, y)[c] = static_cast<std::uint8_t>(sum / ((x1 - x0) * (y1 - y0)));
      }
    }
  return thumb;
}
}  // namespace

void ContactSheet::add(int track, const Image& crop) {
  Row& row = rows_[track];
  if (row.count++ % row.step != 0) return;
  row.thumbs.push_back(thumbnail(crop));
  if (row.thumbs.size() < 4 * kColumns) return;
  // From here on every second one is kept, to bound the memory.
  std::vector<Image> half;
  for (std::size_t i = 0; i < row.thumbs.size(); i += 2) half.push_back(std::move(row.thumbs[i]));
  row.thumbs = std::move(half);
  row.step *= 2;
}

Image ContactSheet::picture() const {
  std::vector<int> tracks;
  for (const auto& [track, row] : rows_) tracks.push_back(track);
  if (tracks.size() > kMostRows) {
    std::stable_sort(tracks.begin(), tracks.end(),
                     [this](int a, int b) { return rows_.at(a).count > rows_.at(b).count; });
    tracks.resize(kMostRows);
    std::sort(tracks.begin(), tracks.end());
  }
  Image picture(kLabel + kColumns * (kThumb + kGap) + kGap,
                static_cast<int>(tracks.size()) * (kThumb + kGap) + kGap);
  std::fill(picture.pixels.begin(), picture.pixels.end(), kPaper);
  int top = kGap;
  for (const int track : tracks) {
    const Row& row = rows_.at(track);
    write_text(picture, 2 * kGap, top + 8, 5, fmt::format("#{}", track));
    write_text(picture, 2 * kGap, top + 46, 3, fmt::format("x{}", row.count));
    const int n = static_cast<int>(row.thumbs.size()), shown = std::min(n, kColumns);
    for (int column = 0; column < shown; ++column) {
      const Image& thumb =
          row.thumbs[static_cast<std::size_t>(shown > 1 ? column * (n - 1) / (shown - 1) : 0)];
      for (int y = 0; y < kThumb; ++y)
        std::memcpy(picture.at(kLabel + column * (kThumb + kGap), top + y), thumb.at(0, y),
                    3 * kThumb);
    }
    top += kThumb + kGap;
  }
  return picture;
}
}  // namespace faceswap
