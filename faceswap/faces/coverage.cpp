#include "faceswap/faces/coverage.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include <fmt/format.h>

#include "faceswap/faces/mesh.h"
#include "faceswap/parallel.h"
#include "faceswap/progress.h"

namespace faceswap {
namespace {

// Bounds between the thirds.
constexpr double kMouth[2] = {0.15, 0.35};      // closed, open, wide open
constexpr double kBrightness[2] = {0.25, 0.5};  // dim, medium, bright
constexpr double kSide[2] = {-0.08, 0.08};      // lit from the left, evenly, from the right

// A kind of face is covered by this share of all, and by this many.
constexpr double kLeastShare = 0.01;
constexpr int kLeastFaces = 3;

constexpr int kThumb = 64, kGap = 4, kBar = 6;
constexpr std::uint8_t kPaper[3] = {32, 32, 32}, kEmpty[3] = {72, 40, 40}, kInk[3] = {220, 190, 90};

int third(double value, const double (&bounds)[2]) {
  return value < bounds[0] ? 0 : value < bounds[1] ? 1 : 2;
}

void fill(Image& picture, int x, int y, int width, int height, const std::uint8_t (&color)[3]) {
  for (int j = y; j < y + height; ++j)
    for (int i = x; i < x + width; ++i) std::memcpy(picture.at(i, j), color, 3);
}
}  // namespace

void Coverage::put(int column, int row, double off, const Image& crop) {
  Cell& cell = cells_[index(column, row)];
  if (cell.count++ == 0 || off < cell.off) {
    cell.off = off;
    cell.thumb = crop_face(crop, pixel_scaling(kCanonicalSize / crop.width), kThumb);
  }
}

void Coverage::add(const Face& face, const FaceLook& look, const Image& crop) {
  const FaceMeasures& m = face.measures;
  ++faces_;
  brightness_.push_back(m.brightness);
  put(third(m.brightness, kBrightness), kBrightnessRow, 0, crop);
  put(third(look.side_light, kSide), kSideRow, 0, crop);
  if (face.landmarks.size() != Mesh::kPoints) return;
  ++meshed_;
  yaws_.push_back(m.yaw);
  pitches_.push_back(m.pitch);
  if (std::ranges::count(face.marks, FaceMark::eyes_shut) > 0) ++eyes_shut_;
  const auto cell_of = [](double degrees, double step, int cells) {
    return std::clamp(static_cast<int>(std::lround(degrees / step)) + cells / 2, 0, cells - 1);
  };
  const int column = cell_of(m.yaw, kYawStep, kYaws), row = cell_of(-m.pitch, kPitchStep, kPitches);
  put(column, row, std::hypot(m.yaw - yaw_of(column), m.pitch - pitch_of(row)), crop);
  put(third(m.mouth_open, kMouth), kMouthRow, 0, crop);
}

std::vector<std::string> Coverage::missing() const {
  std::vector<std::string> lines;
  // "no face looks up", "only 2 of 90 faces look up". True if it said so.
  const auto say = [&](int found, const char* one, const char* many, const std::string& rest) {
    if (found >= kLeastFaces && found >= kLeastShare * faces_) return false;
    lines.push_back(found == 0 ? fmt::format("no face {} {}", one, rest)
                               : fmt::format("only {} of {} faces {} {}", found, faces_,
                                             found == 1 ? one : many, rest));
    return true;
  };
  if (faces_ == 0) return {"there is no face"};
  if (meshed_ < faces_)
    lines.push_back(
        fmt::format("{} of {} faces have no landmarks, so their pose and mouth are not "
                    "known; run tools/install_deps.sh faces and extract them again",
                    faces_ - meshed_, faces_));
  if (meshed_ > 0) {
    const auto beyond = [](const std::vector<double>& angles, double limit, int sign) {
      return static_cast<int>(
          std::ranges::count_if(angles, [&](double a) { return sign * a > limit; }));
    };
    for (const auto& [sign, side] : {std::pair{-1, "left"}, {1, "right"}})
      for (const double limit : {5., 20., 40.})
        if (say(beyond(yaws_, limit, sign), "looks", "look",
                fmt::format("to the picture's {} beyond {} degrees", side, limit)))
          break;
    for (const auto& [sign, side] : {std::pair{1, "up"}, {-1, "down"}})
      for (const double limit : {5., 15.})
        if (say(beyond(pitches_, limit, sign), "looks", "look",
                fmt::format("{} beyond {} degrees", side, limit)))
          break;
    say(mouth(0), "has", "have", "the mouth closed");
    if (!say(mouth(1) + mouth(2), "has", "have", "the mouth open"))
      say(mouth(2), "has", "have", "the mouth wide open");
    say(eyes_shut_, "has", "have", "the eyes shut");
  }
  std::vector<double> sorted = brightness_;
  std::ranges::sort(sorted);
  const double low = sorted[sorted.size() / 20],
               high = sorted[sorted.size() - 1 - sorted.size() / 20];
  if (high - low < 0.1)
    lines.push_back(
        fmt::format("the light hardly changes: brightness {:.2f} to {:.2f}", low, high));
  return lines;
}

std::string Coverage::text() const {
  std::string out =
      fmt::format("{} faces by direction, in degrees, as seen in the picture\n", faces_);
  out += fmt::format("{:>14}", "");
  for (int i = 0; i < kYaws; ++i) {
    const int middle = yaw_of(i);
    out += fmt::format("{:>9}", middle == 0 ? "ahead"
                                            : fmt::format("{} {}", middle < 0 ? "left" : "right",
                                                          std::abs(middle)));
  }
  out += '\n';
  for (int j = 0; j < kPitches; ++j) {
    const int middle = pitch_of(j);
    out += fmt::format(
        "{:>14}",
        middle == 0 ? "level" : fmt::format("{} {}", middle > 0 ? "up" : "down", std::abs(middle)));
    for (int i = 0; i < kYaws; ++i) {
      const int n = count(i, j);
      out += n == 0 ? fmt::format("{:>9}", ".") : fmt::format("{:>9}", n);
    }
    out += '\n';
  }
  const auto row = [&](const char* title, int at, const char* a, const char* b, const char* c) {
    const auto n = [&](int i) { return cells_[index(i, at)].count; };
    out += fmt::format("{:>14}  {} {}, {} {}, {} {}\n", title, a, n(0), b, n(1), c, n(2));
  };
  row("mouth", kMouthRow, "closed", "open", "wide open");
  out += fmt::format("{:>14}  shut {}\n", "eyes", eyes_shut_);
  row("brightness", kBrightnessRow, "dim", "medium", "bright");
  row("brighter side", kSideRow, "left", "neither", "right");
  for (const std::string& line : missing()) out += "missing: " + line + '\n';
  return out;
}

Image Coverage::picture() const {
  constexpr int kStep = kThumb + kBar + 2 * kGap;
  Image picture(kYaws * (kThumb + kGap) + kGap, kRows * kStep + 3 * kGap);
  fill(picture, 0, 0, picture.width, picture.height, kPaper);
  for (int row = 0; row < kRows; ++row) {
    const int columns = row < kPitches ? kYaws : kThirds;
    const int top = kGap + row * kStep + (row < kPitches ? 0 : 2 * kGap);
    for (int column = 0; column < columns; ++column) {
      const Cell& cell = cells_[index(column, row)];
      const int left = kGap + column * (kThumb + kGap);
      if (cell.count == 0) {
        fill(picture, left, top, kThumb, kThumb, kEmpty);
        continue;
      }
      for (int y = 0; y < kThumb; ++y)
        std::memcpy(picture.at(left, top + y), cell.thumb.at(0, y), 3 * kThumb);
      const int length =
          static_cast<int>(std::ceil(static_cast<double>(kThumb) * cell.count / faces_));
      fill(picture, left, top + kThumb + 2, length, kBar, kInk);
    }
  }
  return picture;
}

Coverage coverage_of(const FaceList& faces, bool quiet) {
  constexpr int kAtOnce = 64;  // pictures in memory
  struct Seen {
    FaceFile file;
    FaceLook look;
  };
  Coverage coverage;
  const auto count = static_cast<int>(faces.size());
  Progress progress("reading faces", count, quiet);
  for (int begin = 0; begin < count; begin += kAtOnce) {
    std::vector<Seen> seen(static_cast<std::size_t>(std::min(kAtOnce, count - begin)));
    parallel_for(static_cast<int>(seen.size()), [&](int i) {
      Seen& s = seen[static_cast<std::size_t>(i)];
      s.file = read_decided(*faces[static_cast<std::size_t>(begin + i)]);
      s.look = look_of(s.file.face, s.file.crop);
    });
    for (const Seen& s : seen) coverage.add(s.file.face, s.look, s.file.crop);
    progress.update(begin + static_cast<int>(seen.size()));
  }
  progress.finish();
  return coverage;
}
}  // namespace faceswap
