#include "faceswap/faces/extract.h"

#include <memory>

#include "faceswap/progress.h"
#include "tools/command.h"

namespace {

void extract(const faceswap::ExtractOptions& options, bool json) {
  faceswap::install_stop_handlers();
  const faceswap::ExtractReport report = faceswap::extract(options);
  if (json) {
    auto tracks = nlohmann::ordered_json::array();
    for (const auto& [track, faces] : report.faces_per_track)
      tracks.push_back({{"track", track}, {"faces", faces}});
    return print_json({{"faces", report.faces},
                       {"frames_read", report.frames_read},
                       {"frames_used", report.frames_used},
                       {"frames_without_face", report.frames_without_face},
                       {"damaged_frames", report.damaged_frames},
                       {"tracks", tracks}});
  }
  fmt::print("{} faces from {} frames ({} without a face) in {}\n", report.faces,
             report.frames_used, report.frames_without_face, options.out.string());
  if (report.tracks > 1) {
    fmt::print(
        "{} tracks, each one person in one shot: look at {} and delete those of other people\n",
        report.tracks, (options.out / "sheet.png").string());
    for (const auto& [track, faces] : report.faces_per_track)
      fmt::print("  track {:3}: {} faces\n", track, faces);
  }
  if (report.damaged_frames > 0)
    fmt::print(stderr, "{} damaged frames were skipped\n", report.damaged_frames);
}
}  // namespace

void add_extract(CLI::App& app, Context& context) {
  CLI::App* command =
      app.add_subcommand("extract",
                         "Find faces in clips, folders or pictures and save them aligned\n\n"
                         "  doppel extract anna.mp4 more/*.jpg -o faces/anna");
  const auto options = std::make_shared<faceswap::ExtractOptions>();
  const OptionAdder add(command);
  add.required("inputs", options->inputs, "IN", "Clips, folders of pictures, or pictures");
  add.required("-o,--out", options->out, "FACES", "Folder for the faces");
  add("--every", options->every, "Keep every Nth frame of a clip or folder")
      ->check(CLI::PositiveNumber);
  add("--size", options->size, "Side of the saved face in pixels")->check(CLI::Range(64, 1024));
  add.detection(options->detection);
  add("--max-faces", options->max_faces, "Faces per frame, the largest first; 0: all")
      ->check(CLI::NonNegativeNumber);
  command->add_flag("--force", options->force, "Write into a folder that already holds faces");
  command->add_flag("!--no-sheet", options->sheet, "Do not write the contact sheet sheet.png");
  command->callback([options, &context] {
    options->quiet = context.quiet;
    extract(*options, context.json);
  });
}
