#include "faceswap/convert/choose_people.h"

#include <fmt/format.h>

#include <cmath>
#include <memory>
#include <utility>

#include "faceswap/faces/network_files.h"
#include "faceswap/progress.h"

namespace faceswap {
namespace {

using FacesByFrame = std::map<std::int64_t, std::vector<Face>>;
using Answers = std::map<int, ReferencePeople::Answer>;  // by track

// In each frame, the places of the faces whose identities say most about their tracks.
std::map<std::int64_t, std::vector<std::size_t>> places_to_identify(const FacesByFrame& faces) {
  struct Track {
    std::vector<Face> faces;
    std::vector<std::pair<std::int64_t, std::size_t>> places;
  };
  std::map<int, Track> tracks;
  for (const auto& [frame, in_frame] : faces)
    for (std::size_t i = 0; i < in_frame.size(); ++i) {
      Track& track = tracks[in_frame[i].track];
      track.faces.push_back(in_frame[i]);
      track.places.emplace_back(frame, i);
    }
  std::map<std::int64_t, std::vector<std::size_t>> places;
  for (const auto& [number, track] : tracks)
    for (const std::size_t i : faces_to_identify(track.faces))
      places[track.places[i].first].push_back(track.places[i].second);
  return places;
}

void identify(const ConvertOptions& options, FacesByFrame& faces) {
  const auto places = places_to_identify(faces);
  if (places.empty()) return;
  const IdentityNetwork network(find_network("face_identity.safetensors"));
  const std::unique_ptr<FrameSource> source = open_source(options.input, {.square_pixels = true});
  source->want([&](std::int64_t frame) { return places.contains(frame); });
  Progress progress("telling people apart", places.rbegin()->first + 1, options.quiet);
  for (Frame frame; stop_signal() == 0 && source->next(frame); frame = Frame{}) {
    if (const auto here = places.find(frame.index); here != places.end())
      for (const std::size_t i : here->second) {
        Face& face = faces.at(frame.index)[i];
        face.identity = network(frame.rgb, face.landmarks);
      }
    progress.update(frame.index + 1);
    if (frame.index >= places.rbegin()->first) break;
  }
  progress.finish();
}

[[noreturn]] void refuse_all(const ConvertOptions& options, const Answers& answers) {
  std::string distances;
  for (const auto& [track, answer] : answers) {
    if (!distances.empty()) distances += ", ";
    distances += std::isinf(answer.distance)
                     ? fmt::format("track {}: no landmarks", track)
                     : fmt::format("track {}: {:.2f} from {}", track, answer.distance,
                                   answer.nearest.filename().string());
  }
  throw Error(ErrorKind::nothing_found,
              fmt::format("{}: nobody fits --person and --not; {}; one person is below {:.2f}. Try "
                          "other pictures, or --tracks",
                          options.input.string(), distances, kSamePerson));
}
}  // namespace

void choose_people(const ConvertOptions& options, const ReferencePeople& references,
                   FacesByFrame& faces) {
  if (faces.empty()) return;
  identify(options, faces);
  if (stop_signal() != 0) return;
  std::vector<Face> all;
  for (const auto& [frame, in_frame] : faces)
    for (const Face& face : in_frame) all.push_back(face);
  const Answers answers = compare_tracks(identities_of_tracks(all), references);
  for (auto& [frame, in_frame] : faces)
    std::erase_if(in_frame, [&](const Face& face) { return !answers.at(face.track).wanted; });
  std::erase_if(faces, [](const auto& frame) { return frame.second.empty(); });
  if (faces.empty()) refuse_all(options, answers);
}
}  // namespace faceswap
