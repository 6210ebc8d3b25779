#include "bench/report/report.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <map>

#include "kernels/core/error.h"

namespace bench {

using kernels::Error;
using kernels::ErrorKind;
using nlohmann::ordered_json;

namespace {

std::string time_text(double seconds) {
  return seconds < 1e-4   ? fmt::format("{:.2f} us", seconds * 1e6)
         : seconds < 1e-1 ? fmt::format("{:.3f} ms", seconds * 1e3)
                          : fmt::format("{:.3f} s", seconds);
}

// What a row's name says without its peer.
std::string own_name(const ordered_json& row) {
  const std::string name = row.at("name"), peer = row.at("peer");
  return peer.empty() ? name : name.substr(0, name.size() - peer.size() - 1);
}

std::string percent(double ratio) { return fmt::format("{:+.1f} %", 100 * (ratio - 1)); }

}  // namespace

std::string table(const ordered_json& record) {
  std::map<std::string, const ordered_json*> best_peer;
  std::vector<const ordered_json*> ours, failed;
  for (const ordered_json& row : record.at("rows")) {
    if (row.contains("error")) {
      failed.push_back(&row);
    } else if (row.at("peer").get<std::string>().empty()) {
      ours.push_back(&row);
    } else {
      const ordered_json*& best = best_peer[own_name(row)];
      if (!best || row.at("median_s").get<double>() < best->at("median_s").get<double>())
        best = &row;
    }
  }
  std::stable_sort(ours.begin(), ours.end(), [](const ordered_json* a, const ordered_json* b) {
    return a->at("share_of_ceiling").get<double>() < b->at("share_of_ceiling").get<double>();
  });

  std::string text;
  for (const auto& [device, c] : record.at("ceilings").items()) {
    const auto giga = [&](const char* key) { return c.at(key).get<double>() / 1e9; };
    text += fmt::format(
        "ceilings of {}: copy {:.1f}, read {:.1f}, write {:.1f} GB/s; GEMM f32 {:.0f}, ", device,
        giga("copy_bytes_per_s"), giga("read_bytes_per_s"), giga("write_bytes_per_s"),
        giga("f32_flop_per_s"));
    if (giga("tf32_flop_per_s") > 0) text += fmt::format("tf32 {:.0f}, ", giga("tf32_flop_per_s"));
    text += fmt::format("bf16 {:.0f} GFLOP/s; launch {}\n", giga("bf16_flop_per_s"),
                        time_text(c.at("launch_s")));
  }
  if (record.contains("peers"))
    for (const ordered_json& library : record.at("peers"))
      if (!library.at("found").get<bool>())
        text +=
            fmt::format("no {}: {}; its rows are left out\n", library.at("name").get<std::string>(),
                        library.at("reason").get<std::string>());
  const auto state = [&](const char* when) {
    return record.contains(when) && record.at(when).contains("load_average")
               ? record.at(when).at("load_average").get<double>()
               : -1;
  };
  text += fmt::format("load of the machine {:.1f} before, {:.1f} after\n\n", state("before"),
                      state("after"));

  std::size_t width = 4;
  for (const ordered_json* row : ours)
    width = std::max(width, row->at("name").get<std::string>().size());
  text += fmt::format("{:>6}  {:6}  {:{}}  {:>10}  {:>10}  {:>8}  {:>9}  {}\n", "share", "bound",
                      "row", width, "shortest", "median", "GB/s", "GFLOP/s", "best peer");
  for (const ordered_json* row : ours) {
    const std::string name = row->at("name");
    const double typical = row->at("median_s");
    text += fmt::format("{:>5.1f}%  {:6}  {:{}}  {:>10}  {:>10}  {:>8.1f}  {:>9.1f}  ",
                        100 * row->at("share_of_ceiling").get<double>(),
                        row->at("bound").get<std::string>(), name, width,
                        time_text(row->at("least_s")), time_text(typical),
                        row->at("GB/s").get<double>(), 1e3 * row->at("TFLOP/s").get<double>());
    if (const auto peer = best_peer.find(name); peer != best_peer.end())
      text += fmt::format("{:.2f}x {}", peer->second->at("median_s").get<double>() / typical,
                          peer->second->at("peer").get<std::string>());
    while (text.back() == ' ') text.pop_back();
    text += '\n';
  }
  if (!best_peer.empty())
    text +=
        "\nbest peer: its median divided by ours, more than 1: ours is faster. `own` is ours "
        "behind the seam, where a library was chosen.\n";
  if (!failed.empty()) text += "\nwithout a number:\n";
  for (const ordered_json* row : failed)
    text += fmt::format("  {}: {}\n", row->at("name").get<std::string>(),
                        row->at("error").get<std::string>());
  return text;
}

ordered_json read_record(const std::string& path) {
  std::ifstream file(path);
  if (!file)
    throw Error(ErrorKind::input,
                fmt::format("cannot read {}: expected a record that 'doppel bench --json {}' wrote",
                            path, path));
  ordered_json record = ordered_json::parse(file, nullptr, false);
  if (!record.is_object() || record.value("format", "") != "doppel-bench-1" ||
      !record.contains("rows") || !record["rows"].is_array())
    throw Error(ErrorKind::input,
                fmt::format("{} is not a record of 'doppel bench --json': expected an object with "
                            "\"format\": \"doppel-bench-1\"",
                            path));
  return record;
}

std::vector<Series> series(const ordered_json& record) {
  std::vector<Series> all;
  for (const ordered_json& row : record.at("rows")) {
    if (row.contains("error") || !row.at("peer").get<std::string>().empty()) continue;
    Series s{row.at("name"),
             row.at("device").get<std::string>() + " " + row.at("bound").get<std::string>(),
             {}};
    for (const double seconds : row.at("seconds").get<std::vector<double>>())
      if (seconds > 0) s.values.push_back(seconds);
    all.push_back(std::move(s));
  }
  return all;
}

std::string describe(const Comparison& comparison, const ordered_json& before,
                     const ordered_json& after, const CompareOptions& options) {
  std::string text;
  for (const char* key : {"cpu", "gpu"}) {
    const auto model = [&](const ordered_json& record) {
      return record.at("machine").at(key).value(key[0] == 'c' ? "model" : "name", "");
    };
    if (model(before) != model(after))
      text += fmt::format("other machine: {} '{}' before, '{}' now; the comparison means little\n",
                          key, model(before), model(after));
  }
  for (const GroupShift& shift : comparison.shifts)
    if (std::fabs(std::log(shift.ratio)) > 0.02)
      text += fmt::format(
          "all {} rows bound by '{}' moved together, {}: the machine, or a change to the whole "
          "build; taken off below\n",
          shift.rows, shift.group, percent(shift.ratio));
  std::vector<Change> changes = comparison.changes;
  std::stable_sort(changes.begin(), changes.end(), [](const Change& a, const Change& b) {
    return std::fabs(std::log(a.ratio)) > std::fabs(std::log(b.ratio));
  });
  std::size_t equal = 0, slower = 0, faster = 0, few = 0;
  for (const Change& c : changes) {
    equal += c.verdict == Verdict::equal, few += c.verdict == Verdict::undecided;
    if (c.verdict != Verdict::slower && c.verdict != Verdict::faster) continue;
    (c.verdict == Verdict::slower ? slower : faster)++;
    text += fmt::format("{}  {}  time {}  (p {:.2g})\n",
                        c.verdict == Verdict::slower ? "SLOWER" : "faster", c.name,
                        percent(c.ratio), c.p);
  }
  text += fmt::format(
      "{} slower, {} faster, {} equal (a change of under {:.0f} %, or one that chance explains)\n",
      slower, faster, equal, 100 * options.smallest);
  if (few > 0)
    text += fmt::format(
        "{} rows with fewer than {} samples on a side: not compared; let both runs take longer "
        "(--seconds)\n",
        few, options.fewest_samples);
  if (!comparison.only_new.empty())
    text += fmt::format("{} rows are new, the first: {}\n", comparison.only_new.size(),
                        comparison.only_new.front());
  if (!comparison.only_old.empty())
    text += fmt::format("{} rows of the old record were not run, the first: {}\n",
                        comparison.only_old.size(), comparison.only_old.front());
  return text;
}

ordered_json to_json(const Comparison& comparison) {
  ordered_json json{{"changes", ordered_json::array()},
                    {"shifts", ordered_json::array()},
                    {"only_old", comparison.only_old},
                    {"only_new", comparison.only_new}};
  for (const Change& c : comparison.changes)
    json["changes"].push_back(
        {{"name", c.name}, {"time_ratio", c.ratio}, {"p", c.p}, {"verdict", name(c.verdict)}});
  for (const GroupShift& s : comparison.shifts)
    json["shifts"].push_back({{"group", s.group}, {"time_ratio", s.ratio}, {"rows", s.rows}});
  return json;
}

}  // namespace bench
