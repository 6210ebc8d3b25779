// A mesh over the ellipsoid, a z-buffer of surface points, shading of the visible ones,
// 2 x 2 samples per pixel, grain. Pixel centres lie at whole coordinates, y down.
#include "faceswap/synthetic/head.h"

#include <fmt/format.h>

#include <numbers>
#include <vector>

#include "faceswap/synthetic/head_paint.h"
#include "faceswap/synthetic/head_scene.h"
#include "faceswap/synthetic/head_shape.h"

namespace faceswap {
namespace head {
namespace {

constexpr int kSamples = 2;                             // per pixel, along each axis
constexpr int kMeridians = 181, kParallels = 141;       // of the mesh
const Vec3 kLight = normalized({-0.35f, 0.55f, 0.9f});  // from the upper left, in front
// Between the light and the viewer, for the highlight.
const Vec3 kHalfway = normalized(kLight + Vec3{0, 0, 1});
constexpr float kAmbient = 0.48f, kHighlight = 0.12f, kGrain = 0.012f;

struct Rotation {
  Vec3 row_x, row_y, row_z;
  Vec3 operator()(Vec3 p) const { return {dot(row_x, p), dot(row_y, p), dot(row_z, p)}; }
};

// Yaw first, then pitch, then roll.
Rotation rotation_of(const HeadPose& pose) {
  const float cy = std::cos(pose.yaw), sy = std::sin(pose.yaw), cp = std::cos(pose.pitch),
              sp = std::sin(pose.pitch);
  const float cr = std::cos(pose.roll), sr = std::sin(pose.roll);
  const Vec3 x{cy, 0, sy}, y{sp * sy, cp, -sp * cy}, z{-cp * sy, sp, cp * cy};
  return {x * cr - y * sr, x * sr + y * cr, z};
}

// From rotated head units to samples; z stays in head units, larger is nearer.
struct Camera {
  float scale, center_x, center_y;  // in samples
  Vec3 project(Vec3 p) const {
    const float nearer = 6.f / (6.f - p.z);  // mild perspective from six units away
    return {center_x + scale * p.x * nearer, center_y - scale * p.y * nearer, p.z};
  }
};

struct Vertex {
  Vec3 screen;  // samples, samples, head units
  Vec3 normal;  // rotated
  float longitude, face_x, face_y;
};

std::vector<Vertex> head_mesh(const HeadIdentity& person, const HeadPose& pose,
                              const Rotation& rotate, const Camera& camera) {
  std::vector<Vertex> vertices(static_cast<std::size_t>(kMeridians) * kParallels);
  std::vector<Vec3> position(vertices.size()), normal(vertices.size());
  for (int j = 0; j < kParallels; ++j) {
    const float latitude =
        std::numbers::pi_v<float> * (static_cast<float>(j) / (kParallels - 1) - 0.5f);
    for (int i = 0; i < kMeridians; ++i) {
      // Denser at the front, where the features are.
      const float u = 2.f * i / (kMeridians - 1) - 1;
      const float longitude = std::numbers::pi_v<float> * (0.55f * u + 0.45f * u * u * u);
      const SurfacePoint point = surface_point(person, pose, longitude, latitude);
      const std::size_t k = static_cast<std::size_t>(j) * kMeridians + i;
      position[k] = point.position;
      vertices[k].longitude = longitude;
      vertices[k].face_x = point.face_x;
      vertices[k].face_y = point.face_y;
    }
  }
  const auto add_normal = [&](std::size_t a, std::size_t b, std::size_t c) {
    const Vec3 n = cross(position[b] - position[a], position[c] - position[a]);
    normal[a] = normal[a] + n;
    normal[b] = normal[b] + n;
    normal[c] = normal[c] + n;
  };
  for (int j = 0; j + 1 < kParallels; ++j) {
    for (int i = 0; i + 1 < kMeridians; ++i) {
      const std::size_t k = static_cast<std::size_t>(j) * kMeridians + i;
      add_normal(k, k + 1, k + kMeridians);
      add_normal(k + 1, k + kMeridians + 1, k + kMeridians);
    }
  }
  for (std::size_t k = 0; k < vertices.size(); ++k) {
    vertices[k].screen = camera.project(rotate(position[k]));
    vertices[k].normal = rotate(normalized(normal[k]));
  }
  return vertices;
}

struct Canvas {
  int width, height;  // in samples
  std::vector<Color> color;
  std::vector<float> face;  // 1 where the sample shows the face
};

// The nearest surface point of a sample. Shading follows the last triangle, so each
// sample is painted once.
struct Hit {
  float z = -1e9f;
  Vec3 normal;
  float longitude = 0, face_x = 0, face_y = 0;
};

// The rectangle of samples in reach of the head.
struct Region {
  int x0, y0, x1, y1;  // right and bottom exclusive
  int width() const { return x1 - x0; }
};

Region covered_region(const std::vector<Vertex>& mesh, const Canvas& canvas) {
  Vec3 low{1e9f, 1e9f, 0}, high{-1e9f, -1e9f, 0};
  for (const Vertex& v : mesh) {
    low = {std::min(low.x, v.screen.x), std::min(low.y, v.screen.y), 0};
    high = {std::max(high.x, v.screen.x), std::max(high.y, v.screen.y), 0};
  }
  const auto within = [](float v, int size) {
    return static_cast<int>(std::clamp(v, 0.f, static_cast<float>(size)));
  };
  return {within(std::floor(low.x), canvas.width), within(std::floor(low.y), canvas.height),
          within(std::ceil(high.x) + 1, canvas.width),
          within(std::ceil(high.y) + 1, canvas.height)};
}

void rasterize(const Vertex& va, const Vertex& vb, const Vertex& vc, const Region& region,
               std::vector<Hit>& hits) {
  const Vec3 a = va.screen, b = vb.screen, c = vc.screen;
  const float area = (b.x - a.x) * (c.y - a.y) - (b.y - a.y) * (c.x - a.x);
  if (area > -1e-6f) return;  // back face (y points down here), or edge on
  // Clamped as floats: coordinates of a head far outside the picture overflow an int.
  const auto from = [](float v, int low, int high) {
    return static_cast<int>(
        std::ceil(std::clamp(v, static_cast<float>(low), static_cast<float>(high))));
  };
  const int x0 = from(std::min({a.x, b.x, c.x}) - 1e-3f, region.x0, region.x1),
            y0 = from(std::min({a.y, b.y, c.y}) - 1e-3f, region.y0, region.y1);
  const float right = std::max({a.x, b.x, c.x}) + 1e-3f, bottom = std::max({a.y, b.y, c.y}) + 1e-3f;
  for (int y = y0; y < region.y1 && y <= bottom; ++y) {
    for (int x = x0; x < region.x1 && x <= right; ++x) {
      const float wa = ((b.x - x) * (c.y - y) - (b.y - y) * (c.x - x)) / area;
      const float wb = ((c.x - x) * (a.y - y) - (c.y - y) * (a.x - x)) / area;
      const float wc = 1 - wa - wb;
      if (wa < -1e-4f || wb < -1e-4f || wc < -1e-4f) continue;
      const float z = wa * a.z + wb * b.z + wc * c.z;
      Hit& hit = hits[static_cast<std::size_t>(y - region.y0) * region.width() + (x - region.x0)];
      if (z <= hit.z) continue;
      hit = {z, va.normal * wa + vb.normal * wb + vc.normal * wc,
             wa * va.longitude + wb * vb.longitude + wc * vc.longitude,
             wa * va.face_x + wb * vb.face_x + wc * vc.face_x,
             wa * va.face_y + wb * vb.face_y + wc * vc.face_y};
    }
  }
}

Color shade(const Paint& paint, Vec3 normal) {
  const float facing = dot(normal, kLight);
  // Wrapped: light scatters in skin, round the edge of the shadow.
  const float direct = std::max(0.f, facing), wrapped = std::max(0.f, (facing + 0.4f) / 1.4f);
  const float sky = 0.85f + 0.15f * normal.y;
  const float light = kAmbient * sky + (1 - kAmbient) * (0.55f * direct + 0.45f * wrapped) * 1.25f;
  const float h2 = std::max(0.f, dot(normal, kHalfway)) * std::max(0.f, dot(normal, kHalfway)),
              h4 = h2 * h2, h8 = h4 * h4;
  const float shine = kHighlight * paint.gloss * h8 * h8 * h8;  // to the power of 24
  return paint.color * light + Color{shine, shine, shine};
}

void draw_background(Canvas& canvas, int kind, std::uint32_t seed) {
  const float height = static_cast<float>(canvas.height);
  for (int y = 0; y < canvas.height; y += kSamples) {  // one sample per pixel suffices
    for (int x = 0; x < canvas.width; x += kSamples) {
      const Color color = background_color(kind, seed, (x + 0.5f) / height, (y + 0.5f) / height);
      for (int dy = 0; dy < kSamples; ++dy) {
        for (int dx = 0; dx < kSamples; ++dx)
          canvas.color[static_cast<std::size_t>(y + dy) * canvas.width + x + dx] = color;
      }
    }
  }
}

void draw_body(Canvas& canvas, const HeadIdentity& person, const Rotation& rotate,
               const Camera& camera) {
  const Vec3 neck_base = rotate({0, -0.9f, -0.15f});
  for (int y = 0; y < canvas.height; ++y) {
    const float up = (camera.center_y - y) / camera.scale;
    for (int x = 0; x < canvas.width; ++x) {
      body_color(person, neck_base, kLight.x, (x - camera.center_x) / camera.scale, up,
                 canvas.color[static_cast<std::size_t>(y) * canvas.width + x]);
    }
  }
}

void draw_face(Canvas& canvas, const HeadIdentity& person, const HeadPose& pose,
               const std::vector<Vertex>& mesh) {
  const Region region = covered_region(mesh, canvas);
  if (region.x0 >= region.x1 || region.y0 >= region.y1) return;
  std::vector<Hit> hits(static_cast<std::size_t>(region.width()) * (region.y1 - region.y0));
  for (int j = 0; j + 1 < kParallels; ++j) {
    for (int i = 0; i + 1 < kMeridians; ++i) {
      const std::size_t k = static_cast<std::size_t>(j) * kMeridians + i;
      rasterize(mesh[k], mesh[k + 1], mesh[k + kMeridians], region, hits);
      rasterize(mesh[k + 1], mesh[k + kMeridians + 1], mesh[k + kMeridians], region, hits);
    }
  }
  const float chin_y = -0.98f;  // below it the mesh is throat
  for (int y = region.y0; y < region.y1; ++y) {
    for (int x = region.x0; x < region.x1; ++x) {
      const Hit& hit =
          hits[static_cast<std::size_t>(y - region.y0) * region.width() + (x - region.x0)];
      if (hit.z < -1e8f) continue;
      const Vec3 normal = normalized(hit.normal);
      const Paint paint = paint_at(person, pose, hit.longitude, hit.face_x, hit.face_y);
      const std::size_t sample = static_cast<std::size_t>(y) * canvas.width + x;
      canvas.color[sample] = shade(paint, normal);
      canvas.face[sample] = paint.face && hit.face_y > chin_y && normal.z > 0.05f ? 1.f : 0.f;
    }
  }
}

// Averages the samples of each pixel and adds sensor grain.
void develop(const Canvas& canvas, std::uint32_t grain_seed, Image& rgb, Image& mask) {
  const auto byte = [](float v) { return static_cast<std::uint8_t>(255 * unit(v) + 0.5f); };
  constexpr float share = 1.f / (kSamples * kSamples);
  for (int y = 0; y < rgb.height; ++y) {
    for (int x = 0; x < rgb.width; ++x) {
      Color sum;
      float face = 0;
      for (int dy = 0; dy < kSamples; ++dy) {
        for (int dx = 0; dx < kSamples; ++dx) {
          const std::size_t sample =
              static_cast<std::size_t>(y * kSamples + dy) * canvas.width + x * kSamples + dx;
          const Color c = canvas.color[sample];
          sum = sum + Color{unit(c.x), unit(c.y), unit(c.z)};
          face += canvas.face[sample];
        }
      }
      const float grain = kGrain * (lattice(x, y, grain_seed) - 0.5f);
      std::uint8_t* pixel = rgb.at(x, y);
      pixel[0] = byte(sum.x * share + grain);
      pixel[1] = byte(sum.y * share + grain);
      pixel[2] = byte(sum.z * share + grain);
      *mask.at(x, y) = byte(face * share);
    }
  }
}

void check(const HeadPose& pose, int width, int height, int background) {
  constexpr int most = 8192;
  if (width < 1 || height < 1 || width > most || height > most) {
    throw Error(ErrorKind::usage,
                fmt::format("synthetic head: picture of {} x {} pixels, expected 1 to {} per side",
                            width, height, most));
  }
  if (background < 0 || background > 2)
    throw Error(ErrorKind::usage,
                fmt::format("synthetic head: no background {}; use 0, 1 or 2", background));
  for (const float v :
       {pose.yaw, pose.pitch, pose.roll, pose.center_x, pose.center_y, pose.scale, pose.mouth_open,
        pose.smile, pose.blink, pose.gaze_x, pose.gaze_y, pose.brow_up}) {
    if (!(std::fabs(v) < 1000.f))
      throw Error(ErrorKind::usage,
                  fmt::format("synthetic head: {} in the pose, expected a number below 1000", v));
  }
  if (pose.scale <= 0)
    throw Error(ErrorKind::usage,
                fmt::format("synthetic head: scale {}, expected more than 0", pose.scale));
}
}  // namespace
}  // namespace head

HeadPicture draw_head(const HeadIdentity& person, const HeadPose& pose, int width, int height,
                      int background, std::uint32_t background_seed) {
  using namespace head;
  check(pose, width, height, background);
  Canvas canvas{width * kSamples, height * kSamples, {}, {}};
  canvas.color.resize(static_cast<std::size_t>(canvas.width) * canvas.height);
  canvas.face.resize(canvas.color.size());
  const Rotation rotate = rotation_of(pose);
  const float samples = static_cast<float>(canvas.height);
  const Camera camera{pose.scale * samples, pose.center_x * static_cast<float>(canvas.width) - 0.5f,
                      pose.center_y * samples - 0.5f};
  draw_background(canvas, background, background_seed);
  draw_body(canvas, person, rotate, camera);
  draw_face(canvas, person, pose, head_mesh(person, pose, rotate, camera));

  HeadPicture picture{Image(width, height, 3), Image(width, height, 1), {}};
  const auto movement =
      static_cast<std::uint32_t>(static_cast<std::int64_t>(pose.yaw * 1e4f) +
                                 static_cast<std::int64_t>(pose.mouth_open * 7919));
  develop(canvas, background_seed * 31 + movement, picture.rgb, picture.mask);

  const float corner_x = 0.97f * mouth_half_width(person, pose),
              corner_y = person.mouth_y + 0.07f * pose.smile;
  const float places[5][2] = {{-person.eye_x, person.eye_y},
                              {person.eye_x, person.eye_y},
                              {0, person.nose_tip_y()},
                              {-corner_x, corner_y},
                              {corner_x, corner_y}};
  for (int k = 0; k < 5; ++k) {
    const Vec3 sample =
        camera.project(rotate(surface_at_face(person, pose, places[k][0], places[k][1]).position));
    // Sample s lies at pixel coordinate (s + 1/2) / kSamples - 1/2.
    picture.landmarks[k] = {(sample.x + 0.5) / kSamples - 0.5, (sample.y + 0.5) / kSamples - 0.5};
  }
  return picture;
}
}  // namespace faceswap
