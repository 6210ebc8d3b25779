// What the files of the head renderer share: a person's figures, and the steps that turn them into a picture.
//
// Two coordinate systems. Head units: x to the image's right, y up, z to the viewer, the unit about half a head's width.
// The face plane: where a point of the bare ellipsoid stands when seen from the front, before any feature displaces it. Eyes, brows, lips and
// hairline are placed and painted in the face plane, so paint sticks to the skin when the jaw drops.
#pragma once
#include "faceswap/synthetic/head.h"
#include "faceswap/synthetic/head_math.h"

namespace faceswap {

// Lengths in head units, y measured from the head's centre.
struct HeadIdentity {
  head::Color skin{0.86f, 0.66f, 0.54f}, hair{0.16f, 0.10f, 0.06f}, brow{0.18f, 0.11f, 0.07f},
      iris{0.25f, 0.38f, 0.55f}, lip{0.72f, 0.36f, 0.34f}, shirt{0.2f, 0.25f, 0.4f};
  float half_width = 0.78f, half_height = 1.06f;
  float jaw = 0.28f;  // how much narrower the jaw is than the temples
  float eye_x = 0.335f, eye_y = 0.16f, eye_half_width = 0.165f, eye_half_height = 0.075f;
  float brow_y = 0.335f, brow_thickness = 0.042f, brow_tilt = 0.05f;
  float nose_length = 0.40f, nose_width = 0.115f, nose_height = 0.30f;
  float mouth_y = -0.50f, mouth_half_width = 0.25f, lip_thickness = 0.050f;
  float hairline = 0.60f;   // lowest y of the hair over the forehead
  float hair_side = 1.15f;  // longitude where the hair at the sides begins, radians
  float hair_volume = 0.06f, cheek = 0.06f, skin_mottle = 0.02f, moustache = 0.f;

  float nose_root_y() const { return eye_y + 0.04f; }
  float nose_tip_y() const { return nose_root_y() - nose_length; }
};

namespace head {

// Half the mouth's width: a smile widens it, an open mouth narrows it.
inline float mouth_half_width(const HeadIdentity& person, const HeadPose& pose) {
  return person.mouth_half_width * (1 + 0.18f * pose.smile - 0.20f * pose.mouth_open);
}

// head_shape.cpp -------------------------------------------------------------------------------------------------
struct SurfacePoint {
  Vec3 position;                 // head units, head upright and facing the viewer
  float face_x = 0, face_y = 0;  // the same point in the face plane
};
// longitude: 0 at the nose, +-pi at the back of the head; latitude: -pi/2 at the chin, pi/2 at the crown.
SurfacePoint surface_point(const HeadIdentity&, const HeadPose&, float longitude, float latitude);
SurfacePoint surface_at_face(const HeadIdentity&, const HeadPose&, float face_x,
                             float face_y);  // the inverse, on the front

// head_paint.cpp -------------------------------------------------------------------------------------------------
struct Paint {
  Color color;
  float gloss = 1;   // factor of the highlight: wet eyes and lips shine, hair hardly
  bool face = true;  // skin, eyes or mouth; not hair
};
Paint paint_at(const HeadIdentity&, const HeadPose&, float longitude, float face_x, float face_y);

// head_scene.cpp -------------------------------------------------------------------------------------------------
Color background_color(int kind, std::uint32_t seed, float x,
                       float y);  // x, y in shares of the picture's height
// Neck and shirt, flat behind the head, at head units (x, y) from its centre. False: the background shows.
bool body_color(const HeadIdentity&, Vec3 neck_base, float light_x, float x, float y, Color& color);

}  // namespace head
}  // namespace faceswap
