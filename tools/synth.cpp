#include <fmt/format.h>

#include <memory>
#include <nlohmann/json.hpp>

#include "faceswap/progress.h"
#include "faceswap/synthetic/clip.h"
#include "tools/command.h"

void add_synth(CLI::App& app, Context& context) {
  CLI::App* command = app.add_subcommand(
      "synth",
      "Render a clip of a synthetic talking head\n\n  doppel synth --person a -o a.mp4\n  doppel "
      "synth --person b --pose-of 5 -o truth.mp4   # the same motion with the other face");
  struct Arguments {
    faceswap::ClipOptions clip;
    std::string person = "a";
    std::filesystem::path out, truth;
  };
  const auto args = std::make_shared<Arguments>();
  faceswap::ClipOptions& clip = args->clip;
  command->add_option("--person", args->person, "a or b")->check(CLI::IsMember({"a", "b"}));
  command
      ->add_option("--pose-of", clip.pose_seed,
                   "Seed of the motion: clips with one seed move alike")
      ->type_name("CLIP_SEED");
  command->add_option("-o,--out", args->out, "The video")->required()->type_name("OUT.mp4");
  command->add_option("--truth", args->truth, "Landmarks and pose of each frame as JSON lines")
      ->type_name("FILE");
  command->add_option("--frames", clip.frames, "Length")->check(CLI::Range(1, 100000));
  command->add_option("--fps", clip.fps, "Frames per second")->check(CLI::Range(1, 120));
  command->add_option("--width", clip.width, "Pixels, even")->check(CLI::Range(64, 4096));
  command->add_option("--height", clip.height, "Pixels, even")->check(CLI::Range(64, 4096));
  command->add_option("--background", clip.background, "0 wall, 1 blotchy wall, 2 shelves")
      ->check(CLI::Range(0, 2));
  command->add_option("--background-seed", clip.background_seed, "Look of the background");
  command->add_flag("!--no-sound", clip.sound, "Silent");
  command->add_flag("--force", clip.force, "Overwrite OUT");
  command->callback([args, &context] {
    faceswap::install_stop_handlers();
    args->clip.person = args->person[0];
    args->clip.quiet = context.quiet;
    faceswap::render_clip(args->clip, args->out, args->truth);
    if (context.json)
      fmt::print(
          "{}\n",
          nlohmann::ordered_json{{"out", args->out.string()}, {"frames", args->clip.frames}}.dump(
              2));
    else
      fmt::print("{}: {} frames of person {}\n", args->out.string(), args->clip.frames,
                 args->person);
  });
}
