#include "faceswap/faces/people.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <numeric>
#include <optional>

#include "faceswap/faces/face_file.h"
#include "faceswap/faces/network_files.h"
#include "faceswap/faces/tracker.h"
#include "faceswap/media/files.h"
#include "faceswap/media/media.h"

namespace faceswap {
namespace {

namespace fs = std::filesystem;

constexpr double kScatter = 0.3;  // of an identity round its person's mean, root mean square
constexpr std::size_t kMostSamples = 16;  // beyond, frames of a track say nothing new
constexpr double kApart = std::numeric_limits<double>::infinity();
constexpr double kTurned = 45, kMarkCost = 20;  // degrees
constexpr double kClearlyLargest = 1.5;         // over the next face's side

struct MeanIdentity {
  std::vector<double> mean;  // empty: not known
  double weight = 0;         // in samples
};

void check_lengths(std::size_t a, std::size_t b) {
  if (a != b)
    throw Error(ErrorKind::failure, fmt::format("people: identities of {} and {} numbers", a, b));
}

MeanIdentity mean_of(const Identities& samples) {
  MeanIdentity result;
  if (samples.empty()) return result;
  result.mean.resize(samples[0].size());
  for (const std::vector<float>& sample : samples) {
    check_lengths(result.mean.size(), sample.size());
    for (std::size_t i = 0; i < sample.size(); ++i) result.mean[i] += sample[i];
  }
  for (double& value : result.mean) value /= static_cast<double>(samples.size());
  result.weight = static_cast<double>(std::min(samples.size(), kMostSamples));
  return result;
}

// people_distance squared; below 0 where the means are nearer than their scatter explains,
// so the nearest of several can be told.
double squared_distance(const MeanIdentity& a, const MeanIdentity& b) {
  if (a.mean.empty() || b.mean.empty()) return kApart;
  check_lengths(a.mean.size(), b.mean.size());
  double sum = 0;
  for (std::size_t i = 0; i < a.mean.size(); ++i)
    sum += (a.mean[i] - b.mean[i]) * (a.mean[i] - b.mean[i]);
  return sum - kScatter * kScatter * (1 / a.weight + 1 / b.weight);
}

double root(double squared) { return std::sqrt(std::max(squared, 0.0)); }

// A symmetric matrix of squared distances between clusters of tracks, with each cluster's
// nearest neighbour. Average linkage: a joined cluster is nowhere nearer than the nearer of
// its parts was, so only neighbours of the parts need a new search.
class Clusters {
 public:
  explicit Clusters(std::span<const TrackIdentity> tracks)
      : count_(tracks.size()), squared_(count_ * count_, kApart), label_(count_) {
    std::iota(label_.begin(), label_.end(), std::size_t{0});
    std::vector<MeanIdentity> means;
    for (const TrackIdentity& track : tracks) means.push_back(mean_of(track.samples));
    for (const MeanIdentity& mean : means) weight_.push_back(mean.weight);
    for (std::size_t i = 0; i < count_; ++i)
      for (std::size_t j = 0; j < i; ++j) set(i, j, squared_distance(means[i], means[j]));
    keep_apart(tracks);
    for (std::size_t i = 0; i < count_; ++i) nearest_.push_back(search(i));
  }

  // Joins the nearest pair below the limit. False: there is none.
  bool join(double limit) {
    std::size_t a = count_;
    for (std::size_t i = 0; i < count_; ++i)
      if (alive(i) && (a == count_ || at(i, nearest_[i]) < at(a, nearest_[a]))) a = i;
    if (a == count_ || !(at(a, nearest_[a]) < limit * limit)) return false;
    const std::size_t b = nearest_[a];
    for (std::size_t i = 0; i < count_; ++i)
      if (i != a && i != b)
        set(a, i, (weight_[a] * at(a, i) + weight_[b] * at(b, i)) / (weight_[a] + weight_[b]));
    weight_[a] += weight_[b];
    for (std::size_t i = 0; i < count_; ++i) {
      if (label_[i] == b) label_[i] = a;
      set(b, i, kApart);
    }
    for (std::size_t i = 0; i < count_; ++i)
      if (alive(i) && (i == a || nearest_[i] == a || nearest_[i] == b)) nearest_[i] = search(i);
    return true;
  }

  const std::vector<std::size_t>& labels() const { return label_; }  // of each track

 private:
  double at(std::size_t i, std::size_t j) const { return squared_[i * count_ + j]; }
  void set(std::size_t i, std::size_t j, double value) {
    squared_[i * count_ + j] = squared_[j * count_ + i] = value;
  }
  bool alive(std::size_t i) const { return label_[i] == i; }

