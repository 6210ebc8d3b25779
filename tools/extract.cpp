#include "faceswap/faces/extract.h"

#include <fmt/format.h>

#include <memory>
#include <nlohmann/json.hpp>

#include "faceswap/progress.h"
#include "tools/command.h"

void add_extract(CLI::App& app, Context& context) {
  CLI::App* command =
      app.add_subcommand("extract",
                         "Find faces in clips, folders or pictures and save them aligned\n\n  "
                         "doppel extract anna.mp4 more/*.jpg -o faces/anna");
  const auto options = std::make_shared<faceswap::ExtractOptions>();
  command->add_option("inputs", options->inputs, "Clips, folders of pictures, or pictures")
      ->required()
      ->type_name("IN");
  command->add_option("-o,--out", options->out, "Folder for the faces")
      ->required()
      ->type_name("FACES");
  command->add_option("--every", options->every, "Keep every Nth frame of a clip or folder")
      ->check(CLI::PositiveNumber);
  command->add_option("--size", options->size, "Side of the saved face in pixels")
      ->check(CLI::Range(64, 1024));
  command->add_option("--detector", options->detection.detector,
                      "cascade, or yunet=FILE with a YuNet model file (finds darker, turned and "
                      "smaller faces better)");
  command
      ->add_option("--min-face", options->detection.min_face,
                   "Smallest face, as a share of the frame's short side")
      ->check(CLI::Range(0.01, 1.0));
  command
      ->add_option("--max-faces", options->max_faces, "Faces per frame, the largest first; 0: all")
      ->check(CLI::NonNegativeNumber);
  command->add_flag("--force", options->force, "Write into a folder that already holds faces");
  command->add_flag("!--no-sheet", options->sheet, "Do not write the contact sheet sheet.png");
  command->callback([options, &context] {
    faceswap::install_stop_handlers();
    options->quiet = context.quiet;
    const faceswap::ExtractReport report = faceswap::extract(*options);
    if (context.json) {
      nlohmann::ordered_json json = {{"faces", report.faces},
                                     {"frames_read", report.frames_read},
                                     {"frames_used", report.frames_used},
                                     {"frames_without_face", report.frames_without_face},
                                     {"damaged_frames", report.damaged_frames},
                                     {"tracks", nlohmann::json::array()}};
      for (const auto& [track, faces] : report.faces_per_track)
        json["tracks"].push_back({{"track", track}, {"faces", faces}});
      fmt::print("{}\n", json.dump(2));
      return;
    }
    fmt::print("{} faces from {} frames ({} without a face) in {}\n", report.faces,
               report.frames_used, report.frames_without_face, options->out.string());
    if (report.tracks > 1) {
      fmt::print(
          "{} tracks, each one person in one shot: look at {} and delete those of other people\n",
          report.tracks, (options->out / "sheet.png").string());
      for (const auto& [track, faces] : report.faces_per_track)
        fmt::print("  track {:3}: {} faces\n", track, faces);
    }
    if (report.damaged_frames > 0)
      fmt::print(stderr, "{} damaged frames were skipped\n", report.damaged_frames);
  });
}
