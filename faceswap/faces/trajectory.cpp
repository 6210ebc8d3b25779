// In complex numbers a similarity is x -> alpha x + tau. So the normal equations of the
// path are tridiagonal, Hermitian and positive, with one complex unknown per frame:
// row i is
//     (w_i + v_{i-1} + v_i |alpha_i|^2) x_i
//         - v_{i-1} alpha_{i-1} x_{i-1} - v_i conj(alpha_i) x_{i+1}
//     = w_i m_i + v_{i-1} tau_{i-1} - v_i conj(alpha_i) tau_i
// The Thomas algorithm, one sweep down and one up, solves them in linear time.
#include "faceswap/faces/trajectory.h"

#include <algorithm>
#include <cmath>
#include <complex>

#include <fmt/format.h>

namespace faceswap {
namespace {

using Complex = std::complex<double>;

std::vector<Point> solve_once(const std::vector<TrajectoryNode>& nodes,
                              const std::vector<double>& weights,
                              const std::vector<TrajectoryLink>& links) {
  const std::size_t n = nodes.size();
  double largest = 0;
  for (const double w : weights) largest = std::max(largest, w);
  std::vector<double> diagonal(n);
  std::vector<Complex> upper(n), right(n);
  for (std::size_t i = 0; i < n; ++i) {
    // The small weight keeps the system regular in frames without measurement and link.
    const double w = weights[i] + 1e-12 * (largest > 0 ? largest : 1);
    diagonal[i] += w;
    right[i] += w * Complex(nodes[i].measured.x, nodes[i].measured.y);
    if (i + 1 == n) break;
    const Complex alpha(links[i].motion.a, links[i].motion.b),
        tau(links[i].motion.tx, links[i].motion.ty);
    const double v = links[i].weight;
    diagonal[i] += v * std::norm(alpha);
    right[i] -= v * std::conj(alpha) * tau;
    upper[i] = -v * std::conj(alpha);
    diagonal[i + 1] += v;
    right[i + 1] += v * tau;
  }
  for (std::size_t i = 1; i < n; ++i) {
    const Complex factor = std::conj(upper[i - 1]) / diagonal[i - 1];
    diagonal[i] -= (factor * upper[i - 1]).real();
    right[i] -= factor * right[i - 1];
  }
  std::vector<Point> path(n);
  Complex next;
  for (std::size_t i = n; i-- > 0;) {
    next = (right[i] - upper[i] * next) / diagonal[i];
    path[i] = {next.real(), next.imag()};
  }
  return path;
}
}  // namespace

std::vector<Point> solve_trajectory(const std::vector<TrajectoryNode>& nodes,
                                    const std::vector<TrajectoryLink>& links, int robust_rounds) {
  if (nodes.empty()) return {};
  if (links.size() + 1 != nodes.size())
    throw Error(ErrorKind::failure, fmt::format("solve_trajectory: {} nodes need {} links, got {}",
                                                nodes.size(), nodes.size() - 1, links.size()));
  std::vector<double> weights;
  for (const TrajectoryNode& node : nodes) weights.push_back(node.weight);
  std::vector<Point> path = solve_once(nodes, weights, links);
  for (int round = 0; round < robust_rounds; ++round) {
    for (std::size_t i = 0; i < nodes.size(); ++i) {
      const double sigmas = distance(path[i], nodes[i].measured) * std::sqrt(nodes[i].weight);
      weights[i] = nodes[i].weight * (sigmas > 2 ? 2 / sigmas : 1);
    }
    path = solve_once(nodes, weights, links);
  }
  return path;
}
}  // namespace faceswap
