// 468 points on a face, by MediaPipe's FaceMesh (network face_landmark.safetensors).
#pragma once
#include <array>
#include <optional>
#include <span>

#include "faceswap/faces/detector.h"
#include "faceswap/faces/layer_list.h"
#include "faceswap/faces/rigid_fit.h"

namespace faceswap {

// Points are numbered as in MediaPipe's canonical face model; "left" and "right" below
// are the picture's.
struct Mesh {
  static constexpr int kPoints = 468;
  std::array<Point, kPoints> points;  // in the picture; pixel centres at whole coordinates
  std::array<double, kPoints> depth;  // towards the camera is negative; pixels, roughly
  double presence = 0;                // is this a face? 0 to 1

  Point3 point(int i) const { return {points[i].x, points[i].y, depth[i]}; }
  Point left_eye() const;  // the mean of 16 points round the eye
  Point right_eye() const;
  Point mouth() const;       // the middle between its corners
  double roll() const;       // radians, by the outer corners of the eyes
  Detection square() const;  // round the points, upright by the eyes
};

// Of the image-left (0) and image-right eye, by its corners and three pairs of points on
// the lids. landmarks: 468. With the lids of EyeFinder shut eyes have 0.11 to 0.21, open
// ones 0.25 to 0.43.
double eye_width(std::span<const Point> landmarks, int eye);
double eye_opening(std::span<const Point> landmarks, int eye);  // height over width

class MeshFinder {
 public:
  // Throws Error(input) if the file is not this network.
  explicit MeshFinder(const std::filesystem::path& file, nn::Device device = nn::Device::host);

  // The mesh of the face in a detector's square, upright by the eyes if it has them. The
  // network looks again, two to four times in all, until the square round its points holds
  // still: a square from 2/3 to 3/2 of the face's size, a third of it aside or turned by 40
  // degrees changes the eyes by 3 % of their distance at most (on three clips). None where
  // there is no face. rgb has square pixels.
  std::optional<Mesh> find(const Image& rgb, const Detection& face) const;

 private:
  Mesh look(const Image& rgb, const Detection& region) const;
  LayerList network_;
};
}  // namespace faceswap
