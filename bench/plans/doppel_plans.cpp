// The cuDNN kernels for the models' convolutions on this card, and their times: plain
// with our bias and activation after them, fused with both inside, and either through
// copies padded to whole 16 bytes of channels. Training uses the fastest of them.
// --described plans for a card that is not here, without times.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <vector>

#include "bench/plans/model_shapes.h"
#include "bench/plans/tune.h"
#include "faceswap/models/model.h"
#include "kernels/core/error.h"

namespace {

using bench::plans::VariantResult;
using kernels::ConvShape;
using kernels::Direction;
using kernels::Error;
using kernels::ErrorKind;
using kernels::cudnn::MathType;
using kernels::cudnn::Problem;
using nlohmann::ordered_json;

struct Arguments {
  std::vector<std::string> models{"original", "villain", "dfl_sae"};
  std::vector<int> batches{16, 64};
  std::string dtype = "bf16", out, properties, described;
  double budget_ms = 1500;
};

const std::map<std::string, MathType> math_types{{"f32", MathType::f32},
                                                 {"tf32", MathType::tf32},
                                                 {"bf16", MathType::bf16},
                                                 {"f16", MathType::f16}};

const char* name(kernels::cudnn::Variant variant) {
  return variant.padded  ? variant.fused ? "padded, fused" : "padded"
         : variant.fused ? "fused"
                         : "plain";
}

// With the model's epilogue: LeakyReLU, but sigmoid on the last layer's three channels.
Problem wanted(const ConvShape& shape, Direction direction, MathType math_type) {
  Problem problem{shape, direction, math_type};
  if (direction != Direction::forward) return problem;
  const bool last = shape.out_channels == 3;
  problem.bias = true;
  problem.activation = last ? kernels::Activation::sigmoid : kernels::Activation::leaky_relu;
  problem.slope = last ? 0.f : 0.1f;
  return problem;
}

ordered_json to_json(const VariantResult& result) {
  ordered_json json{{"variant", name(result.variant)},
                    {"padded", result.variant.padded},
                    {"fused", result.variant.fused}};
  if (!result.why_not.empty()) json["why_not"] = result.why_not;
  if (result.bare_ms) json["without_epilogue_ms"] = *result.bare_ms;
  json["engines"] = ordered_json::array();
  for (const auto& [report, ms] : result.engines) {
    ordered_json knobs = ordered_json::array();
    for (const auto& [type, value] : report.engine.knobs) knobs.push_back({type, value});
    json["engines"].push_back({{"engine", report.engine.index},
                               {"knobs", knobs},
                               {"ms", ms < 0 ? ordered_json() : ordered_json(ms)},
                               {"workspace", report.workspace},
                               {"runtime_compiled", report.runtime_compiled},
                               {"tensor_cores", report.tensor_cores}});
  }
  return json;
}

// "engine 43, 0.123 ms, 45 TFLOP/s"
std::string describe(const VariantResult& result, double flops) {
  if (result.engines.empty()) return "no engine: " + result.why_not;
  const auto& [report, ms] = result.engines[0];
  std::string text = fmt::format("engine {}", report.engine.index);
  if (ms >= 0) text += fmt::format(", {:.3f} ms, {:.1f} TFLOP/s", ms, flops / ms * 1e-9);
  if (result.bare_ms) text += fmt::format(" ({:.3f} ms without the epilogue)", *result.bare_ms);
  if (report.workspace >= 1 << 16)
    text +=
        fmt::format(", {:.1f} MiB workspace", static_cast<double>(report.workspace) / (1 << 20));
  if (!report.tensor_cores) text += ", no tensor cores";
  return text;
}

void write(const std::string& path, const std::string& text) {
  std::ofstream file(path);
  if (!(file << text << '\n' << std::flush))
    throw Error(ErrorKind::disk, fmt::format("cannot write {}", path));
}

// Adds this card to the context and writes its description for --properties.
void add_this_card(const Arguments& args, ordered_json& context) {
  if (const kernels::CudaReport gpu = kernels::probe_cuda(); !gpu.available)
    throw Error(ErrorKind::device, "no GPU to plan for: " + gpu.reason +
                                       "; --described plans for a card that is not here");
  const kernels::PlanCache::Machine machine = kernels::cudnn::this_machine();
  context.update({{"gpu", machine.card},
                  {"driver", machine.driver},
                  {"compute_capability", machine.compute_capability},
                  {"cudnn", machine.cudnn_version}});
  if (args.properties.empty()) return;
  try {
    write(args.properties, kernels::cudnn::describe_this_device());
  } catch (const Error& error) {  // cuDNN before 9.8 has no descriptions
    fmt::print("no description of the card: {}\n", error.what());
  }
}

// Adds the described card to the context; returns its description.
std::string add_described_card(const std::string& path, ordered_json& context) {
  std::string json;
  std::ifstream file(path);
  std::getline(file, json);
  const ordered_json described = ordered_json::parse(json, nullptr, false);
  if (!described.is_object() || !described.contains("deviceVer"))
    throw Error(ErrorKind::input,
                fmt::format("{} describes no card: expected cuDNN's JSON in its first line, see "
                            "tests/data/device_properties_*",
                            path));
  context.update({{"gpu", described.value("deviceName", "")},
                  {"compute_capability", described["deviceVer"].get<int>() / 10},
                  {"described", true}});
  return json;
}

// The JSON row of one convolution, printed as a table too.
ordered_json row(const std::string& model, int batch, const Problem& problem,
                 const std::vector<VariantResult>& results) {
  const ConvShape& shape = problem.shape;
  ordered_json row{{"model", model},
                   {"batch", batch},
                   {"shape", shape.str()},
                   {"direction", name(problem.direction)},
                   {"flops", shape.flops()},
                   {"best", nullptr},
                   {"variants", ordered_json::array()}};
  const VariantResult* best = nullptr;
  for (const VariantResult& result : results) {
    row["variants"].push_back(to_json(result));
    const bool timed = !result.engines.empty() && result.engines[0].ms >= 0;
    if (timed && (!best || result.engines[0].ms < best->engines[0].ms)) best = &result;
  }
  if (best) row["best"] = name(best->variant);
  fmt::print("{} b{} {} {}\n", model, batch, shape.str(), name(problem.direction));
  for (const VariantResult& result : results)
    fmt::print("  {} {:13} {}\n", &result == best ? '*' : ' ', name(result.variant),
               describe(result, shape.flops()));
  std::fflush(stdout);
  return row;
}

int run(int argc, char** argv) {
  CLI::App app{
      "Times cuDNN's kernels for the convolutions of the models.\n\n  doppel_plans --out "
      "plans.json --properties device_properties_h200.json\n"
      "  doppel_plans --described tests/data/device_properties_h200_synthetic.json"};
  Arguments args;
  std::vector<std::string> known;
  for (const faceswap::ModelInfo& info : faceswap::model_list()) known.push_back(info.name);
  const auto option = [&](const char* name, auto& value, const char* help, const auto& check) {
    return app.add_option(name, value, help)->check(check)->capture_default_str();
  };
  option("--model", args.models, "Models", CLI::IsMember(known))->delimiter(',');
  option("--batch", args.batches, "Faces per person: the encoder's batch is twice that",
         CLI::Range(1, 1024))
      ->delimiter(',');
  option("--dtype", args.dtype, "f32, tf32, bf16 or f16", CLI::IsMember(math_types));
  option("--budget", args.budget_ms, "Milliseconds for each variant of each convolution",
         CLI::PositiveNumber);
  app.add_option("--out", args.out, "Write JSON there, after each convolution");
  CLI::Option* properties = app.add_option("--properties", args.properties,
                                           "Write the card's description there, as cuDNN gives it");
  app.add_option("--described", args.described,
                 "Plan for the card that this file describes, without times")
      ->check(CLI::ExistingFile)
      ->excludes(properties);
  CLI11_PARSE(app, argc, argv);

  ordered_json document{
      {"context", {{"suite", "doppel_plans"}, {"version", DOPPEL_VERSION}, {"dtype", args.dtype}}},
      {"rows", ordered_json::array()}};
  ordered_json& context = document["context"];
  std::string described;
  if (args.described.empty()) add_this_card(args, context);
  else described = add_described_card(args.described, context);

  for (const std::string& model : args.models)
    for (const int batch : args.batches)
      for (const ConvShape& shape : plans::conv_shapes(model, batch))
        for (const Direction direction : {Direction::forward, Direction::data, Direction::filter}) {
          const Problem problem = wanted(shape, direction, math_types.at(args.dtype));
          document["rows"].push_back(
              row(model, batch, problem,
                  args.described.empty()
                      ? bench::plans::time_on_this_card(problem, args.budget_ms)
                      : bench::plans::plan_for_description(
                            problem, context["compute_capability"].get<int>(), described)));
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
