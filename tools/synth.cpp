#include <memory>

#include "faceswap/progress.h"
#include "faceswap/synthetic/clip.h"
#include "tools/command.h"

void add_synth(CLI::App& app, Context& context) {
  CLI::App* command = app.add_subcommand(
      "synth",
      "Render a clip of a synthetic talking head\n\n"
      "  doppel synth --person a -o a.mp4\n"
      "  doppel synth --person b --pose-of 5 -o truth.mp4   # the same motion, the other face");
  struct Arguments {
    faceswap::ClipOptions clip;
    std::string person = "a";
    std::filesystem::path out, truth;
  };
  const auto args = std::make_shared<Arguments>();
  faceswap::ClipOptions& clip = args->clip;
  const OptionAdder add(command);
  add.choice("--person", args->person, "a or b", {"a", "b"});
  add("--pose-of", clip.pose_seed, "Seed of the motion: clips with one seed move alike")
      ->type_name("CLIP_SEED");
  add("-o,--out", args->out, "The video")->required()->type_name("OUT.mp4");
  add("--truth", args->truth, "Landmarks and pose of each frame as JSON lines")->type_name("FILE");
  add("--frames", clip.frames, "Length")->check(CLI::Range(1, 100000));
  add("--fps", clip.fps, "Frames per second")->check(CLI::Range(1, 120));
  add("--width", clip.width, "Pixels, even")->check(CLI::Range(64, 4096));
  add("--height", clip.height, "Pixels, even")->check(CLI::Range(64, 4096));
  add("--background", clip.background, "0 wall, 1 blotchy wall, 2 shelves")
      ->check(CLI::Range(0, 2));
  add("--background-seed", clip.background_seed, "Look of the background");
  command->add_flag("!--no-sound", clip.sound, "Silent");
  command->add_flag("--force", clip.force, "Overwrite OUT");
  command->callback([args, &context] {
    faceswap::install_stop_handlers();
    args->clip.person = args->person[0];
    args->clip.quiet = context.quiet;
    faceswap::render_clip(args->clip, args->out, args->truth);
    const std::string out = args->out.string();
    if (context.json) print_json({{"out", out}, {"frames", args->clip.frames}});
    else fmt::print("{}: {} frames of person {}\n", out, args->clip.frames, args->person);
  });
}
