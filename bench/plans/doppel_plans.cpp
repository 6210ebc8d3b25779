// Which of cuDNN's kernels compute the convolutions of the models on this card, and how long each of them takes: the plain ones with our
// bias and activation after them, those that have both inside, and both again through copies padded to whole 16 bytes of channels. What
// training uses is the fastest of these (kernels/conv/cudnn/conv.cpp), remembered in cudnn-plans.txt (kernels/conv/plans/plan_cache.h).
// --described plans for a card that is not here, without times.
#include <fmt/format.h>
#include <fmt/os.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <fstream>
#include <limits>
#include <map>
#include <nlohmann/json.hpp>
#include <vector>

#include "bench/plans/autotune.h"
#include "bench/plans/model_shapes.h"
#include "faceswap/models/model.h"
#include "kernels/core/error.h"

namespace {

using kernels::Error;
using kernels::ErrorKind;
using kernels::cudnn::Direction;
using kernels::cudnn::MathType;
using kernels::cudnn::Problem;
using nlohmann::ordered_json;

struct Arguments {
  std::vector<std::string> models{"original", "villain", "dfl_sae"};
  std::vector<int> batches{16, 64};
  std::string dtype = "bf16", out, properties, described;
  double budget_ms = 1500;
};

// Of forward, those that are not fused have our bias and activation after them.
const char* name(kernels::cudnn::Variant variant) {
  return variant.padded  ? variant.fused ? "padded, fused" : "padded"
         : variant.fused ? "fused"
                         : "plain";
}

// As the models want it: LeakyReLU after every convolution but the last, whose three channels are a picture's.
Problem wanted(const kernels::ConvShape& shape, Direction direction, MathType math_type) {
  Problem problem{shape, direction, math_type};
  if (direction != Direction::forward) return problem;
  problem.bias = true;
  problem.activation =
      shape.out_channels == 3 ? kernels::Activation::sigmoid : kernels::Activation::leaky_relu;
  problem.slope = shape.out_channels == 3 ? 0.f : 0.1f;
  return problem;
}

double flops(const kernels::ConvShape& s) {
  return 2.0 * static_cast<double>(s.n) * s.out_h() * s.out_w() * s.out_channels * s.kernel *
         s.kernel * s.in_channels;
}

ordered_json to_json(const bench::plans::VariantResult& result) {
  ordered_json json{{"variant", name(result.variant)},
                    {"padded", result.variant.padded},
                    {"fused", result.variant.fused}};
  if (!result.why_not.empty()) json["why_not"] = result.why_not;
  if (result.bare_ms) json["without_epilogue_ms"] = *result.bare_ms;
  json["engines"] = ordered_json::array();
  for (const bench::plans::Timed& timed : result.engines) {
    ordered_json knobs = ordered_json::array();
    for (const auto& [type, value] : timed.report.engine.knobs) knobs.push_back({type, value});
    json["engines"].push_back({{"engine", timed.report.engine.index},
                               {"knobs", knobs},
                               {"ms", timed.ms < 0 ? ordered_json() : ordered_json(timed.ms)},
                               {"workspace", timed.report.workspace},
                               {"runtime_compiled", timed.report.runtime_compiled},
                               {"tensor_cores", timed.report.tensor_cores}});
  }
  return json;
}

// "engine 43, 0.123 ms, 45 TFLOP/s"
std::string describe(const ordered_json& variant, double work) {
  if (variant["engines"].empty()) return "no engine: " + variant.value("why_not", "");
  const ordered_json& best = variant["engines"][0];
  std::string text = fmt::format("engine {}", best["engine"].get<std::int64_t>());
  if (!best["ms"].is_null())
    text += fmt::format(", {:.3f} ms, {:.1f} TFLOP/s", best["ms"].get<double>(),
                        work / best["ms"].get<double>() * 1e-9);
  if (variant.contains("without_epilogue_ms"))
    text += fmt::format(" ({:.3f} ms without the epilogue)",
                        variant["without_epilogue_ms"].get<double>());
  if (best["workspace"].get<std::int64_t>() >= 1 << 16)
    text += fmt::format(", {:.1f} MiB workspace", best["workspace"].get<double>() / (1 << 20));
  if (!best["tensor_cores"].get<bool>()) text += ", no tensor cores";
  return text;
}

void write(const std::string& path, const std::string& text) {
  std::ofstream file(path);
  if (!(file << text << '\n' << std::flush))
    throw Error(ErrorKind::disk, fmt::format("cannot write {}", path));
}

int run(int argc, char** argv) {
  CLI::App app{
      "Times cuDNN's kernels for the convolutions of the models.\n\n  doppel_plans --out "
      "plans.json --properties device_properties_h200.json\n"
      "  doppel_plans --described tests/data/device_properties_h200_synthetic.json"};
  Arguments args;
  std::vector<std::string> known;
  for (const faceswap::ModelInfo& info : faceswap::model_list()) known.push_back(info.name);
  const std::map<std::string, MathType> math_types{{"f32", MathType::f32},
                                                   {"tf32", MathType::tf32},
                                                   {"bf16", MathType::bf16},
                                                   {"f16", MathType::f16}};
  app.add_option("--model", args.models, "Models")
      ->delimiter(',')
      ->check(CLI::IsMember(known))
      ->capture_default_str();
  app.add_option("--batch", args.batches, "Faces a side: the encoder sees twice as many")
      ->delimiter(',')
      ->check(CLI::Range(1, 1024))
      ->capture_default_str();
  app.add_option("--dtype", args.dtype, "f32, tf32, bf16 or f16")
      ->check(CLI::IsMember(math_types))
      ->capture_default_str();
  app.add_option("--budget", args.budget_ms, "Milliseconds for each variant of each convolution")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  app.add_option("--out", args.out, "Write JSON there, after each convolution");
  CLI::Option* properties = app.add_option("--properties", args.properties,
                                           "Write the card's description there, as cuDNN gives it");
  app.add_option("--described", args.described,
                 "Plan for the card that this file describes, without times")
      ->check(CLI::ExistingFile)
      ->excludes(properties);
  CLI11_PARSE(app, argc, argv);

  std::string json;
  int capability = 0;
  ordered_json document{
      {"context", {{"suite", "doppel_plans"}, {"version", DOPPEL_VERSION}, {"dtype", args.dtype}}},
      {"rows", ordered_json::array()}};
  if (args.described.empty()) {
    const bench::plans::Machine machine = bench::plans::this_machine();
    document["context"].update({{"gpu", machine.card},
                                {"driver", machine.driver},
                                {"compute_capability", machine.compute_capability},
                                {"cudnn", machine.cudnn}});
    if (!args.properties.empty()) {
      try {
        write(args.properties, bench::plans::device_properties());
      } catch (const Error& error) {  // a cuDNN older than 9.8 has no descriptions
        fmt::print("no description of the card: {}\n", error.what());
      }
    }
  } else {
    std::ifstream file(args.described);
    std::getline(file, json);
    const ordered_json described = ordered_json::parse(json, nullptr, false);
    if (!described.is_object() || !described.contains("deviceVer"))
      throw Error(ErrorKind::input,
                  fmt::format("{} describes no card: expected cuDNN's JSON in its first line, see "
                              "tests/data/device_properties_*",
                              args.described));
    capability = described["deviceVer"].get<int>() / 10;
    document["context"].update({{"gpu", described.value("deviceName", "")},
                                {"compute_capability", capability},
                                {"described", true}});
  }

  for (const std::string& model : args.models)
    for (const int batch : args.batches)
      for (const kernels::ConvShape& shape : plans::conv_shapes(model, batch))
        for (const Direction direction : {Direction::forward, Direction::data, Direction::filter}) {
          const Problem problem = wanted(shape, direction, math_types.at(args.dtype));
          const auto results = args.described.empty()
                                   ? bench::plans::time_on_this_card(problem, args.budget_ms)
                                   : bench::plans::plan_for_description(problem, capability, json);
          ordered_json row{{"model", model},
                           {"batch", batch},
                           {"shape", shape.str()},
                           {"direction", kernels::cudnn::name(direction)},
                           {"flops", flops(shape)}};
          double best = std::numeric_limits<double>::infinity();
          row["best"] = nullptr;
          row["variants"] = ordered_json::array();
          for (const bench::plans::VariantResult& result : results) {
            row["variants"].push_back(to_json(result));
            if (result.engines.empty() || result.engines[0].ms < 0 || result.engines[0].ms >= best)
              continue;
            best = result.engines[0].ms;
            row["best"] = name(result.variant);
          }
          fmt::print("{} b{} {} {}\n", model, batch, shape.str(), kernels::cudnn::name(direction));
          for (const ordered_json& variant : row["variants"])
            fmt::print("  {} {:13} {}\n", row["best"] == variant["variant"] ? '*' : ' ',
                       variant["variant"].get<std::string>(), describe(variant, flops(shape)));
          std::fflush(stdout);
          document["rows"].push_back(std::move(row));
          if (!args.out.empty()) write(args.out, document.dump(1));
        }
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  try {
    return run(argc, argv);
  } catch (const Error& error) {
    fmt::print(stderr, "doppel_plans: {}\n", error.what());
    return static_cast<int>(error.kind());
  } catch (const std::exception& error) {
    fmt::print(stderr, "doppel_plans: {}\n", error.what());
    return 1;
  }
}
