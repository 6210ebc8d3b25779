#include "faceswap/faces/sheet.h"

#include <algorithm>
#include <cstring>
#include <map>
#include <system_error>
#include <utility>

#include <fmt/format.h>

#include "faceswap/media/png.h"
#include "faceswap/parallel.h"

namespace faceswap {
namespace {

constexpr int kThumb = 96, kGap = 4, kCell = kThumb + kGap;
constexpr int kColumns = 14, kRows = 20;  // of cells on a page; a label takes a cell
constexpr std::uint8_t kPaper = 32, kInk = 220, kUnreadable = 96, kLabel = 56;

// 3 x 5 dots per character, one row per octal digit.
constexpr int kDotsWide = 3, kDotsHigh = 5;
constexpr int kLineHeight = 18;
constexpr std::size_t kLineLength = 11, kMostLines = 5;
struct Glyph {
  char character;
  int rows[kDotsHigh];
};
constexpr Glyph kGlyphs[] = {
    {'0', {7, 5, 5, 5, 7}}, {'1', {2, 6, 2, 2, 7}}, {'2', {7, 1, 7, 4, 7}}, {'3', {7, 1, 3, 1, 7}},
    {'4', {5, 5, 7, 1, 1}}, {'5', {7, 4, 7, 1, 7}}, {'6', {7, 4, 7, 5, 7}}, {'7', {7, 1, 1, 2, 2}},
    {'8', {7, 5, 7, 5, 7}}, {'9', {7, 5, 7, 1, 7}}, {'#', {5, 7, 5, 7, 5}}, {'%', {5, 1, 2, 4, 5}},
    {'-', {0, 0, 7, 0, 0}}, {'.', {0, 0, 0, 0, 2}}, {':', {0, 2, 0, 2, 0}}, {'A', {2, 5, 7, 5, 5}},
    {'B', {6, 5, 6, 5, 6}}, {'C', {3, 4, 4, 4, 3}}, {'D', {6, 5, 5, 5, 6}}, {'E', {7, 4, 6, 4, 7}},
    {'F', {7, 4, 6, 4, 4}}, {'G', {3, 4, 5, 5, 3}}, {'H', {5, 5, 7, 5, 5}}, {'I', {7, 2, 2, 2, 7}},
    {'J', {1, 1, 1, 5, 2}}, {'K', {5, 5, 6, 5, 5}}, {'L', {4, 4, 4, 4, 7}}, {'M', {5, 7, 7, 5, 5}},
    {'N', {6, 5, 5, 5, 5}}, {'O', {2, 5, 5, 5, 2}}, {'P', {6, 5, 6, 4, 4}}, {'Q', {2, 5, 5, 7, 3}},
    {'R', {6, 5, 6, 5, 5}}, {'S', {3, 4, 2, 1, 6}}, {'T', {7, 2, 2, 2, 2}}, {'U', {5, 5, 5, 5, 7}},
    {'V', {5, 5, 5, 5, 2}}, {'W', {5, 5, 7, 7, 5}}, {'X', {5, 5, 2, 5, 5}}, {'Y', {5, 5, 2, 2, 2}},
    {'Z', {7, 1, 2, 4, 7}}};

// Characters without a glyph leave a gap. Short lines are large.
void write_line(Image& page, int x, int y, const std::string& text) {
  const int dot = text.size() <= 8 ? 3 : 2;  // 8 x 4 x 3 pixels fill a cell
  for (const char given : text) {
    const char character = given >= 'a' && given <= 'z' ? static_cast<char>(given - 32) : given;
    for (const Glyph& glyph : kGlyphs) {
      if (glyph.character != character) continue;
      for (int j = 0; j < kDotsHigh * dot; ++j)
        for (int i = 0; i < kDotsWide * dot; ++i)
          if (glyph.rows[j / dot] >> (kDotsWide - 1 - i / dot) & 1)
            std::memset(page.at(x + i, y + j), kInk, 3);
    }
    x += (kDotsWide + 1) * dot;
  }
}

void paste_thumbnail(const Image& crop, Image& page, int left, int top) {
  for (int y = 0; y < kThumb; ++y)
    for (int x = 0; x < kThumb; ++x) {
      const int x0 = x * crop.width / kThumb, x1 = std::max(x0 + 1, (x + 1) * crop.width / kThumb);
      const int y0 = y * crop.height / kThumb,
                y1 = std::max(y0 + 1, (y + 1) * crop.height / kThumb);
      for (int c = 0; c < 3; ++c) {
        int sum = 0;
        for (int j = y0; j < y1; ++j)
          for (int i = x0; i < x1; ++i) sum += crop.at(i, j)[c];
        page.at(left + x, top + y)[c] = static_cast<std::uint8_t>(sum / ((x1 - x0) * (y1 - y0)));
      }
    }
}

void fill_cell(Image& page, int left, int top, std::uint8_t value) {
  for (int y = 0; y < kThumb; ++y) std::memset(page.at(left, top + y), value, 3 * kThumb);
}

void paste_face(const FolderFace& face, Image& page, int left, int top) {
  try {
    paste_thumbnail(read_crop(face), page, left, top);
  } catch (const Error&) { fill_cell(page, left, top, kUnreadable); }
}

void paste_label(const std::vector<std::string>& lines, Image& page, int left, int top) {
  fill_cell(page, left, top, kLabel);
  for (std::size_t i = 0; i < std::min(lines.size(), kMostLines); ++i)
    write_line(page, left + 2, top + 3 + static_cast<int>(i) * kLineHeight,
               lines[i].substr(0, kLineLength));
}

struct Cell {
  int index = 0;                     // row by row over all pages
  const FolderFace* face = nullptr;  // or
  const std::vector<std::string>* label = nullptr;
};

std::vector<Cell> lay_out(const std::vector<SheetGroup>& groups) {
  std::vector<Cell> cells;
  int next = 0;
  for (const SheetGroup& group : groups) {
    // A label never ends a row.
    if ((group.new_row && next % kColumns != 0) || next % kColumns == kColumns - 1)
      next += kColumns - next % kColumns;
    cells.push_back({next++, nullptr, &group.label});
    for (const FolderFace* face : group.faces) cells.push_back({next++, face, nullptr});
  }
  return cells;
}

std::filesystem::path page_path(const std::filesystem::path& first, int page) {
  if (page == 0) return first;
  return first.parent_path() / fmt::format("{}-{}.png", first.stem().string(), page + 1);
}

// A text in words on lines; what is too long is cut.
std::vector<std::string> wrapped(const std::string& text) {
  std::vector<std::string> lines(1);
  for (std::size_t begin = 0; begin < text.size();) {
    const std::size_t end = std::min(text.find(' ', begin), text.size());
    const std::string word = text.substr(begin, std::min(end - begin, kLineLength));
    if (!lines.back().empty() && lines.back().size() + 1 + word.size() > kLineLength)
      lines.emplace_back();
    lines.back() += (lines.back().empty() ? "" : " ") + word;
    begin = end + 1;
  }
  if (lines.size() > kMostLines - 1) lines.resize(kMostLines - 1);
  return lines;
}

// Reasons hold figures of one face behind their first comma or digit: "too small: 17
// pixels". The words before are the same for all.
std::string short_form(const std::string& reason) {
  std::string text = reason.substr(0, reason.find_first_of(",:;(0123456789"));
  while (!text.empty() && text.back() == ' ') text.pop_back();
  return text.empty() ? reason : text;
}
}  // namespace

std::vector<SheetGroup> sheet_groups(const FaceFolder& folder) {
  std::map<std::pair<int, int>, SheetGroup> tracks;  // of (person, track)
  std::map<std::string, SheetGroup> dropped;         // by reason
  for (const FolderFace& face : folder.faces())
    if (face.dropped) dropped[short_form(face.reason)].faces.push_back(&face);
    else tracks[{face.face.person, face.face.track}].faces.push_back(&face);

  std::map<int, std::string> names;
  for (const FolderPerson& person : folder.people()) names[person.number] = person.name;
  std::vector<SheetGroup> groups;
  int person = -2;
  for (auto& [key, group] : tracks) {
    if (key.first >= 0) group.label.push_back(fmt::format("person {}", key.first));
    if (!names[key.first].empty()) group.label.push_back(names[key.first]);
    group.label.push_back(fmt::format("track {}", key.second));
    group.label.push_back(fmt::format("x{}", group.faces.size()));
    group.new_row = std::exchange(person, key.first) != key.first;
    groups.push_back(std::move(group));
  }
  bool first = true;
  for (auto& [reason, group] : dropped) {
    group.label = wrapped(reason);
    group.label.push_back(fmt::format("x{}", group.faces.size()));
    group.new_row = std::exchange(first, false);
    groups.push_back(std::move(group));
  }
  return groups;
}

std::vector<std::filesystem::path> write_pages(const std::vector<SheetGroup>& groups,
                                               const std::filesystem::path& first, bool force) {
  constexpr int kCells = kColumns * kRows;
  const std::vector<Cell> cells = lay_out(groups);
  std::vector<std::filesystem::path> pages;
  for (std::size_t begin = 0, end; begin < cells.size(); begin = end) {
    const int page_number = cells[begin].index / kCells;
    end = begin;
    while (end < cells.size() && cells[end].index / kCells == page_number) ++end;
    const int rows = (cells[end - 1].index % kCells) / kColumns + 1;
    Image page(kColumns * kCell + kGap, rows * kCell + kGap);
    std::fill(page.pixels.begin(), page.pixels.end(), kPaper);
    parallel_for(static_cast<int>(end - begin), [&](int i) {
      const Cell& cell = cells[begin + static_cast<std::size_t>(i)];
      const int left = kGap + cell.index % kColumns * kCell,
                top = kGap + cell.index % kCells / kColumns * kCell;
      if (cell.face) return paste_face(*cell.face, page, left, top);
      paste_label(*cell.label, page, left, top);
    });
    pages.push_back(page_path(first, page_number));
    write_png(pages.back(), page, {}, force);
  }
  return pages;
}

std::vector<std::filesystem::path> write_sheet(const FaceFolder& folder) {
  const std::filesystem::path first = folder.path() / "sheet.png";
  const std::vector<std::filesystem::path> pages = write_pages(sheet_groups(folder), first, true);
  std::error_code ignored;
  auto left_over = static_cast<int>(pages.size());  // of an earlier, longer one
  while (std::filesystem::remove(page_path(first, left_over), ignored)) ++left_over;
  return pages;
}
}  // namespace faceswap
