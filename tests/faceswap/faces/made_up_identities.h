// Identities of people who do not exist.
#pragma once
#include <cmath>
#include <random>
#include <vector>

#include "faceswap/faces/people.h"

inline constexpr int kIdentityNumbers = faceswap::IdentityNetwork::kNumbers;

// Strangers are 0.8 apart on average, one person's identities scatter by 0.25 round its own:
// as measured on real clips.
inline std::vector<float> centre_of(int person) {
  std::mt19937 random(static_cast<unsigned>(person) + 1);
  std::normal_distribution<float> normal(0, 0.8f / std::sqrt(2.f * kIdentityNumbers));
  std::vector<float> numbers(kIdentityNumbers);
  for (float& number : numbers) number = normal(random);
  return numbers;
}

inline faceswap::Identities samples_of(int person, int count, unsigned seed,
                                       float scatter = 0.25f) {
  std::mt19937 random(seed + 1000);
  std::normal_distribution<float> normal;
  const float deviation = scatter / std::sqrt(static_cast<float>(kIdentityNumbers));
  faceswap::Identities samples(static_cast<std::size_t>(count), centre_of(person));
  for (std::vector<float>& sample : samples)
    for (float& number : sample) number += deviation * normal(random);
  return samples;
}
