// The poses, mouths and lights that the faces of one person cover, and those that are
// missing. A model draws what it has seen: a pose that it never saw comes out blurred.
#pragma once
#include <array>
#include <string>
#include <vector>

#include "faceswap/faces/face_order.h"
#include "faceswap/faces/selection.h"

namespace faceswap {

class Coverage {
 public:
  static constexpr int kYaws = 7;     // -60, -40, ... 60 degrees, 20 wide, the ends open
  static constexpr int kPitches = 5;  // 30, 15, 0, -15, -30 degrees, 15 wide, the ends open
  static constexpr int kYawStep = 20, kPitchStep = 15;
  static constexpr int kThirds = 3;  // of mouth, brightness and side of the light

  // Degrees, of a column's or row's middle.
  static int yaw_of(int column) { return kYawStep * (column - kYaws / 2); }
  static int pitch_of(int row) { return kPitchStep * (kPitches / 2 - row); }

  // Faces without a mesh (no landmarks) count for the light only. crop: of this face.
  void add(const Face&, const FaceLook&, const Image& crop);

  int faces() const { return faces_; }
  int count(int yaw, int pitch) const { return cells_[index(yaw, pitch)].count; }
  // By third, 0 to 2. Mouth: closed, open, wide open. Brightness: dim, medium, bright.
  // Brighter side: the picture's left, neither, its right.
  int mouth(int third) const { return cells_[index(third, kMouthRow)].count; }
  int brightness(int third) const { return cells_[index(third, kBrightnessRow)].count; }
  int brighter_side(int third) const { return cells_[index(third, kSideRow)].count; }
  int eyes_shut() const { return eyes_shut_; }

  // The chart for a terminal of 80 columns, and below it missing(), one line each.
  std::string text() const;
  // The footage that would help, as sentences: "no face looks to the picture's left
  // beyond 20 degrees". Empty: nothing of note.
  std::vector<std::string> missing() const;
  // The same chart as a picture: a face for each cell that has one and a bar of its
  // share; rows from looking up to looking down, then mouth, brightness and side of the
  // light.
  Image picture() const;

 private:
  struct Cell {
    int count = 0;
    double off = 0;  // of the shown face from the cell's middle
    Image thumb;
  };
  static constexpr int kMouthRow = kPitches, kBrightnessRow = kMouthRow + 1,
                       kSideRow = kBrightnessRow + 1, kRows = kSideRow + 1;
  static std::size_t index(int column, int row) {
    return static_cast<std::size_t>(row * kYaws + column);
  }
  void put(int column, int row, double off, const Image& crop);

  int faces_ = 0, meshed_ = 0, eyes_shut_ = 0;
  std::vector<double> yaws_, pitches_, brightness_;
  std::array<Cell, std::size_t{kYaws} * kRows> cells_;
};

// Of these faces as decided, read with all cores. Error(input), Error(damaged).
Coverage coverage_of(const FaceList&, bool quiet);
}  // namespace faceswap
