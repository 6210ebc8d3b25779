// Similarities against double-precision matrices, and their least-squares fit.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <random>

#include "faceswap/faces/similarity.h"

namespace {

using namespace faceswap;

struct Matrix {
  double m[3][3] = {{1, 0, 0}, {0, 1, 0}, {0, 0, 1}};
};
Matrix matrix(const Similarity& s) { return {{{s.a, -s.b, s.tx}, {s.b, s.a, s.ty}, {0, 0, 1}}}; }
Matrix product(const Matrix& p, const Matrix& q) {
  Matrix r;
  for (int i = 0; i < 3; ++i)
    for (int j = 0; j < 3; ++j)
      r.m[i][j] = p.m[i][0] * q.m[0][j] + p.m[i][1] * q.m[1][j] + p.m[i][2] * q.m[2][j];
  return r;
}
double difference(const Matrix& p, const Matrix& q) {
  double most = 0;
  for (int i = 0; i < 3; ++i)
    for (int j = 0; j < 3; ++j) most = std::max(most, std::abs(p.m[i][j] - q.m[i][j]));
  return most;
}

Similarity random_similarity(std::mt19937& random) {
  std::uniform_real_distribution<double> angle(-3.1, 3.1), log_scale(-1.5, 1.5), shift(-300, 300);
  const double s = std::exp(log_scale(random)), t = angle(random);
  return {s * std::cos(t), s * std::sin(t), shift(random), shift(random)};
}

TEST(Similarity, AlgebraEqualsMatrices) {
  std::mt19937 random(1);
  for (int i = 0; i < 200; ++i) {
    const Similarity s = random_similarity(random), t = random_similarity(random);
    EXPECT_LT(difference(matrix(s.then(t)), product(matrix(t), matrix(s))), 1e-9);
    EXPECT_LT(difference(product(matrix(s.inverse()), matrix(s)), Matrix{}), 1e-9);
    const Point p = s.then(t)({17, -5}), q = t(s({17, -5}));
    EXPECT_NEAR(p.x, q.x, 1e-9);
    EXPECT_NEAR(p.y, q.y, 1e-9);
    EXPECT_NEAR(s.then(t).scale(), s.scale() * t.scale(), 1e-9);
    EXPECT_NEAR(std::remainder(s.then(t).angle() - s.angle() - t.angle(), 2 * M_PI), 0, 1e-9);
    const kernels::Affine affine = s.affine();
    EXPECT_NEAR(affine.a * 3 + affine.b * 4 + affine.c, s({3, 4}).x, 1e-3);
    EXPECT_NEAR(affine.d * 3 + affine.e * 4 + affine.f, s({3, 4}).y, 1e-3);
  }
  EXPECT_THROW((Similarity{0, 0, 1, 2}.inverse()), Error);
}

TEST(Similarity, RotationAboutAPointKeepsIt) {
  const Similarity s = rotation_about({30, 20}, M_PI / 2, 2);
  EXPECT_NEAR(s({30, 20}).x, 30, 1e-12);
  EXPECT_NEAR(s({30, 20}).y, 20, 1e-12);
  EXPECT_NEAR(s({31, 20}).x, 30, 1e-12);
  EXPECT_NEAR(s({31, 20}).y, 22, 1e-12);
}

TEST(FitSimilarity, FindsTheExactOneWithoutNoise) {
  std::mt19937 random(2);
  std::uniform_real_distribution<double> place(-100, 100);
  for (int i = 0; i < 100; ++i) {
    const Similarity truth = random_similarity(random);
    std::vector<Point> from, to;
    for (int k = 0; k < 2 + i % 5; ++k)
      from.push_back({place(random), place(random)}), to.push_back(truth(from.back()));
    EXPECT_LT(difference(matrix(fit_similarity(from, to)), matrix(truth)), 1e-7);
  }
}

TEST(FitSimilarity, NoOtherSimilarityFitsNoisyPointsBetter) {
  std::mt19937 random(3);
  std::normal_distribution<double> noise(0, 4);
  std::vector<Point> from, to;
  const Similarity truth{0.8, 0.3, 5, -7};
  for (int k = 0; k < 12; ++k) {
    from.push_back({25 * noise(random), 25 * noise(random)});
    const Point p = truth(from.back());
    to.push_back({p.x + noise(random), p.y + noise(random)});
  }
  const auto error = [&](const Similarity& s) {
    double sum = 0;
    for (std::size_t k = 0; k < from.size(); ++k)
      sum += std::pow(s(from[k]).x - to[k].x, 2) + std::pow(s(from[k]).y - to[k].y, 2);
    return sum;
  };
  const Similarity best = fit_similarity(from, to);
  for (const double d : {-1e-4, 1e-4}) {
    EXPECT_GT(error({best.a + d, best.b, best.tx, best.ty}), error(best));
    EXPECT_GT(error({best.a, best.b + d, best.tx, best.ty}), error(best));
    EXPECT_GT(error({best.a, best.b, best.tx + 100 * d, best.ty}), error(best));
    EXPECT_GT(error({best.a, best.b, best.tx, best.ty + 100 * d}), error(best));
  }
  EXPECT_THROW(fit_similarity({{1, 2}}, {{1, 2}}), Error);
  EXPECT_THROW(fit_similarity({{1, 2}, {3, 4}}, {{1, 2}}), Error);
}
}  // namespace
