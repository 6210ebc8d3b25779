// Faces whose every landmark is known: a flat oval with 468 points, for tests without
// networks; and rendered heads with the mesh's points, where the networks are
// installed.
#pragma once
#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <initializer_list>
#include <optional>
#include <utility>
#include <vector>

#include "faceswap/faces/eye_finder.h"
#include "faceswap/faces/face.h"
#include "faceswap/faces/face_pose.h"
#include "faceswap/faces/network_files.h"
#include "faceswap/synthetic/head.h"

using Rgb = std::array<std::uint8_t, 3>;

// The oval of the landmarks, in canonical coordinates.
inline constexpr faceswap::Point kOvalMiddle{128, 136};
inline constexpr double kOvalX = 66, kOvalY = 84;

// Landmarks in canonical coordinates: spread evenly over the oval, with eyes, brows,
// nose, cheeks and lips where face_mask() and measure_face() look for them. The mouth
// is 48 wide and `mouth` open, the eyes 32 wide and `eye` open.
inline std::vector<faceswap::Point> oval_landmarks(double eye = 10, double mouth = 6) {
  using faceswap::Point;
  std::vector<Point> p(468);
  for (int i = 0; i < 468; ++i) {
    const double r = std::sqrt((i + 0.5) / 468), angle = 2.39996322972865332 * i;
    p[i] = {kOvalMiddle.x + kOvalX * r * std::cos(angle),
            kOvalMiddle.y + kOvalY * r * std::sin(angle)};
  }
  int k = 0;
  for (const int i : {54, 103, 67, 109, 10, 338, 297, 332, 284}) {  // the forehead's edge
    const double angle = M_PI * (1.15 + 0.7 * k++ / 8);
    p[i] = {kOvalMiddle.x + kOvalX * std::cos(angle), kOvalMiddle.y + kOvalY * std::sin(angle)};
  }
  const auto row = [&](std::initializer_list<int> indices, Point from, Point to) {
    const double last = std::max<double>(1, static_cast<double>(indices.size()) - 1);
    int j = 0;
    for (const int i : indices) {
      p[i] = {from.x + (to.x - from.x) * j / last, from.y + (to.y - from.y) * j / last};
      ++j;
    }
  };
  row({33, 7, 163, 144, 145, 153, 154, 155, 133}, {72, 100}, {104, 100});
  row({246, 161, 160, 159, 158, 157, 173}, {76, 100}, {100, 100});
  row({362, 382, 381, 380, 374, 373, 390, 249, 263}, {152, 100}, {184, 100});
  row({398, 384, 385, 386, 387, 388, 466}, {156, 100}, {180, 100});
  for (const int i : {144, 145, 153, 373, 374, 380}) p[i].y += eye / 2;
  for (const int i : {160, 159, 158, 385, 386, 387}) p[i].y -= eye / 2;
  for (const auto& [lower, upper] :
       {std::pair{144, 160}, {145, 159}, {153, 158}, {380, 385}, {374, 386}, {373, 387}})
    p[upper].x = p[lower].x;
  row({70, 63, 105, 66, 107, 55, 46}, {70, 86}, {108, 86});
  row({336, 296, 334, 293, 300, 276, 285}, {148, 86}, {186, 86});
  row({117, 118, 50, 205, 36}, {80, 120}, {112, 146});
  row({346, 347, 280, 425, 266}, {176, 120}, {144, 146});
  row({6, 197, 4}, {128, 104}, {128, 140});
  row({64, 48, 98, 97, 2, 326, 327, 278, 294}, {116, 150}, {140, 150});
  row({61, 146, 91, 181, 84, 17, 314, 405, 321, 375, 291}, {104, 176}, {152, 176});
  row({185, 40, 39, 37, 0, 267, 269, 270, 409}, {108, 172}, {148, 172});
  p[78] = {104, 176}, p[308] = {152, 176};
  p[13] = {128, 176 - mouth / 2}, p[14] = {128, 176 + mouth / 2};
  return p;
}

struct DrawnFace {
  faceswap::Face face;
  faceswap::Image crop;
};

// A plain head of `skin` before `wall`, larger than the landmarks' oval all round. The
// frame's scale is `zoom` frame pixels to the canonical one, its corner is canonical
// (0,0).
inline DrawnFace draw_flat_face(Rgb skin, Rgb wall, double zoom = 1, double eye = 10,
                                double mouth = 6) {
  DrawnFace drawn;
  drawn.face.to_canonical = {1 / zoom, 0, 0, 0};
  const faceswap::Similarity to_frame = drawn.face.to_canonical.inverse();
  for (const faceswap::Point p : oval_landmarks(eye, mouth))
    drawn.face.landmarks.push_back(to_frame(p));
  drawn.face.measures.presence = 1;
  drawn.crop = faceswap::Image(256, 256);
  for (int y = 0; y < 256; ++y)
    for (int x = 0; x < 256; ++x) {
      const double dx = (x - kOvalMiddle.x) / (kOvalX + 16),
                   dy = (y - kOvalMiddle.y) / (kOvalY + 24);
      const Rgb& color = dx * dx + dy * dy < 1 ? skin : wall;
      for (int c = 0; c < 3; ++c) drawn.crop.at(x, y)[c] = color[c];
    }
  return drawn;
}

