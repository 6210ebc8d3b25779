#include "faceswap/convert/converter.h"

#include <fmt/format.h>

#include <memory>
#include <nlohmann/json.hpp>

#include "faceswap/progress.h"
#include "tools/command.h"

void add_convert(CLI::App& app, Context& context) {
  CLI::App* command =
      app.add_subcommand("convert",
                         "Swap the face in a clip, a folder of frames or a picture\n\n  doppel "
                         "convert anna.mp4 -m model -o swapped.mp4\n\n"
                         "The clip shows person A and gets the face of person B; --swap is the "
                         "other way. Every time stamp and the\n"
                         "sound are kept. The output says in its metadata that it is synthetic; a "
                         "manifest lies beside it.");
  struct Arguments {
    faceswap::ConvertOptions options;
    std::string mask = "egg", color = "lab", faces = "largest";
  };
  const auto args = std::make_shared<Arguments>();
  faceswap::ConvertOptions& options = args->options;
  command->add_option("input", options.input, "Clip, folder of frames, or picture")
      ->required()
      ->type_name("IN");
  command->add_option("-m,--model-dir", options.model_dir, "Folder of the trained model")
      ->required()
      ->type_name("MODEL_DIR");
  command
      ->add_option("-o,--out", options.out,
                   "What to write: .mp4, .mkv or .mov for a clip, else a folder or a picture")
      ->required()
      ->type_name("OUT");
  command->add_flag("--swap", options.swap,
                    "The input shows person B and gets the face of person A");
  command->add_option("--mask", args->mask, "Shape of the replaced part: egg, skin or box")
      ->check(CLI::IsMember({"egg", "skin", "box"}));
  command
      ->add_option("--color", args->color,
                   "Match the new face's colours to the old one's: lab, mean or none")
      ->check(CLI::IsMember({"lab", "mean", "none"}));
  command
      ->add_option("--erode", options.compose.erode,
                   "Shrink the mask, share of the face's side; negative grows it")
      ->check(CLI::Range(-0.3, 0.3));
  command
      ->add_option("--feather", options.compose.feather,
                   "Softness of the mask's edge, share of the face's side")
      ->check(CLI::Range(0.0, 0.3));
  command->add_option("--faces", args->faces, "Which faces of a frame: largest or all")
      ->check(CLI::IsMember({"largest", "all"}));
  command->add_option("--tracks", options.tracks, "Only these tracks")->delimiter(',');
  command->add_option("--detector", options.detection.detector, "cascade, or yunet=FILE");
  command
      ->add_option("--min-face", options.detection.min_face,
                   "Smallest face, as a share of the frame's short side")
      ->check(CLI::Range(0.01, 1.0));
  command
      ->add_option("--crf", options.sink.crf, "Quality of the video: 0 lossless, 18 fine, 28 small")
      ->check(CLI::Range(0, 51));
  command->add_option("--preset", options.sink.preset,
                      "Speed of the video encoder (x264's presets)");
  command->add_option("--device", options.device, "auto, cpu or cuda")
      ->check(CLI::IsMember({"auto", "cpu", "cuda"}));
  command->add_option("--precision", options.precision, "auto, f32 or bf16")
      ->check(CLI::IsMember({"auto", "f32", "bf16"}));
  command->add_option("--batch", options.batch, "Faces per pass through the model")
      ->check(CLI::Range(1, 1024));
  command->add_flag("!--no-manifest", options.manifest, "Do not write OUT.provenance.json");
  command->add_flag("--force", options.sink.force, "Overwrite OUT");
  command->callback([args, &context] {
    faceswap::install_stop_handlers();
    faceswap::ConvertOptions& o = args->options;
    o.compose.mask = faceswap::mask_kind(args->mask);
    o.compose.color = faceswap::color_kind(args->color);
    o.faces = faceswap::face_choice(args->faces);
    o.command = context.command_line;
    o.quiet = context.quiet;
    const faceswap::ConvertReport report = faceswap::convert(o);
    if (faceswap::stop_signal() != 0) {
      fmt::print(stderr, "stopped: nothing was written to {}\n", o.out.string());
      return;
    }
    if (context.json)
      fmt::print("{}\n", nlohmann::ordered_json{{"out", o.out.string()},
                                                {"frames", report.frames},
                                                {"frames_changed", report.frames_changed},
                                                {"faces", report.faces},
                                                {"damaged_frames", report.damaged_frames}}
                             .dump(2));
    else
      fmt::print("{}: {} of {} frames changed\n", o.out.string(), report.frames_changed,
                 report.frames);
    for (const std::string& note : report.notes) fmt::print(stderr, "note: {}\n", note);
    if (report.damaged_frames > 0)
      fmt::print(stderr, "{} frames of the input are damaged\n", report.damaged_frames);
  });
}
