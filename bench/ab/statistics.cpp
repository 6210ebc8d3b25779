#include "bench/ab/statistics.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <numeric>
#include <random>
#include <span>

namespace bench {

double quantile(std::vector<double> values, double q) {
  if (values.empty()) return std::numeric_limits<double>::quiet_NaN();
  std::sort(values.begin(), values.end());
  const double at = q * static_cast<double>(values.size() - 1);
  const auto low = static_cast<std::size_t>(at);
  const std::size_t high = std::min(low + 1, values.size() - 1);
  return values[low] + (at - static_cast<double>(low)) * (values[high] - values[low]);
}

const char* name(Verdict verdict) {
  switch (verdict) {
    case Verdict::equal: return "equal";
    case Verdict::slower: return "slower";
    case Verdict::faster: return "faster";
    default: return "undecided";
  }
}

namespace {

struct Pair {
  std::string group;
  std::vector<double> x, y;
  double effect = 0;
};  // logarithms, old and new

double shortest(std::span<const double> values) {
  return *std::min_element(values.begin(), values.end());
}

// Effects that are chance: the rounds of both runs dealt out anew, `dealings` times.
std::vector<double> chance_effects(const Pair& pair, int dealings, std::mt19937_64& random) {
  std::vector<double> all(pair.x), effects;
  all.insert(all.end(), pair.y.begin(), pair.y.end());
  const std::span<double> old_part(all.data(), pair.x.size()),
      new_part(all.data() + pair.x.size(), pair.y.size());
  for (int i = 0; i < dealings; ++i) {
    for (std::size_t last = all.size() - 1; last > 0; --last)
      std::swap(all[last], all[random() % (last + 1)]);  // Fisher and Yates
    effects.push_back(shortest(new_part) - shortest(old_part));
  }
  return effects;
}

double root_mean_square(const std::vector<double>& values) {
  return std::sqrt(std::inner_product(values.begin(), values.end(), values.begin(), 0.0) /
                   static_cast<double>(values.size()));
}

}  // namespace

Comparison compare_runs(const std::vector<Series>& before, const std::vector<Series>& after,
                        const CompareOptions& options) {
  Comparison result;
  std::map<std::string, const Series*> old_rows;
  for (const Series& s : before) old_rows[s.name] = &s;

  std::vector<Pair> pairs;
  std::map<std::string, std::vector<double>> shifts;
  const auto logs = [](std::vector<double> values) {
    for (double& v : values) v = std::log(v);
    return values;
  };
  for (const Series& s : after) {
    const auto found = old_rows.find(s.name);
    if (found == old_rows.end()) {
      result.only_new.push_back(s.name);
      continue;
    }
    Pair pair{s.group, logs(found->second->values), logs(s.values)};
    old_rows.erase(found);
    Change change;
    change.name = s.name;
    if (std::min(pair.x.size(), pair.y.size()) < options.fewest_samples)
      change.verdict = Verdict::undecided;
    if (!pair.x.empty() && !pair.y.empty()) {
      pair.effect = shortest(pair.y) - shortest(pair.x);
      shifts[s.group].push_back(pair.effect);
    }
    result.changes.push_back(change);
    pairs.push_back(std::move(pair));
  }
  for (const auto& [name, row] : old_rows) result.only_old.push_back(name);

  std::map<std::string, double> common;
  for (const auto& [group, values] : shifts) {
    if (values.size() < options.group_rows) continue;
    common[group] = median(values);
    result.shifts.push_back({group, std::exp(common[group]), values.size()});
  }

  std::mt19937_64 random(1);
  std::vector<std::vector<double>> chance(pairs.size());  // empty: too few samples
  std::vector<double> spread(pairs.size());
  std::map<std::string, std::vector<double>> spreads, moves;
  for (std::size_t i = 0; i < pairs.size(); ++i) {
    Pair& pair = pairs[i];
    for (double& v : pair.y) v -= common[pair.group];
    pair.effect -= common[pair.group];
    result.changes[i].ratio = std::exp(pair.effect);
    if (result.changes[i].verdict == Verdict::undecided) continue;
    chance[i] = chance_effects(pair, options.dealings, random);
    spread[i] = root_mean_square(chance[i]);
    spreads[pair.group].push_back(spread[i]);
    moves[pair.group].push_back(std::fabs(pair.effect));
  }
  std::map<std::string, double> of_group;  // what every row of a group is granted
  for (const auto& [group, values] : spreads) {
    of_group[group] = 0.5 * median(values);
    if (values.size() >= options.group_rows) of_group[group] += 2 * quantile(moves[group], 0.75);
  }
  constexpr double clock = 1e-6;  // two runs without any noise still differ by a clock's tick
  std::vector<double> largest(static_cast<std::size_t>(options.dealings));
  for (std::size_t i = 0; i < pairs.size(); ++i) {
    spread[i] += of_group[pairs[i].group] + clock;
    for (std::size_t k = 0; k < chance[i].size(); ++k)
      largest[k] = std::max(largest[k], std::fabs(chance[i][k]) / spread[i]);
  }
  std::sort(largest.begin(), largest.end());

  const double smallest = std::log1p(options.smallest);
  for (std::size_t i = 0; i < pairs.size(); ++i) {
    Change& change = result.changes[i];
    if (change.verdict == Verdict::undecided) continue;
    const double seen = (std::fabs(pairs[i].effect) - smallest) / spread[i];
    const auto as_large =
        static_cast<double>(largest.end() - std::lower_bound(largest.begin(), largest.end(), seen));
    change.p = (1 + as_large) / (1 + static_cast<double>(options.dealings));
    if (change.p < options.alpha)
      change.verdict = pairs[i].effect > 0 ? Verdict::slower : Verdict::faster;
  }
  return result;
}

// ---- two programs that took turns

Centre centre(const std::vector<double>& values, double z) {
  constexpr double infinity = std::numeric_limits<double>::infinity();
  std::vector<double> means;  // of all pairs, each value with itself too (Walsh averages)
  for (std::size_t i = 0; i < values.size(); ++i)
    for (std::size_t j = i; j < values.size(); ++j) means.push_back((values[i] + values[j]) / 2);
  if (means.empty()) return {-infinity, std::numeric_limits<double>::quiet_NaN(), infinity};
  std::sort(means.begin(), means.end());
  // The sum of the signed ranks of values above c is the number of means above c.
  const double n = static_cast<double>(values.size());
  const double expected = n * (n + 1) / 4, deviation = std::sqrt(n * (n + 1) * (2 * n + 1) / 24);
  const double outside = std::floor(expected - z * deviation);  // means beyond each bound
  const double middle = median(means);
  if (outside < 0) return {-infinity, middle, infinity};
  const auto k = static_cast<std::size_t>(outside);
  return {means[k], middle, means[means.size() - 1 - k]};
}

double normal_quantile(double p) {
  double low = -40, high = 40;
  for (int i = 0; i < 80; ++i) {
    const double z = (low + high) / 2;
    (std::erfc(-z / std::sqrt(2.0)) / 2 < p ? low : high) = z;
  }
  return low;
}

Judgement judge(const std::vector<double>& log_ratios, int processes, std::size_t rows,
                const JudgeOptions& options) {
  const double tests = static_cast<double>(rows) * options.most_processes;
  const Centre wide = centre(log_ratios, -normal_quantile(options.alpha / 2 / tests)),
               narrow = centre(log_ratios, -normal_quantile(options.miss));
  Judgement j{Verdict::undecided, wide.middle, wide.low, wide.high};
  const double smallest = std::log1p(options.smallest), find = std::log1p(options.find);
  if (narrow.low > -find && narrow.high < find) j.verdict = Verdict::equal;
  if (processes >= options.fewest_processes && wide.low > smallest) j.verdict = Verdict::slower;
  if (processes >= options.fewest_processes && wide.high < -smallest) j.verdict = Verdict::faster;
  return j;
}

}  // namespace bench
