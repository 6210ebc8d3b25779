// doppel faces: what is in a folder of faces, and decisions on it.
#include <algorithm>
#include <map>
#include <memory>
#include <set>

#include "faceswap/faces/coverage.h"
#include "faceswap/faces/face_copies.h"
#include "faceswap/faces/face_file.h"
#include "faceswap/faces/face_query.h"
#include "faceswap/faces/import.h"
#include "faceswap/media/png.h"
#include "faceswap/sort_faces.h"
#include "tools/command.h"

namespace {

using namespace faceswap;
using Json = nlohmann::ordered_json;

// --- list

struct Count {
  int kept = 0, left_out = 0;
};

std::map<int, Count> tracks_of(const FaceFolder& folder, int person) {
  std::map<int, Count> tracks;
  for (const FolderFace& face : folder.faces()) {
    if (face.face.person != person) continue;
    Count& count = tracks[face.face.track];
    ++(face.dropped ? count.left_out : count.kept);
  }
  return tracks;
}

Json people_json(const FaceFolder& folder) {
  Json people = Json::array();
  for (const FolderPerson& person : folder.people()) {
    Json tracks = Json::array();
    for (const auto& [track, count] : tracks_of(folder, person.number))
      tracks.push_back({{"track", track}, {"kept", count.kept}, {"left_out", count.left_out}});
    people.push_back({{"person", person.number},
                      {"name", person.name},
                      {"kept", person.kept},
                      {"left_out", person.dropped},
                      {"tracks", tracks}});
  }
  return people;
}

Json faces_json(const FaceFolder& folder) {
  Json faces = Json::array();
  for (const FolderFace& face : folder.faces()) {
    Json marks = Json::array();
    for (const FaceMark mark : face.face.marks) marks.push_back(name(mark));
    faces.push_back({{"file", face.name},
                     {"source", face.face.source},
                     {"frame", face.face.frame},
                     {"track", face.face.track},
                     {"person", face.face.person},
                     {"marks", marks},
                     {"kept", !face.dropped},
                     {"reason", face.reason}});
  }
  return faces;
}

// "; track 0: 7, 6: 43"
std::string tracks_text(const std::map<int, Count>& tracks) {
  constexpr int kMost = 12;
  std::string text;
  int shown = 0;
  for (const auto& [track, count] : tracks)
    if (count.kept > 0 && ++shown <= kMost)
      text += fmt::format("{}{}: {}", shown == 1 ? "; track " : ", ", track, count.kept);
  return shown <= kMost ? text : text + fmt::format(" and {} more", shown - kMost);
}

void list_plain(const FaceFolder& folder) {
  fmt::print("{}: {} faces to train on, {} left out\n", folder.path().string(), folder.kept(),
             static_cast<int>(folder.faces().size()) - folder.kept());
  for (const FolderPerson& person : folder.people()) {
    const bool named = person.number >= 0 && !person.name.empty();
    fmt::print("  {:<20} {:5} faces, {:5} left out{}\n",
               named ? fmt::format("person {} {}", person.number, person.name) : describe(person),
               person.kept, person.dropped, tracks_text(tracks_of(folder, person.number)));
  }
  std::map<std::string, int> marks, reasons;
  for (const FolderFace& face : folder.faces()) {
    if (face.dropped) ++reasons[face.reason];
    else
      for (const FaceMark mark : face.face.marks) ++marks[name(mark)];
  }
  if (!marks.empty()) fmt::print("marked, but kept:\n");
  for (const auto& [mark, count] : marks) fmt::print("  {:<20} {:5} faces\n", mark, count);
  if (!reasons.empty()) fmt::print("left out:\n");
  for (const auto& [reason, count] : reasons) fmt::print("  {:5} faces: {}\n", count, reason);
  for (const std::string& file : folder.missing())
    fmt::print("decided on, but not there: {}\n", file);
}

// --- decisions

void report(const FaceFolder& folder, const Context& context, const std::string& done,
            std::size_t changed) {
  if (context.json)
    return print_json({{"changed", changed},
                       {"kept", folder.kept()},
                       {"left_out", static_cast<int>(folder.faces().size()) - folder.kept()},
                       {"undoable", folder.undoable()},
                       {"redoable", folder.redoable()}});
  fmt::print("{}; {} of {} faces are left to train on\n", done, folder.kept(),
             folder.faces().size());
}

FaceList chosen_faces(const FaceFolder& folder, const FaceQuery& query) {
  if (query.empty())
    throw Error(ErrorKind::usage,
                "no faces chosen: name files, or use --person, --track, --mark or --source");
  FaceList faces = find_faces(folder, query);
  if (faces.empty())
    throw Error(ErrorKind::nothing_found,
                fmt::format("{}: no face fits all that was asked for; see `doppel faces list {}`",
                            folder.path().string(), folder.path().string()));
  return faces;
}

std::vector<std::string> names_of(const FaceList& faces) {
  std::vector<std::string> names;
  for (const FolderFace* face : faces) names.push_back(face->name);
  return names;
}

// The faces of the list that are dropped, or that are not.
FaceList with_state(FaceList faces, bool dropped) {
  std::erase_if(faces, [&](const FolderFace* face) { return face->dropped != dropped; });
  return faces;
}

void drop(const std::filesystem::path& path, const FaceQuery& query, const std::string& reason,
          const Context& context) {
  FaceFolder folder(path);
  const FaceList faces = with_state(chosen_faces(folder, query), false);
  if (!faces.empty()) folder.decide({Decision::drop, names_of(faces), -1, reason, {}});
  report(folder, context, fmt::format("{} faces dropped", faces.size()), faces.size());
}

void keep(const std::filesystem::path& path, const FaceQuery& query, const Context& context) {
  FaceFolder folder(path);
  const FaceList faces = with_state(chosen_faces(folder, query), true);
  if (!faces.empty()) folder.decide({Decision::keep, names_of(faces), -1, "", {}});
  report(folder, context, fmt::format("{} faces taken back", faces.size()), faces.size());
}

void keep_only(const std::filesystem::path& path, const FaceQuery& query, const Context& context) {
  FaceFolder folder(path);
  const FaceList chosen = chosen_faces(folder, query);
  FaceList others = kept_faces(folder);
  std::erase_if(others, [&](const FolderFace* face) {
    return std::ranges::find(chosen, face) != chosen.end();
  });
  if (!others.empty())
    folder.decide({Decision::drop, names_of(others), -1, "not among those kept", {}});
  report(folder, context, fmt::format("{} others dropped", others.size()), others.size());
}

void move(const std::filesystem::path& path, const FaceQuery& query, const std::string& to,
          const Context& context) {
  FaceFolder folder(path);
  const FaceList faces = chosen_faces(folder, query);
  const int person = to == "new" ? folder.unused_person() : find_person(folder, to);
  folder.decide({Decision::move, names_of(faces), person, "", {}});
  report(folder, context, fmt::format("{} faces are person {}'s", faces.size(), person),
         faces.size());
}

void merge(const std::filesystem::path& path, const std::vector<std::string>& people,
           const Context& context) {
  FaceFolder folder(path);
  const int into = find_person(folder, people.front());
  FaceQuery others;
  others.people.assign(people.begin() + 1, people.end());
  FaceList faces = find_faces(folder, others);
  std::erase_if(faces, [&](const FolderFace* face) { return face->face.person == into; });
  if (!faces.empty()) folder.decide({Decision::move, names_of(faces), into, "", {}});
  report(folder, context, fmt::format("{} faces more are person {}'s", faces.size(), into),
         faces.size());
}

void rename(const std::filesystem::path& path, const std::string& person, const std::string& text,
            const Context& context) {
  FaceFolder folder(path);
  const int number = find_person(folder, person);
  folder.decide({Decision::rename, {}, number, text, {}});
  report(folder, context, fmt::format("person {} is called {}", number, text), 0);
}

void step_back(const std::filesystem::path& path, bool redo, const Context& context) {
  FaceFolder folder(path);
  const bool done = redo ? folder.redo() : folder.undo();
  report(folder, context,
         done ? (redo ? "decided again" : "taken back")
              : (redo ? "nothing to redo" : "nothing to undo"),
         done ? 1 : 0);
}

// --- sort

struct SortArguments {
  std::filesystem::path sheet, copies;
  std::string key, side = "a";
  SortOptions options;
  bool force = false;
  int groups = 1;
};

void sort(const std::filesystem::path& path, SortArguments args, const Context& context) {
  args.options.key = face_key(args.key);
  args.options.side = args.side == "a" ? Side::a : Side::b;
  args.options.quiet = context.quiet;
  const FaceFolder folder(path);
  const SortedFaces sorted = sort_faces(folder, args.options);
  const std::vector<SheetGroup> groups = sheet_groups(sorted, args.groups);
  if (!args.sheet.empty())
    for (const std::filesystem::path& page : write_pages(groups, args.sheet, args.force))
      fmt::print(stderr, "{}\n", page.string());
  if (!args.copies.empty())
    copy_faces(sorted.faces, args.copies, 0, true, args.force, context.quiet);
  std::size_t i = 0;
  Json rows = Json::array();
  for (std::size_t g = 0; g < groups.size(); ++g)
    for (const FolderFace* face : groups[g].faces) {
      const double value = sorted.values[i++];
      if (context.json) rows.push_back({{"file", face->name}, {"value", value}, {"group", g + 1}});
      else if (args.groups > 1) fmt::print("{}\t{:.6g}\t{}\n", g + 1, value, face->name);
      else fmt::print("{:.6g}\t{}\n", value, face->name);
    }
  if (context.json) print_json({{"by", args.key}, {"faces", rows}});
}

// --- coverage

Json coverage_json(const Coverage& coverage) {
  Json directions = Json::array();
  for (int row = 0; row < Coverage::kPitches; ++row)
    for (int column = 0; column < Coverage::kYaws; ++column)
      directions.push_back({{"yaw", Coverage::yaw_of(column)},
                            {"pitch", Coverage::pitch_of(row)},
                            {"faces", coverage.count(column, row)}});
  const Coverage& c = coverage;
  return {{"faces", c.faces()},
          {"directions", directions},
          {"mouth", {{"closed", c.mouth(0)}, {"open", c.mouth(1)}, {"wide_open", c.mouth(2)}}},
          {"eyes_shut", c.eyes_shut()},
          {"brightness",
           {{"dim", c.brightness(0)}, {"medium", c.brightness(1)}, {"bright", c.brightness(2)}}},
          {"brighter_side",
           {{"left", c.brighter_side(0)},
            {"neither", c.brighter_side(1)},
            {"right", c.brighter_side(2)}}},
          {"missing", c.missing()}};
}

void cover(const std::filesystem::path& path, const FaceQuery& query,
           const std::filesystem::path& chart, bool force, const Context& context) {
  list_faces(path);  // throws where all are left out
  const FaceFolder folder(path);
  const FaceList faces = with_state(find_faces(folder, query), false);
  if (faces.empty())
    throw Error(ErrorKind::nothing_found,
                fmt::format("{}: every face of this person is left out; see `doppel faces list {}`",
                            path.string(), path.string()));
  std::set<int> people;
  for (const FolderFace* face : faces) people.insert(face->face.person);
  if (people.size() > 1)
    fmt::print(stderr, "{} people counted as one; choose one with --person\n", people.size());
  const Coverage coverage = coverage_of(faces, context.quiet);
  if (!chart.empty()) write_png(chart, coverage.picture(), {}, force);
  if (context.json) print_json(coverage_json(coverage));
  else fmt::print("{}", coverage.text());
}

// --- whole folders

void verify(const std::filesystem::path& path, const Context& context) {
  const FolderCheck check = verify_folder(path, context.quiet);
  if (context.json) {
    print_json({{"faces", check.faces},
                {"damaged", check.damaged},
                {"duplicates", check.duplicates},
                {"missing", check.missing}});
  } else {
    fmt::print("{} faces, {} damaged\n", check.faces, check.damaged.size());
    for (const std::string& problem : check.damaged) fmt::print("  {}\n", problem);
    for (const auto& same : check.duplicates)
      fmt::print("the same picture: {}\n", fmt::join(same, ", "));
    for (const std::string& file : check.missing)
      fmt::print("decided on, but not there: {}\n", file);
  }
  if (!check.damaged.empty())
    throw Error(ErrorKind::damaged,
                fmt::format("{}: {} damaged files, listed on stdout; restore them or move them "
                            "out of the folder",
                            path.string(), check.damaged.size()));
}

void resize(const std::filesystem::path& path, const std::filesystem::path& out, int size,
            bool force, const Context& context) {
  list_faces(path);  // throws where all are left out
  const FaceFolder folder(path);
  const auto files = copy_faces(kept_faces(folder), out, size, false, force, context.quiet);
  if (context.json) return print_json({{"faces", files.size()}, {"size", size}});
  fmt::print("{} faces of {} pixels in {}\n", files.size(), size, out.string());
}

void import(const std::filesystem::path& path, const std::filesystem::path& out, int size,
            bool force, const Context& context) {
  const ImportReport imported = import_faces(path, out, size, force, context.quiet);
  if (context.json)
    return print_json({{"faces", imported.faces},
                       {"faceswap", imported.faceswap},
                       {"deepfacelab", imported.deepfacelab},
                       {"skipped", imported.skipped}});
  fmt::print("{} faces in {}: {} of Faceswap, {} of DeepFaceLab\n", imported.faces, out.string(),
             imported.faceswap, imported.deepfacelab);
  for (const std::string& problem : imported.skipped) fmt::print(stderr, "skipped {}\n", problem);
}

// --- flags

struct Arguments {
  std::filesystem::path folder, out, chart;
  FaceQuery query;
  std::string reason, to, person, text;
  std::vector<std::string> people;
  int size = 256;
  bool only = false, force = false;
  SortArguments sort;
};

void add_query(CLI::App* command, FaceQuery& query) {
  command->add_option("files", query.files, "Names of faces in the folder")->type_name("FILE");
  const auto add = [command](const char* name, auto& list, const char* help) {
    command->add_option(name, list, help)->allow_extra_args(false);  // one value each time
  };
  add("--person", query.people, "Faces of this person, by number or name");
  add("--track", query.tracks, "Faces of this track");
  add("--mark", query.marks,
      "Faces with this mark: tiny, blurred, dark, cut-off, covered, eyes-shut, profile");
  add("--source", query.sources, "Faces of this clip or picture");
}

std::string key_help() {
  std::string text = "The order, lowest value first:";
  for (const FaceKeyInfo& info : face_keys())
    text += fmt::format("\n  {}: {}", info.name, info.help);
  return text;
}
}  // namespace

