#include "faceswap/inspect.h"

#include <memory>

#include "tools/command.h"

namespace {

void print_plain(const nlohmann::ordered_json& json, int indent) {
  for (const auto& [key, value] : json.items()) {
    if (key == "tensors") {
      for (const auto& t : value) {
        fmt::print("{:{}}{:34} {:5} {:20}", "", indent, t["name"].get<std::string>(),
                   t["dtype"].get<std::string>(), t["shape"].dump());
        if (t.contains("mean"))
          fmt::print(" mean {:+.2e} deviation {:.2e}{}", t["mean"].get<double>(),
                     t["deviation"].get<double>(), t["finite"].get<bool>() ? "" : " NOT FINITE");
        fmt::print("\n");
      }
    } else if (value.is_object()) {
      fmt::print("{:{}}{}\n", "", indent, key);
      print_plain(value, indent + 2);
    } else {
      fmt::print("{:{}}{:18} {}\n", "", indent, key,
                 value.is_string() ? value.get<std::string>() : value.dump());
    }
  }
}
}  // namespace

void add_inspect(CLI::App& app, Context& context) {
  CLI::App* command =
      app.add_subcommand("inspect",
                         "Show the contents of a checkpoint, a face, a picture or a clip\n\n"
                         "  doppel inspect model");
  struct Arguments {
    std::filesystem::path path, dump, faces_a, faces_b;
    int count = 4;
  };
  const auto args = std::make_shared<Arguments>();
  const OptionAdder add(command);
  add.required("path", args->path, "FILE",
               "Model folder, .safetensors, face PNG, picture, clip or folder");
  CLI::Option* faces_a = add("-A,--faces-a", args->faces_a, "Faces of A for --dump-faces");
  CLI::Option* faces_b = add("-B,--faces-b", args->faces_b, "Faces of B for --dump-faces");
  add("--dump-faces", args->dump,
      "Run faces through the model and write inputs and outputs as tensors, to compare with "
      "another implementation")
      ->type_name("OUT.safetensors")
      ->needs(faces_a)
      ->needs(faces_b);
  add("--count", args->count, "Faces per person for --dump-faces")->check(CLI::PositiveNumber);
  command->callback([args, &context] {
    if (!args->dump.empty()) {
      faceswap::dump_swap_samples(args->path, args->faces_a, args->faces_b, args->count,
                                  args->dump);
      return fmt::print("{}\n", args->dump.string());
    }
    const std::string text = faceswap::inspect_json(args->path);
    if (context.json) fmt::print("{}\n", text);
    else print_plain(nlohmann::ordered_json::parse(text), 0);
  });
}
