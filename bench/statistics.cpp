#include "bench/statistics.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <numeric>

namespace bench {

double quantile(std::vector<double> values, double q) {
  if (values.empty()) return std::numeric_limits<double>::quiet_NaN();
  std::sort(values.begin(), values.end());
  const double at = q * static_cast<double>(values.size() - 1);
  const auto low = static_cast<std::size_t>(at);
  const std::size_t high = std::min(low + 1, values.size() - 1);
  return values[low] + (at - static_cast<double>(low)) * (values[high] - values[low]);
}

double shift_estimate(const std::vector<double>& x, const std::vector<double>& y) {
  std::vector<double> differences;
  differences.reserve(x.size() * y.size());
  for (double b : y)
    for (double a : x) differences.push_back(b - a);
  return median(std::move(differences));
}

namespace {

// ways[u]: in how many orders of n and m values U comes to u. Adding the largest value to one side or the other gives the recursion
// of Mann and Whitney: N(n, m, u) = N(n - 1, m, u - m) + N(n, m - 1, u).
std::vector<double> orders(std::size_t n, std::size_t m) {
  std::vector<std::vector<double>> previous(m + 1, std::vector<double>(n * m + 1, 0)), current = previous;
  for (std::size_t j = 0; j <= m; ++j) previous[j][0] = 1;
  for (std::size_t i = 1; i <= n; ++i) {
    for (std::size_t j = 0; j <= m; ++j)
      for (std::size_t u = 0; u <= n * m; ++u) current[j][u] = (u >= j ? previous[j][u - j] : 0) + (j > 0 ? current[j - 1][u] : 0);
    std::swap(previous, current);
  }
  return previous[m];
}

}  // namespace

double mann_whitney_larger(const std::vector<double>& x, const std::vector<double>& y) {
  const std::size_t n = x.size(), m = y.size();
  if (n == 0 || m == 0) return 1;
  double u = 0;  // pairs in which y is larger; a tie counts half
  for (double b : y)
    for (double a : x) u += b > a ? 1 : b == a ? 0.5 : 0;

  std::vector<double> all(x);
  all.insert(all.end(), y.begin(), y.end());
  std::sort(all.begin(), all.end());
  double ties = 0;  // sum of t^3 - t over runs of equal values
  for (std::size_t i = 0; i < all.size();) {
    std::size_t end = i;
    while (end < all.size() && all[end] == all[i]) ++end;
    const auto t = static_cast<double>(end - i);
    ties += t * t * t - t;
    i = end;
  }
  if (ties == 0 && n + m <= 40) {
    const std::vector<double> ways = orders(n, m);
    const double total = std::accumulate(ways.begin(), ways.end(), 0.0);
    return std::accumulate(ways.begin() + static_cast<std::ptrdiff_t>(u), ways.end(), 0.0) / total;
  }
  const auto a = static_cast<double>(n), b = static_cast<double>(m), count = a + b;
  const double variance = a * b / 12 * (count + 1 - ties / (count * (count - 1)));
  if (variance <= 0) return 1;
  return 0.5 * std::erfc((u - a * b / 2 - 0.5) / std::sqrt(2 * variance));
}

std::vector<double> holm(const std::vector<double>& p) {
  std::vector<std::size_t> order(p.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) { return p[a] < p[b]; });
  std::vector<double> corrected(p.size());
  double largest = 0;
  for (std::size_t i = 0; i < order.size(); ++i) {
    largest = std::max(largest, std::min(1.0, p[order[i]] * static_cast<double>(p.size() - i)));
    corrected[order[i]] = largest;
  }
  return corrected;
}

Comparison compare_runs(const std::vector<Series>& before, const std::vector<Series>& after, const CompareOptions& options) {
  Comparison result;
  std::map<std::string, const Series*> old_rows;
  for (const Series& s : before) old_rows[s.name] = &s;

  struct Pair { std::string group; std::vector<double> x, y; double shift; };
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
    Pair pair{s.group, logs(found->second->values), logs(s.values), 0};
    old_rows.erase(found);
    Change change;
    change.name = s.name;
    if (std::min(pair.x.size(), pair.y.size()) < options.fewest_samples) change.verdict = Verdict::too_few;
    if (!pair.x.empty() && !pair.y.empty()) {
      pair.shift = shift_estimate(pair.x, pair.y);
      shifts[s.group].push_back(pair.shift);
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

  const double smallest = std::log1p(options.smallest);
  std::vector<double> p;  // slower and faster of each row that has samples enough
  for (std::size_t i = 0; i < pairs.size(); ++i) {
    Pair& pair = pairs[i];
    for (double& v : pair.y) v -= common[pair.group];
    result.changes[i].ratio = std::exp(pair.shift - common[pair.group]);
    if (result.changes[i].verdict == Verdict::too_few) continue;
    for (const double direction : {1.0, -1.0}) {
      std::vector<double> x = pair.x, y = pair.y;
      for (double& v : x) v = direction * v + smallest;
      for (double& v : y) v *= direction;
      p.push_back(mann_whitney_larger(x, y));
    }
  }
  const std::vector<double> corrected = holm(p);
  std::size_t at = 0;
  for (Change& change : result.changes) {
    if (change.verdict == Verdict::too_few) continue;
    const double slower = corrected[at++], faster = corrected[at++];
    change.p = std::min(slower, faster);
    if (change.p < options.alpha) change.verdict = slower < faster ? Verdict::slower : Verdict::faster;
  }
  return result;
}

}  // namespace bench