void add_faces(CLI::App& app, Context& context) {
  CLI::App* faces = app.add_subcommand(
      "faces",
      "List, sort, drop, keep and name the faces of a folder; say which are missing\n\n"
      "  doppel faces list faces/anna\n"
      "  doppel faces drop faces/anna --track 3\n"
      "  doppel faces keep faces/anna --person 0 --only\n"
      "  doppel faces sort faces/anna --by blur --sheet blur.png\n"
      "  doppel faces coverage faces/anna --person 0\n\n"
      "No picture is changed or deleted: decisions are lines of FACES/decisions.jsonl, which "
      "training\n"
      "honours and undo takes back. A page for the same: doppel review.");
  faces->require_subcommand(1);
  const auto args = std::make_shared<Arguments>();
  const auto sub = [&](const char* name, const char* help) {
    CLI::App* command = faces->add_subcommand(name, help);
    command->add_option("folder", args->folder, "Folder of faces")->required()->type_name("FACES");
    return command;
  };
  CLI::App* command = sub("list", "People, tracks, marks, and what is left out and why");
  command->callback([args, &context] {
    const FaceFolder folder(args->folder);
    if (!context.json) return list_plain(folder);
    print_json({{"folder", args->folder.string()},
                {"kept", folder.kept()},
                {"left_out", static_cast<int>(folder.faces().size()) - folder.kept()},
                {"undoable", folder.undoable()},
                {"redoable", folder.redoable()},
                {"people", people_json(folder)},
                {"missing", folder.missing()},
                {"faces", faces_json(folder)}});
  });
  command = sub("drop", "Leave faces out of training; those that fit all that is given");
  add_query(command, args->query);
  command->add_option("--reason", args->reason, "To remember why");
  command->callback([args, &context] { drop(args->folder, args->query, args->reason, context); });
  command = sub("keep", "Take faces back that were dropped, or refused by extraction");
  add_query(command, args->query);
  command->add_flag("--only", args->only,
                    "Drop all others instead; what was left out before stays so");
  command->callback(
      [args, &context] { (args->only ? keep_only : keep)(args->folder, args->query, context); });
  command = sub("merge", "Give the faces of further people to the first");
  command->add_option("people", args->people, "Numbers or names")
      ->required()
      ->expected(2, 1000)
      ->type_name("PERSON");
  command->callback([args, &context] { merge(args->folder, args->people, context); });
  command = sub("move", "Give faces to another person");
  add_query(command, args->query);
  command->add_option("--to", args->to, "Number or name of the person, or new")->required();
  command->callback([args, &context] { move(args->folder, args->query, args->to, context); });
  command = sub("name", "Name a person");
  command->add_option("person", args->person, "Number or old name")
      ->required()
      ->type_name("PERSON");
  command->add_option("name", args->text, "New name")->required()->type_name("NAME");
  command->callback([args, &context] { rename(args->folder, args->person, args->text, context); });
  command = sub("undo", "Take back the last decision that still holds");
  command->callback([args, &context] { step_back(args->folder, false, context); });
  command = sub("redo", "Decide again what undo took back");
  command->callback([args, &context] { step_back(args->folder, true, context); });

  command = sub("sort", "Print faces in an order, as a contact sheet or copies too");
  SortArguments& s = args->sort;
  command->add_option("--by", s.key, key_help())->required()->type_name("KEY");
  command->add_flag("--reverse", s.options.reverse, "Highest value first");
  command->add_flag("--all", s.options.left_out, "With the faces that are left out");
  command->add_option("--like", s.options.like, "By similarity to this face")->type_name("FILE");
  command->add_option("--model", s.options.model, "For loss: folder of the model")
      ->type_name("MODEL_DIR");
  command->add_option("--side", s.side, "For loss: whose decoder copies the faces")
      ->check(CLI::IsMember({"a", "b"}));
  command->add_option("--groups", s.groups, "Divide the order into this many equal groups")
      ->check(CLI::Range(1, 1000));
  command->add_option("--sheet", s.sheet, "Paint a contact sheet: OUT.png, OUT-2.png, ...")
      ->type_name("OUT.png");
  command->add_option("--copy-to", s.copies, "Copy the faces as 000001_NAME.png")
      ->type_name("FOLDER");
  command->add_flag("--force", s.force, "Write over files that exist");
  command->callback([args, &context] { sort(args->folder, args->sort, context); });

  command = sub("coverage",
                "Count the poses, mouths and lights of the faces to train on; say what is missing");
  command->add_option("--person", args->query.people, "Of this person, by number or name")
      ->allow_extra_args(false)
      ->type_name("PERSON");
  command->add_option("--chart", args->chart, "Paint the counts, a face in each")
      ->type_name("OUT.png");
  command->add_flag("--force", args->force, "Write over a file that exists");
  command->callback(
      [args, &context] { cover(args->folder, args->query, args->chart, args->force, context); });

  command = sub("verify", "Check that every file is a whole face; list duplicates");
  command->callback([args, &context] { verify(args->folder, context); });
  const auto add_out = [&](const char* size_help) {
    command->add_option("-o,--out", args->out, "New folder")->required()->type_name("FOLDER");
    command->add_option("--size", args->size, size_help)->check(CLI::Range(64, 1024));
    command->add_flag("--force", args->force, "Write into a folder that is not empty");
  };
  command = sub("resize", "Write the faces to train on in another size, with all decisions");
  add_out("Side of the face in pixels");
  command->callback(
      [args, &context] { resize(args->folder, args->out, args->size, args->force, context); });
  command = sub("import",
                "Take over faces that Faceswap (PNG) or DeepFaceLab (JPEG) extracted, with their "
                "landmarks");
  add_out("Side of the face in pixels");
  command->callback(
      [args, &context] { import(args->folder, args->out, args->size, args->force, context); });
}
