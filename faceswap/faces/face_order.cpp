#include "faceswap/faces/face_order.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numbers>
#include <numeric>
#include <tuple>

#include "faceswap/parallel.h"

namespace faceswap {
namespace {

constexpr FaceKeyInfo kKeys[] = {
    {FaceKey::blur, "blur", "sharpness, the most blurred first"},
    {FaceKey::size, "size", "pixels between the eyes in the frame"},
    {FaceKey::yaw, "yaw", "degrees; from the picture's left to its right"},
    {FaceKey::pitch, "pitch", "degrees; from down to up"},
    {FaceKey::roll, "roll", "degrees; from counter-clockwise to clockwise"},
    {FaceKey::colour, "colour", "from bluish to reddish"},
    {FaceKey::brightness, "brightness", "mean luma, 0 to 1"},
    {FaceKey::contrast, "contrast", "deviation of the luma"},
    {FaceKey::similarity, "similarity",
     "neighbours look alike; with --like, the distance from that face"},
    {FaceKey::distance, "distance",
     "of the landmarks from the mean of all faces; high: odd or wrong"},
    {FaceKey::confidence, "confidence", "the mesh's or detector's; low: perhaps no face"},
    {FaceKey::eyes, "eyes", "height over width of the eyes; low: shut"},
    {FaceKey::mouth, "mouth", "gap of the lips over the mouth's width"},
    {FaceKey::time, "time", "source and frame"},
    {FaceKey::loss, "loss", "error of the model's own copy of the face, see --model"}};

bool measured(const Face& face) { return face.measures.contrast > 0; }

// Of the part of a crop that the face fills.
struct PixelStatistics {
  double luma = 0, deviation = 0, red_minus_blue = 0;
};

PixelStatistics statistics_of(const Image& crop) {
  double n = 0, sum = 0, square = 0, colour = 0;
  for (int y = crop.height / 4; y < crop.height * 7 / 8; ++y)
    for (int x = crop.width / 4; x < crop.width * 3 / 4; ++x) {
      const std::uint8_t* p = crop.at(x, y);
      const double luma = (0.299 * p[0] + 0.587 * p[1] + 0.114 * p[2]) / 255;
      ++n, sum += luma, square += luma * luma, colour += (p[0] - p[2]) / 255.0;
    }
  const double mean = sum / n;
  return {mean, std::sqrt(std::max(0.0, square / n - mean * mean)), colour / n};
}

double pixel_value(const FolderFace& face, FaceKey key) {
  if (key == FaceKey::brightness && measured(face.face)) return face.face.measures.brightness;
  if (key == FaceKey::contrast && measured(face.face)) return face.face.measures.contrast;
  const PixelStatistics statistics = statistics_of(read_crop(face));
  return key == FaceKey::colour       ? statistics.red_minus_blue
         : key == FaceKey::brightness ? statistics.luma
                                      : statistics.deviation;
}

bool needs_landmarks(FaceKey key) {
  return key == FaceKey::yaw || key == FaceKey::pitch || key == FaceKey::eyes ||
         key == FaceKey::mouth || key == FaceKey::distance;
}

double metadata_value(const Face& face, FaceKey key) {
  const FaceMeasures& m = face.measures;
  switch (key) {
    case FaceKey::blur: return face.sharpness;
    case FaceKey::size: return distance(face.eyes[0], face.eyes[1]);
    case FaceKey::yaw: return m.yaw;
    case FaceKey::pitch: return m.pitch;
    case FaceKey::roll: return -face.to_canonical.angle() * 180 / std::numbers::pi;
    case FaceKey::confidence: return m.presence > 0 ? m.presence : face.confidence;
    case FaceKey::eyes: return 0.5 * (m.eye_open[0] + m.eye_open[1]);
    case FaceKey::mouth: return m.mouth_open;
    default: throw Error(ErrorKind::failure, "face_values: this key is no value of a single face");
  }
}

// Root mean square over the landmarks, in canonical pixels (256). Faces without
// landmarks have 0.
std::vector<double> distances_from_mean(const FaceList& faces) {
  std::vector<Point> mean;
  double count = 0;
  for (const FolderFace* face : faces) {
    const std::vector<Point>& landmarks = face->face.landmarks;
    if (landmarks.empty()) continue;
    mean.resize(landmarks.size());
    ++count;
    for (std::size_t i = 0; i < landmarks.size(); ++i) {
      const Point p = face->face.to_canonical(landmarks[i]);
      mean[i].x += p.x, mean[i].y += p.y;
    }
  }
  std::vector<double> values(faces.size());
  for (std::size_t f = 0; f < faces.size(); ++f) {
    const Face& face = faces[f]->face;
    double square = 0;
    for (std::size_t i = 0; i < face.landmarks.size(); ++i) {
      const Point p = face.to_canonical(face.landmarks[i]);
      square += std::pow(distance(p, {mean[i].x / count, mean[i].y / count}), 2);
    }
    if (!face.landmarks.empty())
      values[f] = std::sqrt(square / static_cast<double>(face.landmarks.size()));
  }
  return values;
}

// The face as a small grey picture without mean and of length 1: how bright it is and how
// much contrast it has do not count.
constexpr int kSmall = 16;
void small_look(const FolderFace& face, float* out /*[kSmall * kSmall]*/) {
  const Image crop = read_crop(face, 64);
  double sum = 0, square = 0;
  for (int y = 0; y < kSmall; ++y)
    for (int x = 0; x < kSmall; ++x) {
      double value = 0;  // of 3 x 3 pixels in the middle of the crop, from brow to chin
      for (int j = 0; j < 3; ++j)
        for (int i = 0; i < 3; ++i) value += crop.at(8 + 3 * x + i, 12 + 3 * y + j)[1];
      out[kSmall * y + x] = static_cast<float>(value);
      sum += value;
    }
  for (int i = 0; i < kSmall * kSmall; ++i) {
    out[i] -= static_cast<float>(sum / (kSmall * kSmall));
    square += out[i] * out[i];
  }
  for (int i = 0; i < kSmall * kSmall; ++i)
    out[i] /= static_cast<float>(std::sqrt(std::max(square, 1e-9)));
}

double distance_between(const float* a, const float* b, std::size_t length) {
  float square = 0;
  for (std::size_t i = 0; i < length; ++i) square += (a[i] - b[i]) * (a[i] - b[i]);
  return std::sqrt(static_cast<double>(square));
}
}  // namespace

std::span<const FaceKeyInfo> face_keys() { return kKeys; }

FaceKey face_key(const std::string& name) {
  std::string all;
  for (const FaceKeyInfo& info : kKeys) {
    if (name == info.name) return info.key;
    all += fmt::format("{}{}", all.empty() ? "" : ", ", info.name);
  }
  throw Error(ErrorKind::usage, fmt::format("no order '{}'; expected one of {}", name, all));
}

FaceList kept_faces(const FaceFolder& folder) {
  FaceList faces;
  for (const FolderFace& face : folder.faces())
    if (!face.dropped) faces.push_back(&face);
  return faces;
}

std::vector<double> face_values(const FaceList& faces, FaceKey key) {
  if (needs_landmarks(key) &&
      std::ranges::all_of(faces, [](const FolderFace* f) { return f->face.landmarks.empty(); }))
    throw Error(ErrorKind::input,
                "none of the faces has landmarks, which this order needs; extract them again with "
                "the networks of tools/install_deps.sh faces");
  if (key == FaceKey::distance) return distances_from_mean(faces);
  const bool pixels =
      key == FaceKey::colour || key == FaceKey::brightness || key == FaceKey::contrast;
  std::vector<double> values(faces.size());
  parallel_for(static_cast<int>(faces.size()), [&](int i) {
    const auto f = static_cast<std::size_t>(i);
    values[f] = pixels ? pixel_value(*faces[f], key) : metadata_value(faces[f]->face, key);
  });
  return values;
}

FaceLooks::FaceLooks(const FaceList& faces) : count_(faces.size()) {
  const bool identities =
      std::ranges::none_of(faces, [](const FolderFace* f) { return f->face.identity.empty(); });
  length_ = identities && count_ > 0 ? faces[0]->face.identity.size() : kSmall * kSmall;
  looks_.resize(count_ * length_);
  parallel_for(static_cast<int>(count_), [&](int i) {
    const auto f = static_cast<std::size_t>(i);
    if (identities) std::ranges::copy(faces[f]->face.identity, &looks_[f * length_]);
    else small_look(*faces[f], &looks_[f * length_]);
  });
}

double FaceLooks::distance(std::size_t i, std::size_t j) const {
  return distance_between(&looks_[i * length_], &looks_[j * length_], length_);
}

std::vector<double> FaceLooks::distances_to(std::size_t i) const {
  std::vector<double> distances(count_);
  for (std::size_t j = 0; j < count_; ++j) distances[j] = distance(i, j);
  return distances;
}

void FaceLooks::chain(std::vector<std::size_t>& order, std::vector<double>& steps) const {
  std::vector<float> mean(length_);
  for (std::size_t f = 0; f < count_; ++f)
    for (std::size_t i = 0; i < length_; ++i)
      mean[i] += looks_[f * length_ + i] / static_cast<float>(count_);
  std::vector<std::size_t> left(count_);
  std::iota(left.begin(), left.end(), std::size_t{0});
  const float* here = mean.data();
  order.clear(), steps.clear();
  while (!left.empty()) {
    std::size_t nearest = 0;
    double least = INFINITY;
    for (std::size_t k = 0; k < left.size(); ++k) {
      const double d = distance_between(here, &looks_[left[k] * length_], length_);
      if (d < least) least = d, nearest = k;
    }
    steps.push_back(order.empty() ? 0 : least);
    order.push_back(left[nearest]);
    here = &looks_[left[nearest] * length_];
    left.erase(left.begin() + static_cast<std::ptrdiff_t>(nearest));
  }
}

std::vector<std::size_t> order_by(const std::vector<double>& values) {
  std::vector<std::size_t> order(values.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::ranges::stable_sort(order, {}, [&](std::size_t i) { return values[i]; });
  return order;
}

std::vector<std::size_t> order_by_time(const FaceList& faces) {
  std::vector<std::size_t> order(faces.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::ranges::sort(order, {}, [&](std::size_t i) {
    const Face& face = faces[i]->face;
    return std::tuple(std::string_view(face.source), face.frame, std::string_view(faces[i]->name));
  });
  return order;
}
}  // namespace faceswap
