// A path through time that agrees with what was measured in single frames and with the motion measured between frames.
#pragma once
#include <vector>

#include "faceswap/faces/face.h"

namespace faceswap {

struct TrajectoryNode {
  Point measured;
  double weight = 0;
};  // 1 / sigma^2; 0: nothing was measured here
struct TrajectoryLink {
  Similarity motion;
  double weight = 0;
};  // from node i to node i + 1; 0: no link

// Minimises  sum_i w_i |x_i - m_i|^2 + sum_i v_i |x_{i+1} - A_i(x_i)|^2.  links has one entry less than nodes.
// With robust_rounds > 0 measurements further than 2 sigma from the path lose weight (Huber) and the path is solved again.
std::vector<Point> solve_trajectory(const std::vector<TrajectoryNode>& nodes,
                                    const std::vector<TrajectoryLink>& links,
                                    int robust_rounds = 0);

}  // namespace faceswap
