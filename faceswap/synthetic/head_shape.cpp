// An ellipsoid, a jaw, and bumps for the features of the face.
#include "faceswap/synthetic/head_shape.h"

namespace faceswap::head {
namespace {

// The ellipsoid's outline, narrowed at the jaw and slightly widened at the skull.
float width_factor(const HeadIdentity& person, float face_y) {
  return 1 - person.jaw * smooth_step(-0.15f, -1.f, face_y) +
         0.05f * smooth_step(0.2f, 0.8f, face_y);
}

float nose(const HeadIdentity& person, float x, float y) {
  const float root = person.nose_root_y(), tip = person.nose_tip_y();
  const float along = unit((root - y) / (root - tip));  // 0 at the root, 1 at the tip
  const float width = person.nose_width * (0.45f + 0.45f * along);
  float height = 0;
  if (y < root + 0.1f && y > tip - 0.10f) {
    const float profile = (0.05f + 0.25f * along * along) / 0.30f;
    const float ends =
        smooth_step(tip - 0.09f, tip + 0.03f, y) * smooth_step(root + 0.12f, root - 0.05f, y);
    height = person.nose_height * profile * ends * bell(x / width);
  }
  for (const float side : {-1.f, 1.f})
    height += 0.075f *
              bell(x - side * person.nose_width * 0.85f, y - (tip + 0.03f), 0.05f, 0.05f);  // wings
  return height;
}

// Height of the skin above the ellipsoid, towards the viewer.
float relief(const HeadIdentity& person, const HeadPose& pose, float x, float y) {
  float height = nose(person, x, y);
  for (const float side : {-1.f, 1.f}) {
    const float eye_dx = x - side * person.eye_x;
    height -= 0.085f * bell(eye_dx, y - (person.eye_y + 0.01f), 0.16f, 0.085f);  // socket
    height += 0.05f * bell(eye_dx, y - person.eye_y, 0.085f, 0.06f);             // eyeball
    height += 0.045f *
              bell(x - side * person.eye_x * 0.9f, y - person.brow_y, 0.17f, 0.055f);  // brow ridge
    height += person.cheek * (1 + 0.7f * pose.smile) *
              bell(x - side * 0.42f, y + 0.12f, 0.17f, 0.16f);          // cheekbone
    height -= 0.03f * bell(x - side * 0.46f, y + 0.48f, 0.13f, 0.15f);  // hollow under it
  }
  height +=
      0.05f * bell(x, y - person.mouth_y, mouth_half_width(person, pose) * 0.75f, 0.085f);  // lips
  height -= 0.03f * bell(x, y - (person.mouth_y - 0.15f), 0.17f, 0.04f);  // groove under the lips
  height += 0.085f * bell(x, y + 0.80f, 0.17f, 0.11f);                    // chin
  height += 0.03f * bell(x, y - 0.62f, 0.4f, 0.2f);                       // forehead
  return height;
}
}  // namespace

float mouth_half_width(const HeadIdentity& person, const HeadPose& pose) {
  return person.mouth_half_width * (1 + 0.18f * pose.smile - 0.20f * pose.mouth_open);
}

SurfacePoint surface_point(const HeadIdentity& person, const HeadPose& pose, float longitude,
                           float latitude) {
  const float ring = std::cos(latitude), forward = std::cos(longitude);
  Vec3 p{person.half_width * std::sin(longitude) * ring, person.half_height * std::sin(latitude),
         0.92f * forward * ring};
  p.x *= width_factor(person, p.y);
  SurfacePoint point;
  point.face_x = p.x;
  point.face_y = p.y;

  // Features fade out towards the ears.
  const float front = forward > 0 ? smooth_step(0.f, 0.35f, forward * ring) : 0.f;
  if (p.z > 0) p.z *= 0.92f + 0.08f * smooth_step(-1.f, 0.2f, p.y);  // flatter at the chin
  if (front > 0) p.z += front * relief(person, pose, point.face_x, point.face_y);

  const float on_top = smooth_step(person.hairline - 0.12f, person.hairline + 0.15f, point.face_y);
  const float at_side =
      std::fabs(longitude) > person.hair_side ? smooth_step(-0.55f, -0.2f, point.face_y) : 0.f;
  const float hair = std::min(1.f, on_top + at_side);
  p = p + normalized({p.x, p.y * 0.8f, p.z}) * (person.hair_volume * hair);

  const float jaw_drop = 0.16f * pose.mouth_open * front *
                         smooth_step(person.mouth_y + 0.02f, person.mouth_y - 0.20f, point.face_y);
  p.y -= jaw_drop;
  p.z -= 0.35f * jaw_drop;
  point.position = p;
  return point;
}

SurfacePoint surface_at_face(const HeadIdentity& person, const HeadPose& pose, float face_x,
                             float face_y) {
  const float latitude = std::asin(std::clamp(face_y / person.half_height, -1.f, 1.f));
  const float half_width_here =
      person.half_width * std::cos(latitude) * width_factor(person, face_y);
  const float longitude = std::asin(std::clamp(face_x / half_width_here, -1.f, 1.f));
  return surface_point(person, pose, longitude, latitude);
}
}  // namespace faceswap::head
