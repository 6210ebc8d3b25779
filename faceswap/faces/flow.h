// Sparse optical flow between two grey patches, and the similarity that explains most of it.
#pragma once
#include <optional>
#include <vector>

#include "faceswap/faces/face.h"

namespace faceswap {

// Corners worth following (J. Shi, C. Tomasi, Good features to track, 1994) inside an ellipse, strongest first.
struct Ellipse {
  Point center;
  double radius_x = 0, radius_y = 0;
};
std::vector<Point> find_corners(const Image& gray, const Ellipse& where, int most);

// Where each point of `first` lies in `second` (pyramidal Lucas-Kanade; J.-Y. Bouguet, 2001). nullopt: lost.
std::vector<std::optional<Point>> follow_points(const Image& first, const Image& second,
                                                const std::vector<Point>& points);

// The similarity with the most points within 1.2 pixels (RANSAC, fixed seed, then least squares over those points).
// nullopt: fewer than 8 points, or fewer than 35 % agree.
std::optional<Similarity> robust_similarity(const std::vector<Point>& from,
                                            const std::vector<Point>& to);

// All of the above, with a check that following a point there and back returns to it: the motion first -> second.
std::optional<Similarity> estimate_motion(const Image& first, const Image& second,
                                          const Ellipse& where);

}  // namespace faceswap
