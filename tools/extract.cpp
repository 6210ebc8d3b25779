#include "faceswap/faces/extract.h"

#include <memory>

#include "faceswap/progress.h"
#include "tools/command.h"

namespace {

constexpr const char* kAbout =
    R"(Find faces in clips, folders or pictures and save them aligned

  doppel extract anna.mp4 more/*.jpg -o faces/anna

FACES gets one PNG per face, named after its source, and sheet.png with a thumbnail of each. The
people found are numbered from 0, the one with most faces first. False faces, near-duplicates and
people who were not asked for lie in FACES/refused, each with its reason inside.
Next: doppel review FACES, a page on which to keep one person, or doppel faces keep.
A run that was stopped or killed goes on when it is started again. --force adds to a folder;
what lies in it already is not read again.)";

nlohmann::ordered_json to_json(const std::vector<faceswap::SkippedFile>& files) {
  auto list = nlohmann::ordered_json::array();
  for (const faceswap::SkippedFile& file : files)
    list.push_back({{"path", file.path}, {"why", file.why}});
  return list;
}

nlohmann::ordered_json to_json(const faceswap::ExtractReport& report) {
  auto tracks = nlohmann::ordered_json::array();
  for (const auto& [track, faces] : report.faces_per_track)
    tracks.push_back({{"track", track}, {"faces", faces}});
  auto people = nlohmann::ordered_json::array();
  for (const auto& [person, faces] : report.faces_per_person)
    if (person >= 0) people.push_back({{"person", person}, {"faces", faces}});
  const faceswap::StageTimes& t = report.times;
  return {
      {"faces", report.faces},
      {"frames_read", report.frames_read},
      {"frames_used", report.frames_used},
      {"frames_without_face", report.frames_without_face},
      {"damaged_frames", report.damaged_frames},
      {"people", people},
      {"tracks", tracks},
      {"refused", report.refused},
      {"sources", report.sources},
      {"done_before", report.done_before},
      {"stopped", report.stopped},
      {"skipped", to_json(report.skipped)},
      {"failed", to_json(report.failed)},
      {"notes", report.notes},
      {"seconds",
       {{"decode", t.decode},
        {"convert", t.convert},
        {"detect", t.detect},
        {"align", t.align},
        {"write", t.write},
        {"wall", t.wall}}},
      {"frames_per_second", t.wall > 0 ? static_cast<double>(report.frames_now) / t.wall : 0.0}};
}

void print_timings(const faceswap::ExtractReport& report) {
  const faceswap::StageTimes& t = report.times;
  fmt::print(stderr,
             "seconds by stage, side by side: decode {:.2f}, convert {:.2f}, detect {:.2f}, align "
             "{:.2f}, write {:.2f}\n{} frames in {:.2f} s: {:.1f} a second\n",
             t.decode, t.convert, t.detect, t.align, t.write, report.frames_now, t.wall,
             static_cast<double>(report.frames_now) / t.wall);
}

// On stderr: all that is not a result.
void print_remarks(const faceswap::ExtractReport& report) {
  for (const std::string& note : report.notes) fmt::print(stderr, "{}\n", note);
  for (const faceswap::SkippedFile& file : report.skipped)
    fmt::print(stderr, "skipped {}: {}\n", file.path, file.why);
  if (report.damaged_frames > 0)
    fmt::print(stderr, "{} damaged frames were skipped\n", report.damaged_frames);
  if (report.stopped)
    fmt::print(stderr,
               "stopped: start the same command again to go on; clips that are done are not read "
               "again\n");
}

void print_result(const faceswap::ExtractReport& report, const std::filesystem::path& out) {
  fmt::print("{} faces from {} frames ({} without a face) in {}\n", report.faces,
             report.frames_used, report.frames_without_face, out.string());
  for (const auto& [person, faces] : report.faces_per_person)
    if (person >= 0) fmt::print("  person {:3}: {} faces\n", person, faces);
  if (report.faces_per_person.size() > 1 || report.tracks > 1)
    fmt::print(
        "to keep one person: doppel review {0}, or doppel faces keep {0} --person N --only\n",
        out.string());
  if (!report.refused.empty()) fmt::print("refused, in {}:\n", (out / "refused").string());
  for (const auto& [reason, faces] : report.refused) fmt::print("  {:5} {}\n", faces, reason);
  fmt::print("doppel faces coverage {} says which poses and light are missing\n", out.string());
}

void extract(const faceswap::ExtractOptions& options, bool json, bool timings) {
  faceswap::install_stop_handlers();
  const faceswap::ExtractReport report = faceswap::extract(options);
  print_remarks(report);
  if (timings) print_timings(report);
  if (json) print_json(to_json(report));
  else print_result(report, options.out);
  if (!report.failed.empty())
    throw faceswap::Error(
        faceswap::ErrorKind::input,
        fmt::format("{}: {} ({} of {} inputs could not be read; the others are done)",
                    report.failed[0].path, report.failed[0].why, report.failed.size(),
                    report.sources));
}
}  // namespace

void add_extract(CLI::App& app, Context& context) {
  CLI::App* command = app.add_subcommand("extract", kAbout);
  const auto options = std::make_shared<faceswap::ExtractOptions>();
  const auto pictures = std::make_shared<std::string>("auto");
  const auto timings = std::make_shared<bool>(false);
  const OptionAdder add(command);
  add.required("inputs", options->inputs, "IN", "Clips, folders of pictures, or pictures");
  add.required("-o,--out", options->out, "FACES", "Folder for the faces");
  add("--every", options->every,
      "Keep every Nth frame of clips and of folders of frames; photos are all used")
      ->check(CLI::PositiveNumber);
  add.choice("--pictures", *pictures,
             "A folder's pictures are frames of one clip, or photos; auto: frames if they are "
             "numbered and neighbours look alike",
             {"auto", "frames", "photos"});
  add("--size", options->size, "Side of the saved face in pixels")->check(CLI::Range(64, 1024));
  add.detection(options->detection);
  add("--max-faces", options->max_faces, "Faces per frame, the largest first; 0: all")
      ->check(CLI::NonNegativeNumber);
  add("--person", options->people, "Keep only people who look like one of these pictures")
      ->type_name("PICTURE");
  add("--not", options->not_people, "Leave out people who look like one of these pictures")
      ->type_name("PICTURE");
  add("--difference", options->least_difference,
      "Of faces that differ less, the sharpest stays: 0.25 leaves out what is hardly another "
      "picture, 0.5 what looks the same to a person, 0 nothing")
      ->check(CLI::Range(0.0, 10.0));
  add("--diverse", options->diverse,
      "Faces per person, those that differ most in pose, expression and light; 0: all")
      ->check(CLI::NonNegativeNumber);
  command->add_flag("--force", options->force, "Add to a folder that already holds faces");
  command->add_flag("!--no-sheet", options->sheet, "Do not write the contact sheet sheet.png");
  command->add_flag("--timings", *timings, "Print the seconds spent in each stage");
  command->callback([options, pictures, timings, &context] {
    options->quiet = context.quiet;
    options->pictures = faceswap::picture_folders(*pictures);
    extract(*options, context.json, *timings);
  });
}
