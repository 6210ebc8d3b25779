// A path through time in best agreement with the places measured in single frames and
// with the motion measured between frames.
#pragma once
#include <vector>

#include "faceswap/faces/similarity.h"

namespace faceswap {

struct TrajectoryNode {
  Point measured;
  double weight = 0;  // 1 / sigma^2; 0: no measurement
};
struct TrajectoryLink {
  Similarity motion;  // from node i to node i + 1
  double weight = 0;  // 1 / sigma^2; 0: no link
};

// Minimises  sum_i w_i |x_i - m_i|^2 + sum_i v_i |x_{i+1} - A_i(x_i)|^2  for
// measurements m and motions A. links has one entry less than nodes. Each of the
// robust_rounds reduces the weight of measurements further than 2 sigma from the path
// (Huber) and solves again.
std::vector<Point> solve_trajectory(const std::vector<TrajectoryNode>& nodes,
                                    const std::vector<TrajectoryLink>& links,
                                    int robust_rounds = 0);
}  // namespace faceswap