  std::size_t search(std::size_t i) const {
    const auto row = squared_.begin() + static_cast<std::ptrdiff_t>(i * count_);
    return static_cast<std::size_t>(
        std::min_element(row, row + static_cast<std::ptrdiff_t>(count_)) - row);
  }

  void keep_apart(std::span<const TrackIdentity> tracks) {
    std::map<SourceFrame, std::vector<std::size_t>> in_frame;
    for (std::size_t i = 0; i < count_; ++i)
      for (const SourceFrame& frame : tracks[i].frames) in_frame[frame].push_back(i);
    for (const auto& [frame, together] : in_frame)
      for (const std::size_t i : together)
        for (const std::size_t j : together) set(i, j, kApart);
  }

  std::size_t count_;
  std::vector<double> squared_, weight_;
  std::vector<std::size_t> label_, nearest_;
};

Error no_reference(const fs::path& picture, const std::string& fault) {
  return {ErrorKind::input,
          fmt::format("{}: {}; give a picture of one person, or a face that extract wrote",
                      picture.string(), fault)};
}

// Of a face that extraction wrote; none for other pictures.
std::optional<std::vector<float>> identity_in_file(const fs::path& picture,
                                                   const IdentityNetwork& network) {
  if (lower_suffix(picture) != ".png" || !read_png_text(picture, "doppel-face"))
    return std::nullopt;
  FaceFile file = read_face(picture);
  if (!file.face.identity.empty()) return file.face.identity;
  if (file.face.landmarks.empty()) return std::nullopt;
  const Similarity to_crop = file.face.to_canonical.then(canonical_to_crop(file.face.crop_size));
  for (Point& point : file.face.landmarks) point = to_crop(point);
  return network(file.crop, file.face.landmarks);
}

std::vector<float> identity_in_picture(const fs::path& picture, const DetectorOptions& options,
                                       const MeshFinder& mesh, const IdentityNetwork& network) {
  const std::unique_ptr<FrameSource> source = open_source(picture);
  Frame frame;
  if (source->info().kind != SourceInfo::still || !source->next(frame))
    throw no_reference(picture, "not a picture");
  const std::unique_ptr<FaceTracker> tracker = make_tracker(options, source->info());
  tracker->push(frame);
  tracker->finish();
  std::vector<Face> faces = tracker->take_finished();
  std::erase_if(faces, [&](const Face& f) { return f.confidence < tracker->good_confidence(); });
  if (faces.empty()) throw no_reference(picture, "no face found");
  const Face& face = faces[0];
  if (faces.size() > 1 && face.box_side < kClearlyLargest * faces[1].box_side)
    throw no_reference(picture, fmt::format("{} faces, none clearly the largest", faces.size()));
  if (!face.landmarks.empty()) return network(frame.rgb, face.landmarks);
  Detection square;
  square.center = {face.box_x + face.box_side / 2, face.box_y + face.box_side / 2};
  square.side = face.box_side;
  for (int i = 0; i < 2; ++i) square.eyes[i] = face.eyes[i];
  const std::optional<Mesh> found = mesh.find(frame.rgb, square);
  if (!found) throw no_reference(picture, "no face found");
  return network(frame.rgb, {found->points.begin(), found->points.end()});
}

// Degrees away from the camera; a mark counts like a turn.
double cost(const Face& face) {
  return std::abs(face.measures.yaw) + std::abs(face.measures.pitch) +
         kMarkCost * static_cast<double>(face.marks.size());
}
}  // namespace

double people_distance(const Identities& a, const Identities& b) {
  return root(squared_distance(mean_of(a), mean_of(b)));
}

std::vector<std::size_t> faces_to_identify(std::span<const Face> track, int most) {
  std::vector<std::size_t> usable, chosen;
  for (std::size_t i = 0; i < track.size(); ++i)
    if (!track[i].landmarks.empty()) usable.push_back(i);
  const std::size_t stretches = std::min(usable.size(), static_cast<std::size_t>(most));
  for (std::size_t k = 0; k < stretches; ++k) {
    const auto first = usable.begin() + static_cast<std::ptrdiff_t>(k * usable.size() / stretches),
               last = usable.begin() +
                      static_cast<std::ptrdiff_t>((k + 1) * usable.size() / stretches);
    chosen.push_back(*std::min_element(first, last, [&](std::size_t a, std::size_t b) {
      return cost(track[a]) < cost(track[b]);
    }));
  }
  const auto turned = [&](std::size_t i) { return std::abs(track[i].measures.yaw) > kTurned; };
  if (!std::ranges::all_of(chosen, turned)) std::erase_if(chosen, turned);
  return chosen;
}

std::vector<TrackIdentity> identities_of_tracks(std::span<const Face> faces) {
  std::map<int, TrackIdentity> tracks;
  for (const Face& face : faces) {
    TrackIdentity& track = tracks[face.track];
    track.track = face.track;
    ++track.faces;
    track.frames.push_back({face.source, face.frame});
    if (!face.identity.empty()) track.samples.push_back(face.identity);
  }
  std::vector<TrackIdentity> result;
  for (auto& [number, track] : tracks) result.push_back(std::move(track));
  return result;
}

std::vector<int> group_tracks(std::span<const TrackIdentity> tracks, double limit) {
  Clusters clusters(tracks);
  while (clusters.join(limit)) {}
  const std::vector<std::size_t>& labels = clusters.labels();
  std::vector<std::int64_t> faces(tracks.size());
  for (std::size_t i = 0; i < tracks.size(); ++i) faces[labels[i]] += tracks[i].faces;
  std::vector<std::size_t> people;  // labels in use
  for (std::size_t i = 0; i < tracks.size(); ++i)
    if (labels[i] == i) people.push_back(i);
  std::ranges::stable_sort(people, [&](auto a, auto b) { return faces[a] > faces[b]; });
  std::vector<int> number(tracks.size()), result;
  for (std::size_t k = 0; k < people.size(); ++k) number[people[k]] = static_cast<int>(k);
  for (const std::size_t label : labels) result.push_back(number[label]);
  return result;
}

ReferencePeople::ReferencePeople(const Pictures& pictures, const DetectorOptions& options,
                                 const MeshFinder& mesh, const IdentityNetwork& network) {
  const auto add = [&](const std::vector<fs::path>& paths, bool keep) {
    for (const fs::path& path : paths) {
      std::optional<std::vector<float>> identity = identity_in_file(path, network);
      if (!identity) identity = identity_in_picture(path, options, mesh, network);
      references_.push_back({path, {std::move(*identity)}, keep});
    }
  };
  add(pictures.keep, true);
  add(pictures.drop, false);
}

ReferencePeople::Answer ReferencePeople::operator()(const Identities& samples) const {
  const MeanIdentity person = mean_of(samples);
  double nearest[2] = {kApart, kApart};  // squared: of those to drop, to keep
  bool any_keep = false;
  Answer answer;
  for (const Reference& reference : references_) {
    const double squared = squared_distance(person, mean_of(reference.identity));
    if (answer.nearest.empty() || squared < std::min(nearest[0], nearest[1])) {
      answer.nearest = reference.picture;
      answer.distance = root(squared);
    }
    nearest[reference.keep] = std::min(nearest[reference.keep], squared);
    any_keep |= reference.keep;
  }
  constexpr double limit = kSamePerson * kSamePerson;
  answer.wanted = (!any_keep || nearest[1] < limit) &&
                  (nearest[0] >= limit || (any_keep && nearest[1] <= nearest[0]));
  return answer;
}

ReferencePeople open_references(const ReferencePeople::Pictures& pictures,
                                const DetectorOptions& options) {
  const fs::path mesh = find_network("face_landmark.safetensors"),
                 identity = find_network("face_identity.safetensors");
  if (mesh.empty() || identity.empty())
    throw Error(ErrorKind::input,
                fmt::format("--person and --not: the networks that tell people apart are not in "
                            "{}; run tools/install_deps.sh faces",
                            network_folder().string()));
  return {pictures, options, MeshFinder(mesh), IdentityNetwork(identity)};
}

std::map<int, ReferencePeople::Answer> compare_tracks(std::span<const TrackIdentity> tracks,
                                                      const ReferencePeople& references) {
  const std::vector<int> people = group_tracks(tracks);
  std::map<int, Identities> samples;  // by person
  for (std::size_t i = 0; i < tracks.size(); ++i) {
    Identities& all = samples[people[i]];
    all.insert(all.end(), tracks[i].samples.begin(), tracks[i].samples.end());
  }
  std::map<int, ReferencePeople::Answer> by_person, by_track;
  for (const auto& [person, identities] : samples) by_person[person] = references(identities);
  for (std::size_t i = 0; i < tracks.size(); ++i)
    by_track[tracks[i].track] = by_person.at(people[i]);
  return by_track;
}
}  // namespace faceswap
