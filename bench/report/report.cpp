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

// A row's name without its peer.
std::string own_name(const ordered_json& row) {
  const std::string name = row.at("name"), peer = row.at("peer");
  return peer.empty() ? name : name.substr(0, name.size() - peer.size() - 1);
}
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
    const auto giga = [&](const char* key) { return c.value(key, 0.0) / 1e9; };
    text +=
        fmt::format("ceilings of {}: copy {:.1f}, read {:.1f}, write {:.1f} GB/s", device,
                    giga("copy_bytes_per_s"), giga("read_bytes_per_s"), giga("write_bytes_per_s"));
    for (const char* type : {"f32", "tf32", "bf16", "f16"})
      if (const double rate = giga(fmt::format("{}_flop_per_s", type).c_str()); rate > 0)
        text += fmt::format(", {} GEMM {:.0f}", type, rate);
    text += fmt::format(" GFLOP/s, launch {}\n", time_text(c.at("launch_s")));
  }
  if (record.contains("peers"))
    for (const ordered_json& library : record.at("peers"))
      if (!library.at("found").get<bool>())
        text +=
            fmt::format("no {}: {}; its rows are left out\n", library.at("name").get<std::string>(),
                        library.at("reason").get<std::string>());
  const auto load = [&](const char* when) {
    return record.value(when, ordered_json::object()).value("load_average", -1.0);
  };
  text +=
      fmt::format("load average {:.1f} before, {:.1f} after\n\n", load("before"), load("after"));

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
        "\nbest peer: its median time over ours, above 1 where ours is shorter; `own` is our host "
        "kernel, timed where a library was chosen\n";
  if (!failed.empty()) text += "\nwithout a number:\n";
  for (const ordered_json* row : failed)
    text += fmt::format("  {}: {}\n", row->at("name").get<std::string>(),
                        row->at("error").get<std::string>());
  return text;
}

ordered_json read_record(const std::string& path) {
  std::ifstream file(path);
  if (!file)
    throw Error(
        ErrorKind::input,
        fmt::format("cannot read {}: expected a record of 'doppel bench --json {}'", path, path));
  ordered_json record = ordered_json::parse(file, nullptr, false);
  if (!record.is_object() || record.value("format", "") != "doppel-bench-1" ||
      !record.contains("rows") || !record["rows"].is_array())
    throw Error(ErrorKind::input,
                fmt::format("{} is not a record of 'doppel bench --json': expected an object with "
                            "\"format\": \"doppel-bench-1\"",
                            path));
  return record;
}

std::string compare(const ordered_json& before, const ordered_json& after) {
  std::string text;
  for (const auto& [part, key] : {std::pair{"cpu", "model"}, std::pair{"gpu", "name"}}) {
    const std::string then = before.at("machine").at(part).value(key, ""),
                      now = after.at("machine").at(part).value(key, "");
    if (then != now) text += fmt::format("another {}: '{}' before, '{}' now\n", part, then, now);
  }
  const auto shortest_times = [](const ordered_json& record) {
    std::map<std::string, double> seconds;
    for (const ordered_json& row : record.at("rows"))
      if (!row.contains("error") && row.at("peer").get<std::string>().empty())
        seconds[row.at("name")] = row.at("least_s");
    return seconds;
  };
  struct Change {
    double ratio, before, after;
    std::string name;
  };
  std::vector<Change> changes;
  const std::map<std::string, double> old_rows = shortest_times(before),
                                      new_rows = shortest_times(after);
  for (const auto& [name, seconds] : new_rows)
    if (const auto old_row = old_rows.find(name); old_row != old_rows.end())
      changes.push_back({seconds / old_row->second, old_row->second, seconds, name});
  std::stable_sort(changes.begin(), changes.end(),
                   [](const Change& a, const Change& b) { return a.ratio > b.ratio; });
  text +=
      fmt::format("{:>9}  {:>10}  {:>10}  shortest times of the row\n", "new / old", "old", "new");
  for (const Change& c : changes)
    text += fmt::format("{:>9.3f}  {:>10}  {:>10}  {}\n", c.ratio, time_text(c.before),
                        time_text(c.after), c.name);
  text += fmt::format("{} rows in both records, {} only in the new, {} only in the old\n",
                      changes.size(), new_rows.size() - changes.size(),
                      old_rows.size() - changes.size());
  return text +
         "Two runs of one build differ too. To judge a change, time both builds in alternation: "
         "doppel bench --against PROGRAM\n";
}
}  // namespace bench
