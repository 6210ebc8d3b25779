#include "bench/statistics.h"

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

namespace {

struct Pair { std::string group; std::vector<double> x, y; double effect = 0; };  // logarithms, old and new

double shortest(std::span<const double> values) { return *std::min_element(values.begin(), values.end()); }

// Effects that are chance: the rounds of both runs dealt out anew, `dealings` times.
std::vector<double> chance_effects(const Pair& pair, int dealings, std::mt19937_64& random) {
  std::vector<double> all(pair.x), effects;
  all.insert(all.end(), pair.y.begin(), pair.y.end());
  const std::span<double> old_part(all.data(), pair.x.size()), new_part(all.data() + pair.x.size(), pair.y.size());
  for (int i = 0; i < dealings; ++i) {
    for (std::size_t last = all.size() - 1; last > 0; --last) std::swap(all[last], all[random() % (last + 1)]);  // Fisher and Yates
    effects.push_back(shortest(new_part) - shortest(old_part));
  }
  return effects;
}

double root_mean_square(const std::vector<double>& values) {
  return std::sqrt(std::inner_product(values.begin(), values.end(), values.begin(), 0.0) / static_cast<double>(values.size()));
}

}  // namespace

Comparison compare_runs(const std::vector<Series>& before, const std::vector<Series>& after, const CompareOptions& options) {
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
    if (std::min(pair.x.size(), pair.y.size()) < options.fewest_samples) change.verdict = Verdict::too_few;
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
  std::vector<std::vector<double>> chance(pairs.size());   // empty: too few samples
  std::vector<double> spread(pairs.size());
  std::map<std::string, std::vector<double>> spreads, moves;
  for (std::size_t i = 0; i < pairs.size(); ++i) {
    Pair& pair = pairs[i];
    for (double& v : pair.y) v -= common[pair.group];
    pair.effect -= common[pair.group];
    result.changes[i].ratio = std::exp(pair.effect);
    if (result.changes[i].verdict == Verdict::too_few) continue;
    chance[i] = chance_effects(pair, options.dealings, random);
    spread[i] = root_mean_square(chance[i]);
    spreads[pair.group].push_back(spread[i]);
    moves[pair.group].push_back(std::fabs(pair.effect));
  }
  std::map<std::string, double> of_group;   // what every row of a group is granted
  for (const auto& [group, values] : spreads) {
    of_group[group] = 0.5 * median(values);
    if (values.size() >= options.group_rows) of_group[group] += 2 * quantile(moves[group], 0.75);
  }
  constexpr double clock = 1e-6;  // two runs without any noise still differ by a clock's tick
  std::vector<double> largest(static_cast<std::size_t>(options.dealings));
  for (std::size_t i = 0; i < pairs.size(); ++i) {
    spread[i] += of_group[pairs[i].group] + clock;
    for (std::size_t k = 0; k < chance[i].size(); ++k) largest[k] = std::max(largest[k], std::fabs(chance[i][k]) / spread[i]);
  }
  std::sort(largest.begin(), largest.end());

  const double smallest = std::log1p(options.smallest);
  for (std::size_t i = 0; i < pairs.size(); ++i) {
    Change& change = result.changes[i];
    if (change.verdict == Verdict::too_few) continue;
    const double seen = (std::fabs(pairs[i].effect) - smallest) / spread[i];
    const auto as_large = static_cast<double>(largest.end() - std::lower_bound(largest.begin(), largest.end(), seen));
    change.p = (1 + as_large) / (1 + static_cast<double>(options.dealings));
    if (change.p < options.alpha) change.verdict = pairs[i].effect > 0 ? Verdict::slower : Verdict::faster;
  }
  return result;
}

std::vector<std::string> suspects(const Comparison& first, double smallest, std::size_t most) {
  const auto size = [](const Change* c) { return std::fabs(std::log(c->ratio)); };
  std::vector<const Change*> changed;
  for (const Change& c : first.changes)
    if (size(&c) > std::log1p(smallest)) changed.push_back(&c);
  std::stable_sort(changed.begin(), changed.end(), [&](const Change* a, const Change* b) { return size(a) > size(b); });
  std::vector<std::string> names;
  for (std::size_t i = 0; i < std::min(most, changed.size()); ++i) names.push_back(changed[i]->name);
  return names;
}

Comparison after_second_look(const Comparison& first, const std::vector<Series>& before, const std::vector<Series>& after, CompareOptions options) {
  options.group_rows = std::numeric_limits<std::size_t>::max();  // suspects are no sample of the machine: nothing common is taken off
  const Comparison second = compare_runs(before, after, options);
  Comparison result = first;
  for (Change& change : result.changes) {
    const auto again = std::find_if(second.changes.begin(), second.changes.end(), [&](const Change& c) { return c.name == change.name; });
    if (again != second.changes.end()) change = *again;
    else change.verdict = Verdict::equal;
  }
  return result;
}

}  // namespace bench
