// doppel_step: times whole training steps: milliseconds, faces per second, launches,
// idle share, memory beside its forecast, start-up, and the phases of a step beside
// their floors. Each row, one model, batch and precision, runs in a process of its own.
#include <fmt/format.h>
#include <sys/wait.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <vector>

#include "bench/step/predict.h"
#include "bench/step/step_measure.h"
#include "faceswap/models/model.h"
#include "kernels/core/error.h"

namespace {

using nlohmann::ordered_json;

struct Lists {
  std::vector<std::string> models{"original"}, dtypes{"f32"};
  std::vector<int> batches{16};
};

std::string quoted(const std::string& word) {
  std::string out = "'";
  for (const char c : word) out += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return out + "'";
}

// One row from a child process: peak memory and start-up are a process's, and a failure
// stays in its row.
ordered_json measure_in_child(const bench::step::StepOptions& o) {
  const std::string self = std::filesystem::read_symlink("/proc/self/exe").string();
  const std::string command = fmt::format(
      "{} --row --model {} --batch {} --dtype {} --device {} --mode {} --warmup {} --steps {} "
      "--seconds {} --block {} --seed {}{} 2>&1",
      quoted(self), quoted(o.model), o.batch, quoted(o.dtype), quoted(o.device), quoted(o.mode),
      o.warmup, o.steps, o.seconds, o.block, o.seed, o.phases ? "" : " --no-phases");
  ordered_json row{{"model", o.model}, {"batch", o.batch}, {"dtype", o.dtype}, {"mode", o.mode}};
  std::FILE* pipe = popen(command.c_str(), "r");
  if (!pipe) return row.update({{"error", "could not start a process"}}), row;
  std::string text;
  char buffer[4096];
  for (std::size_t got; (got = std::fread(buffer, 1, sizeof buffer, pipe)) > 0;)
    text.append(buffer, got);
  const int status = pclose(pipe);
  const std::size_t brace = text.find("{\"model\"");
  ordered_json measured = status == 0 && brace != std::string::npos
                              ? ordered_json::parse(text.substr(brace), nullptr, false)
                              : ordered_json();
  if (measured.is_object()) return measured;
  while (!text.empty() && text.back() == '\n') text.pop_back();
  const std::string ended = WIFSIGNALED(status)
                                ? fmt::format("ended by signal {}", WTERMSIG(status))
                                : fmt::format("exit code {}", WEXITSTATUS(status));
  row["error"] =
      text.empty()
          ? ended
          : fmt::format("{} ({})", text.substr(text.size() > 500 ? text.size() - 500 : 0), ended);
  return row;
}

// A column of the table: a value of the row, scaled.
struct Column {
  const char *title, *key, *format;
  int width;
  double factor = 1;
};
constexpr double kMiB = 1.0 / (1 << 20);
constexpr Column kColumns[] = {{"ms", "median_ms", "{:.2f}", 10},
                               {"p95 ms", "p95_ms", "{:.2f}", 10},
                               {"faces/s", "faces_per_second", "{:.1f}", 9},
                               {"launches", "launches", "{:.0f}", 8},
                               {"nodes", "graph_nodes", "{:.0f}", 6},
                               {"idle", "idle_share", "{:.0f} %", 6, 100},
                               {"peak MiB", "peak_bytes", "{:.0f}", 9, kMiB},
                               {"forecast", "forecast_bytes", "{:.0f}", 9, kMiB},
                               {"start s", "start", "{:.2f}", 8},
                               {"floor ms", "floor_ms", "{:.2f}", 10},
                               {"floor", "floor_share", "{:.0f} %", 7, 100}};

void print_head() {
  fmt::print("{:<12} {:>5} {:>5} {:>5}", "model", "batch", "dtype", "mode");
  for (const Column& c : kColumns) fmt::print(" {:>{}}", c.title, c.width);
  fmt::print("\n");
}

std::string key_of(const ordered_json& row) {
  return fmt::format("{:<12} {:>5} {:>5}", row["model"].get<std::string>(), row["batch"].get<int>(),
                     row["dtype"].get<std::string>());
}

void print_row(ordered_json row) {
  fmt::print("{} {:>5}", key_of(row), row["mode"].get<std::string>());
  if (row.contains("error")) return fmt::print(" {}\n", row["error"].get<std::string>());
  row["start"] = row["start_seconds"]["total"];
  if (row.contains("floor_ms"))
    row["floor_share"] = row["floor_ms"].get<double>() / row["median_ms"].get<double>();
  for (const Column& c : kColumns) {
    const ordered_json value = row.value(c.key, ordered_json());
    fmt::print(
        " {:>{}}",
        value.is_null() ? "-" : fmt::format(fmt::runtime(c.format), value.get<double>() * c.factor),
        c.width);
  }
  fmt::print("\n");
  std::fflush(stdout);
}

void print_phases(const ordered_json& rows) {
  const auto measured = [](const ordered_json& row) { return row.contains("parts"); };
  if (std::none_of(rows.begin(), rows.end(), measured)) return;
  fmt::print(
      "\nPhases of a step in ms, with the floor in brackets: convolutions, matrix products and the "
      "optimizer\nat the ceilings of the same process:\n");
  for (const ordered_json& row : rows) {
    if (!measured(row)) continue;
    fmt::print("{}", key_of(row));
    for (const ordered_json& phase : row["parts"])
      fmt::print("  {} {:.2f} ({:.2f})", phase["name"].get<std::string>(),
                 phase["median_ms"].get<double>(), phase["floor_ms"].get<double>());
    fmt::print("  at {:.0f} GFLOP/s, {:.1f} GB/s\n",
               row["ceilings"]["flops_per_second"].get<double>() * 1e-9,
               row["ceilings"]["bytes_per_second"].get<double>() * 1e-9);
  }
}

// Called after every row, so an interrupted run keeps its rows.
void write_json(const std::string& path, const ordered_json& document) {
  std::ofstream file(path);
  if (!(file << document.dump(2) << '\n' << std::flush))
    throw kernels::Error(kernels::ErrorKind::disk, fmt::format("cannot write {}", path));
}

// The steps of the lists, or those with a goal where nothing was asked for.
ordered_json predict_steps(const std::string& card_name, const Lists& lists, bool asked) {
  using bench::step::cards;
  std::vector<bench::step::WantedStep> wanted;
  if (!asked) wanted = bench::step::goals();
  else
    for (const std::string& model : lists.models)
      for (const std::string& dtype : lists.dtypes)
        for (const int batch : lists.batches) wanted.push_back({model, dtype, batch});
  const auto card = std::find_if(cards().begin(), cards().end(),
                                 [&](const auto& c) { return card_name == c.name; });
  ordered_json steps = ordered_json::array();
  for (const auto& step : wanted) steps.push_back(bench::step::predict_step(*card, step));
  return steps;
}

int run(int argc, char** argv) {
  CLI::App app{
      "Times training steps of doppel's models, one row per model, batch and precision.\n\n"
      "  doppel_step --model original,villain --batch 4,16 --dtype f32,bf16 --out steps.json"};
  Lists lists;
  bench::step::StepOptions o;
  bool json = false, single = false, no_phases = false;
  std::string out, card;
  std::vector<std::string> known{"all"}, known_cards;
  for (const bench::step::Card& c : bench::step::cards()) known_cards.emplace_back(c.name);
  for (const faceswap::ModelInfo& info : faceswap::model_list()) known.push_back(info.name);
  const auto list = [&](const char* name, auto& values, const char* help, const auto& check) {
    app.add_option(name, values, help)->delimiter(',')->check(check)->capture_default_str();
  };
  const auto option = [&](const char* name, auto& value, const char* help, const auto& check) {
    app.add_option(name, value, help)->check(check)->capture_default_str();
  };
  list("--model", lists.models, "Models, or all", CLI::IsMember(known));
  list("--batch", lists.batches, "Faces per person", CLI::Range(1, 1024));
  list("--dtype", lists.dtypes,
       "Precisions: f32, bf16, f16 with a scaled loss (slow on the host), tf32 on a GPU",
       CLI::IsMember({"f32", "tf32", "bf16", "f16"}));
  option("--device", o.device, "auto, cpu or cuda", CLI::IsMember({"auto", "cpu", "cuda"}));
  option("--mode", o.mode,
         "real: sampled and augmented faces; fixed: the same random pictures in every step, as in "
         "the race against PyTorch",
         CLI::IsMember({"real", "fixed"}));
  option("--seconds", o.seconds, "Seconds of timed steps per row, at least three samples",
         CLI::PositiveNumber);
  option("--steps", o.steps, "Timed steps, instead of --seconds; 0: by --seconds",
         CLI::NonNegativeNumber);
  option("--warmup", o.warmup, "Untimed steps first", CLI::NonNegativeNumber);
  option("--block", o.block,
         "Steps per sample, with one wait for the device (0: 10 on a GPU, 1 on the host)",
         CLI::NonNegativeNumber);
  app.add_option("--seed", o.seed, "Seed of weights and pictures")->capture_default_str();
  app.add_option("--dump", o.dump,
                 "With --mode fixed: write the initial weights and the pictures as safetensors; "
                 "--steps 0 ends after that");
  app.add_option("--predict", card,
                 "Run nothing: reckon ms and bounds on this card from the launches' bytes and "
                 "FLOPs; of the steps with a goal unless --model, --batch or --dtype is given")
      ->check(CLI::IsMember(known_cards));
  app.add_option("--out", out, "Write the rows as JSON, after each row");
  app.add_flag("--json", json, "Print JSON in place of the table");
  app.add_flag("--no-phases", no_phases,
               "Without the phases of a step, the ceilings and the memory forecast");
  app.add_flag("--row", single, "Measure one row in this process and print it as one line of JSON");
  CLI11_PARSE(app, argc, argv);
  o.phases = !no_phases;
  if (!o.dump.empty() && o.mode != "fixed")
    throw kernels::Error(kernels::ErrorKind::usage,
                         "--dump needs --mode fixed: a real step has no fixed pictures");
  if (lists.models.front() == "all") lists.models.assign(known.begin() + 1, known.end());

  if (!card.empty()) {
    const bool asked = app.count("--model") + app.count("--batch") + app.count("--dtype") > 0;
    const ordered_json document{{"context", {{"suite", "doppel_predict"}, {"card", card}}},
                                {"steps", predict_steps(card, lists, asked)}};
    if (json) fmt::print("{}\n", document.dump(1));
    for (const ordered_json& step : document["steps"])
      if (!json) fmt::print("{}\n", bench::step::prediction_table(step));
    if (!out.empty()) write_json(out, document);
    return 0;
  }
  if (single || !o.dump.empty()) {
    if (lists.models.size() * lists.batches.size() * lists.dtypes.size() != 1)
      throw kernels::Error(kernels::ErrorKind::usage,
                           "--row and --dump take one model, one batch and one precision");
    o.model = lists.models[0], o.batch = lists.batches[0], o.dtype = lists.dtypes[0];
    fmt::print("{}\n", bench::step::measure_step(o).dump());
    return 0;
  }
  ordered_json document{{"context", bench::step::context(o.device)},
                        {"rows", ordered_json::array()}};
  if (!json) {
    const ordered_json& context = document["context"];
    fmt::print("{}, {} threads, load average {:.1f}\n",
               context.value("gpu", context["processor"].get<std::string>()),
               context["threads"].get<unsigned>(), context["load_average"].get<double>());
    print_head();
  }
  bool any = false;
  for (const std::string& model : lists.models)
    for (const std::string& dtype : lists.dtypes)
      for (const int batch : lists.batches) {
        o.model = model, o.batch = batch, o.dtype = dtype;
        document["rows"].push_back(measure_in_child(o));
        any |= !document["rows"].back().contains("error");
        if (!json) print_row(document["rows"].back());
        if (!out.empty()) write_json(out, document);
      }
  if (json) fmt::print("{}\n", document.dump(2));
  else print_phases(document["rows"]);
  return any ? 0 : 1;
}
}  // namespace

int main(int argc, char** argv) {
  try {
    return run(argc, argv);
  } catch (const kernels::Error& error) {
    fmt::print(stderr, "doppel_step: {}\n", error.what());
    return static_cast<int>(error.kind());
  } catch (const std::exception& error) {
    fmt::print(stderr, "doppel_step: {}\n", error.what());
    return 1;
  }
}
