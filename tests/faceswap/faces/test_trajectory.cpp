// The path through a shot against a dense solve of the same equations.
#include <gtest/gtest.h>

#include <cmath>
#include <random>

#include "faceswap/faces/trajectory.h"

namespace {

using namespace faceswap;

Similarity motion_about(Point c, double degrees, double scale, double dx, double dy) {
  return rotation_about(c, degrees * M_PI / 180, scale).then({1, 0, dx, dy});
}

// Normal equations written out in full, solved by Gaussian elimination.
std::vector<Point> dense_solve(const std::vector<TrajectoryNode>& nodes,
                               const std::vector<TrajectoryLink>& links) {
  const std::size_t n = 2 * nodes.size();
  std::vector<std::vector<double>> m(n, std::vector<double>(n + 1));
  const auto add_row = [&](const std::vector<std::pair<std::size_t, double>>& row, double value,
                           double weight) {
    for (const auto& [i, ci] : row) {
      for (const auto& [j, cj] : row) m[i][j] += weight * ci * cj;
      m[i][n] += weight * ci * value;
    }
  };
  for (std::size_t i = 0; i < nodes.size(); ++i) {
    add_row({{2 * i, 1}}, nodes[i].measured.x, nodes[i].weight);
    add_row({{2 * i + 1, 1}}, nodes[i].measured.y, nodes[i].weight);
    if (i + 1 == nodes.size()) break;
    const Similarity& s = links[i].motion;
    add_row({{2 * i + 2, 1}, {2 * i, -s.a}, {2 * i + 1, s.b}}, s.tx, links[i].weight);
    add_row({{2 * i + 3, 1}, {2 * i, -s.b}, {2 * i + 1, -s.a}}, s.ty, links[i].weight);
  }
  for (std::size_t k = 0; k < n; ++k)
    for (std::size_t i = k + 1; i < n; ++i) {
      const double f = m[i][k] / m[k][k];
      for (std::size_t j = k; j <= n; ++j) m[i][j] -= f * m[k][j];
    }
  std::vector<double> x(n);
  for (std::size_t k = n; k-- > 0;) {
    x[k] = m[k][n];
    for (std::size_t j = k + 1; j < n; ++j) x[k] -= m[k][j] * x[j];
    x[k] /= m[k][k];
  }
  std::vector<Point> path;
  for (std::size_t i = 0; i < nodes.size(); ++i) path.push_back({x[2 * i], x[2 * i + 1]});
  return path;
}

TEST(Trajectory, EqualsTheDenseSolve) {
  std::mt19937 random(9);
  std::uniform_real_distribution<double> place(0, 300), weight(0.05, 2), angle(-10, 10),
      scale(0.9, 1.1);
  for (int trial = 0; trial < 20; ++trial) {
    std::vector<TrajectoryNode> nodes;
    std::vector<TrajectoryLink> links;
    for (int i = 0; i < 12; ++i) {
      // Some frames without a detection.
      nodes.push_back({{place(random), place(random)}, i % 4 == 2 ? 0 : weight(random)});
      if (i)
        links.push_back(
            {motion_about({150, 150}, angle(random), scale(random), angle(random), angle(random)),
             weight(random)});
    }
    const auto path = solve_trajectory(nodes, links), reference = dense_solve(nodes, links);
    for (std::size_t i = 0; i < path.size(); ++i) {
      EXPECT_NEAR(path[i].x, reference[i].x, 1e-6);
      EXPECT_NEAR(path[i].y, reference[i].y, 1e-6);
    }
  }
  EXPECT_TRUE(solve_trajectory({}, {}).empty());
  EXPECT_THROW(solve_trajectory({{}, {}}, {}), Error);
}

TEST(Trajectory, ExactFlowCarriesTheTruthThroughGapsAndPastOutliers) {
  const Similarity step = motion_about({100, 80}, 2, 1.01, 1.5, -0.5);
  Point truth{60, 70};
  std::vector<Point> truths;
  std::vector<TrajectoryNode> nodes;
  std::vector<TrajectoryLink> links;
  for (int i = 0; i < 30; ++i) {
    truths.push_back(truth);
    const bool lost = i > 10 && i < 18, wild = i == 5 || i == 22;
    nodes.push_back({{truth.x + (wild ? 40 : 0), truth.y}, lost ? 0 : 1.0 / 9});
    if (i) links.push_back({step, 1.0 / (0.2 * 0.2)});
    truth = step(truth);
  }
  const auto plain = solve_trajectory(nodes, links), robust = solve_trajectory(nodes, links, 4);
  double plain_error = 0, robust_error = 0;
  for (std::size_t i = 0; i < nodes.size(); ++i) {
    plain_error += std::hypot(plain[i].x - truths[i].x, plain[i].y - truths[i].y) / 30;
    robust_error += std::hypot(robust[i].x - truths[i].x, robust[i].y - truths[i].y) / 30;
  }
  EXPECT_GT(plain_error, 1.0);
  EXPECT_LT(robust_error, 0.6);
}
}  // namespace