inline void paint_box(faceswap::Image& crop, int x0, int y0, int x1, int y1, Rgb color) {
  for (int y = y0; y < y1; ++y)
    for (int x = x0; x < x1; ++x)
      for (int c = 0; c < 3; ++c) crop.at(x, y)[c] = color[c];
}

// From pale to dark, sRGB.
inline constexpr faceswap::head::Color kSkinTones[] = {
    {0.96f, 0.86f, 0.80f}, {0.86f, 0.66f, 0.54f}, {0.76f, 0.57f, 0.42f},
    {0.58f, 0.40f, 0.28f}, {0.40f, 0.27f, 0.19f}, {0.25f, 0.17f, 0.13f}};

// Person a with this skin, and hair and brows as dark as in all of them.
inline faceswap::HeadIdentity with_skin(const faceswap::head::Color& skin) {
  faceswap::HeadIdentity person = faceswap::head_identity('a');
  person.skin = skin;
  person.lip = {0.83f * skin.x, 0.55f * skin.y, 0.62f * skin.z};
  person.hair = {0.06f, 0.05f, 0.04f};
  person.brow = {0.08f, 0.06f, 0.05f};
  return person;
}

// The light on a picture, 1: as it is; brightness by sRGB's curve.
inline faceswap::Image in_light(faceswap::Image picture, double light) {
  for (std::uint8_t& value : picture.pixels) {
    const double v = value / 255.;
    const double linear = v <= 0.04045 ? v / 12.92 : std::pow((v + 0.055) / 1.055, 2.4);
    const double dimmed = light * linear;
    const double out =
        dimmed <= 0.0031308 ? 12.92 * dimmed : 1.055 * std::pow(dimmed, 1 / 2.4) - 0.055;
    value = static_cast<std::uint8_t>(std::lround(255 * out));
  }
  return picture;
}

// A rendered head with the landmarks of the networks and the exact mask, as crops.
struct RenderedFace {
  faceswap::Face face;
  faceswap::Image crop;   // [256,256,3]
  faceswap::Image truth;  // [128,128,1]
};

struct Networks {
  std::optional<faceswap::MeshFinder> mesh;
  std::optional<faceswap::EyeFinder> eyes;
  Networks() {
    const auto mesh_file = faceswap::find_network("face_landmark.safetensors"),
               eye_file = faceswap::find_network("iris_landmark.safetensors");
    if (!mesh_file.empty()) mesh.emplace(mesh_file);
    if (!eye_file.empty()) eyes.emplace(eye_file);
  }
  bool complete() const { return mesh && eyes; }
};

inline std::optional<RenderedFace> render_face(const Networks& networks,
                                               const faceswap::HeadIdentity& person,
                                               const faceswap::HeadPose& pose, int size = 400,
                                               int background = 1) {
  const faceswap::HeadPicture head = draw_head(person, pose, size, size, background, 1);
  const faceswap::Point left = head.landmarks[0], right = head.landmarks[1];
  faceswap::Detection found;
  found.center = {size * pose.center_x, size * (pose.center_y + 0.02)};
  found.side = 1.6 * pose.scale * size;
  found.eyes[0] = left, found.eyes[1] = right;
  const auto mesh = networks.mesh->find(head.rgb, found);
  if (!mesh) return std::nullopt;
  RenderedFace rendered;
  faceswap::Face& face = rendered.face;
  face.eyes[0] = mesh->left_eye(), face.eyes[1] = mesh->right_eye();
  face.to_canonical = faceswap::similarity_from_eyes(face.eyes[0], face.eyes[1]);
  face.landmarks.assign(mesh->points.begin(), mesh->points.end());
  networks.eyes->refine(head.rgb, face.landmarks);
  const faceswap::FacePose turned = faceswap::pose_of(*mesh);
  face.measures.presence = mesh->presence;
  face.measures.yaw = turned.yaw;
  face.measures.pitch = turned.pitch;
  face.measures.roll = turned.roll;
  rendered.crop = crop_face(head.rgb, face.to_canonical, 256);
  rendered.truth = crop_face(head.mask, face.to_canonical, 128);
  return rendered;
}
