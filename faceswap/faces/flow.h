// Sparse optical flow between two grey patches, and the similarity fitted to it.
#pragma once
#include <optional>
#include <vector>

#include "faceswap/faces/similarity.h"

namespace faceswap {

// Corners inside an ellipse, strongest first, at most `most` of them.
// J. Shi, C. Tomasi, Good features to track, 1994.
struct Ellipse {
  Point center;
  double radius_x = 0, radius_y = 0;
};
std::vector<Point> find_corners(const Image& gray, const Ellipse& where, int most);

// The places in `second` of the points of `first`; nullopt: lost. Pyramidal
// Lucas-Kanade, J.-Y. Bouguet, 2001.
std::vector<std::optional<Point>> follow_points(const Image& first, const Image& second,
                                                const std::vector<Point>& points);

// The similarity with the most points within 1.2 pixels: RANSAC with a fixed seed, then
// least squares over these points. nullopt: fewer than 8 points or 35 % agree.
std::optional<Similarity> robust_similarity(const std::vector<Point>& from,
                                            const std::vector<Point>& to);

// The motion first -> second: all of the above, from points that return within a pixel
// when followed there and back.
std::optional<Similarity> estimate_motion(const Image& first, const Image& second,
                                          const Ellipse& where);
}  // namespace faceswap
