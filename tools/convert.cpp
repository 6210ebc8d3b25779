#include "faceswap/convert/converter.h"

#include <memory>

#include "faceswap/progress.h"
#include "tools/command.h"

namespace {

void convert(const faceswap::ConvertOptions& options, bool json) {
  faceswap::install_stop_handlers();
  const faceswap::ConvertReport report = faceswap::convert(options);
  const std::string out = options.out.string();
  if (faceswap::stop_signal() != 0)
    return fmt::print(stderr, "stopped: nothing was written to {}\n", out);
  if (json)
    print_json({{"out", out},
                {"frames", report.frames},
                {"frames_changed", report.frames_changed},
                {"faces", report.faces},
                {"damaged_frames", report.damaged_frames}});
  else fmt::print("{}: {} of {} frames changed\n", out, report.frames_changed, report.frames);
  for (const std::string& note : report.notes) fmt::print(stderr, "note: {}\n", note);
  if (report.damaged_frames > 0)
    fmt::print(stderr, "{} frames of the input are damaged\n", report.damaged_frames);
}
}  // namespace

void add_convert(CLI::App& app, Context& context) {
  CLI::App* command = app.add_subcommand(
      "convert",
      "Swap the face in a clip, a folder of frames or a picture\n\n"
      "  doppel convert anna.mp4 -m model -o swapped.mp4\n\n"
      "The clip shows person A and gets the face of person B; --swap does the reverse. Every time\n"
      "stamp and the sound are kept. The metadata of the output mark it as synthetic, and a\n"
      "manifest lies beside it.");
  struct Arguments {
    faceswap::ConvertOptions options;
    std::string mask = "egg", color = "lab", faces = "largest";
  };
  const auto args = std::make_shared<Arguments>();
  faceswap::ConvertOptions& o = args->options;
  const OptionAdder add(command);
  using CLI::Range;
  add.required("input", o.input, "IN", "Clip, folder of frames, or picture");
  add.required("-m,--model-dir", o.model_dir, "MODEL_DIR", "Folder of the trained model");
  add.required("-o,--out", o.out, "OUT",
               "Output: .mp4, .mkv or .mov for a clip, else a folder or a picture");
  command->add_flag("--swap", o.swap, "The input shows person B and gets the face of person A");
  add.choice("--mask", args->mask, "Shape of the replaced region: egg, skin or box",
             {"egg", "skin", "box"});
  add.choice("--color", args->color, "Match the new face's colours to the old: lab, mean or none",
             {"lab", "mean", "none"});
  add("--erode", o.compose.erode, "Shrink the mask, share of the face's side; negative grows it")
      ->check(Range(-0.3, 0.3));
  add("--feather", o.compose.feather, "Softness of the mask's edge, share of the face's side")
      ->check(Range(0.0, 0.3));
  add.choice("--faces", args->faces, "Faces of a frame: largest or all", {"largest", "all"});
  add("--tracks", o.tracks, "Only these tracks")->delimiter(',');
  add("--person", o.people, "Only people who look like one of these pictures")
      ->type_name("PICTURE");
  add("--not", o.not_people, "Nobody who looks like one of these pictures")->type_name("PICTURE");
  add.detection(o.detection);
  add("--crf", o.sink.crf, "Quality of the video: 0 lossless, 18 fine, 28 small")
      ->check(Range(0, 51));
  add("--preset", o.sink.preset, "Speed of the video encoder (x264's presets)");
  add.device(o.device);
  add.choice("--precision", o.precision, "auto, f32, bf16 or f16", {"auto", "f32", "bf16", "f16"});
  add("--batch", o.batch, "Faces per pass through the model")->check(Range(1, 1024));
  command->add_flag("!--no-manifest", o.manifest, "Do not write OUT.provenance.json");
  command->add_flag("--force", o.sink.force, "Overwrite OUT");
  command->callback([args, &context] {
    faceswap::ConvertOptions& options = args->options;
    options.compose.mask = faceswap::mask_kind(args->mask);
    options.compose.color = faceswap::color_kind(args->color);
    options.faces = faceswap::face_choice(args->faces);
    options.command = context.command_line;
    options.quiet = context.quiet;
    convert(options, context.json);
  });
}
