// Skin first, then the features on it in painter's order.
#include "faceswap/synthetic/head_paint.h"

#include "faceswap/synthetic/head_shape.h"

namespace faceswap::head {
namespace {

bool is_hair(const HeadIdentity& person, float longitude, float x, float y) {
  if (std::cos(longitude) < -0.15f) return true;  // the back of the head
  const float line =
      person.hairline + 0.05f * std::cos(x * 5) + 0.03f * (value_noise(x * 30, 3, 5) - 0.5f);
  if (y > line) return true;
  const float around = std::fabs(longitude);
  const float temple = person.hair_side - 0.28f * smooth_step(0.1f, 0.6f, y);
  return around > temple && y > -0.35f - 0.25f * smooth_step(1.2f, 2.f, around);
}

Color hair_color(const HeadIdentity& person, float x, float y) {
  const float strands =
      0.6f * value_noise(x * 45 + y * 3, y * 4, 21) + 0.4f * value_noise(x * 120, y * 9, 22);
  return person.hair * (0.7f + 0.7f * strands);
}

Color skin_color(const HeadIdentity& person, float x, float y) {
  const float mottle = 0.5f * value_noise(x * 9, y * 9, 7) + 0.3f * value_noise(x * 26, y * 26, 9) +
                       0.2f * value_noise(x * 70, y * 70, 11);
  return person.skin * (1 + 3 * person.skin_mottle * (mottle - 0.5f));
}

void paint_cheeks_and_moustache(const HeadIdentity& person, float x, float y, Color& color) {
  for (const float side : {-1.f, 1.f}) {
    const Color flushed{color.x * 1.02f, color.y * 0.80f, color.z * 0.78f};
    color = mix(color, flushed, 0.40f * bell(x - side * 0.42f, y + 0.15f, 0.15f, 0.13f));
  }
  color = color * (1 - 0.12f * bell(x, y - (person.eye_y - 0.40f), 0.25f, 0.05f));
  if (person.moustache > 0) {
    const float density = person.moustache * bell(x, y - (person.mouth_y + 0.125f), 0.16f, 0.035f);
    color = mix(color, person.hair, std::min(1.f, 1.2f * density));
  }
}

// Between the lids: white, iris, pupil, glint, the upper lid's shadow.
Color eyeball_color(const HeadIdentity& person, const HeadPose& pose, float across, float dx,
                    float dy, float upper_lid) {
  const float x = dx - 0.05f * pose.gaze_x, y = dy - 0.002f - 0.03f * pose.gaze_y;
  const float radius =
      std::sqrt(x * x + y * y) / (0.86f * person.eye_half_height);  // 1 at the rim of the iris
  Color color = Color{0.90f, 0.88f, 0.86f} * (1 - 0.25f * std::fabs(across));
  if (radius < 1) {
    color = person.iris * (0.55f + 0.6f * radius * (1 - smooth_step(0.8f, 1.f, radius)));
    if (radius < 0.45f) color = {0.03f, 0.03f, 0.03f};
    const float glint_x = x + 0.018f, glint_y = y - 0.022f;
    if (glint_x * glint_x + glint_y * glint_y < 0.00016f) color = {1, 1, 1};
  }
  return color * (1 - 0.45f * smooth_step(upper_lid - 0.03f, upper_lid, dy));
}

void paint_eye(const HeadIdentity& person, const HeadPose& pose, float dx, float dy, Paint& paint) {
  Color& color = paint.color;
  const float w = person.eye_half_width, h = person.eye_half_height;
  color = color * (1 - 0.34f * bell(dx, dy - 0.02f, w * 1.05f, h * 1.6f));  // the socket's shade
  color = color * (1 - 0.10f * bell(dx, dy + 0.12f, w * 0.8f, 0.03f));      // and under the eye
  const float across = dx / w;  // -1..1 between the corners
  if (std::fabs(across) >= 1.08f) return;
  const bool between_corners = std::fabs(across) < 1;
  const float arc = between_corners ? std::sqrt(1 - across * across) : 0.f;
  const float opening = h * (1 - 0.93f * pose.blink) * (1 + 0.25f * pose.brow_up);
  const float upper_lid = opening * arc, lower_lid = -0.75f * opening * arc;
  if (between_corners && dy < upper_lid && dy > lower_lid) {
    color = eyeball_color(person, pose, across, dx, dy, upper_lid);
    paint.gloss = 2.5f;
  }
  const float lashes =
      bell((dy - upper_lid) / 0.011f) * smooth_step(1.08f, 0.95f, std::fabs(across));
  color = mix(color, person.brow * 0.6f, 0.85f * lashes);
  if (between_corners) color = mix(color, person.brow, 0.35f * bell((dy - lower_lid) / 0.008f));
  if (std::fabs(across) < 0.9f)
    color = color * (1 - 0.22f * bell((dy - upper_lid - 0.035f) / 0.010f));  // the lid's crease
}

void paint_brow(const HeadIdentity& person, const HeadPose& pose, float side, float x, float y,
                Color& color) {
  // 0 near the nose, 1 at the temple.
  const float along = (x * side - (person.eye_x - 0.19f)) / 0.40f;
  if (along <= 0 || along >= 1) return;
  const float middle = person.brow_y + 0.05f * pose.brow_up +
                       person.brow_tilt * std::sin(along * 2.6f) - 0.02f * along;
  const float thickness =
      person.brow_thickness * (1.15f - 0.75f * along) * smooth_step(0.f, 0.08f, along);
  const float hairs = 0.7f + 0.4f * value_noise(x * 90, y * 90, 41);
  color = mix(color, person.brow, 0.92f * bell((y - middle) / thickness) * hairs);
}

void paint_nose_shadows(const HeadIdentity& person, const HeadPose& pose, float x, float y,
                        Color& color) {
  const float tip = person.nose_tip_y();
  const bool fold_rows = y < tip + 0.02f && y > person.mouth_y - 0.02f;
  for (const float side : {-1.f, 1.f}) {
    const float nostril =
        bell(x - side * person.nose_width * 0.48f, y - (tip - 0.045f), 0.030f, 0.018f);
    const float wing = bell(x - side * person.nose_width * 1.15f, y - (tip + 0.02f), 0.02f, 0.05f);
    color = color * (1 - 0.72f * nostril);
    color = color * (1 - 0.20f * wing);
    if (fold_rows) {  // the fold from nose to mouth
      const float from_fold = std::fabs(x) - (0.16f + 0.45f * (tip - y));
      color = color * (1 - 0.14f * (1 + pose.smile) * bell(from_fold / 0.022f));
    }
  }
  color = color * (1 - 0.22f * bell(x, y - (tip - 0.075f), person.nose_width * 0.9f, 0.022f));
}

void paint_mouth(const HeadIdentity& person, const HeadPose& pose, float x, float y, Paint& paint) {
  const float across = x / mouth_half_width(person, pose), distance = std::fabs(across);
  if (distance >= 1.05f) return;
  Color& color = paint.color;
  // A smile lifts the corners.
  const float middle = person.mouth_y + pose.smile * (0.10f * across * across - 0.03f);
  const float gap = 0.15f * pose.mouth_open * (distance < 1 ? std::sqrt(1 - across * across) : 0.f);
  const float gap_top = 0.35f * gap, gap_bottom = -0.65f * gap, dy = y - middle;
  const float upper_lip = person.lip_thickness * (0.9f + 0.25f * std::cos(across * 6.f)) *
                          smooth_step(1.05f, 0.7f, distance);
  const float lower_lip = person.lip_thickness * 1.25f * smooth_step(1.05f, 0.6f, distance);
  if (dy < gap_top && dy > gap_bottom) {
    const bool teeth = dy > gap_top - 0.045f && distance < 0.75f;
    color = teeth ? Color{0.88f, 0.86f, 0.80f} : Color{0.16f, 0.05f, 0.05f};
    paint.gloss = 0.6f;
  } else if (dy >= gap_top && dy < gap_top + upper_lip) {
    color = mix(person.lip * 0.85f, color, smooth_step(0.8f, 1.f, (dy - gap_top) / upper_lip));
    paint.gloss = 1.5f;
  } else if (dy <= gap_bottom && dy > gap_bottom - lower_lip) {
    color = mix(person.lip * 1.05f, color, smooth_step(0.8f, 1.f, (gap_bottom - dy) / lower_lip));
    paint.gloss = 2;
  }
  const float from_edge = std::min(std::fabs(dy - gap_top), std::fabs(dy - gap_bottom));
  // The dark line between the lips.
  color = color * (1 - 0.65f * bell(from_edge / 0.010f) * smooth_step(1.05f, 0.95f, distance));
}
}  // namespace

Paint paint_at(const HeadIdentity& person, const HeadPose& pose, float longitude, float x,
               float y) {
  if (is_hair(person, longitude, x, y)) return {hair_color(person, x, y), 0.5f, false};
  Paint paint{skin_color(person, x, y), 1.f, true};
  if (std::cos(longitude) <= 0) return {paint.color * 0.8f, 1.f, false};  // behind the ears
  paint_cheeks_and_moustache(person, x, y, paint.color);
  for (const float side : {-1.f, 1.f}) {
    paint_eye(person, pose, x - side * person.eye_x, y - person.eye_y, paint);
    paint_brow(person, pose, side, x, y, paint.color);
  }
  paint_nose_shadows(person, pose, x, y, paint.color);
  paint_mouth(person, pose, x, y, paint);
  return paint;
}
}  // namespace faceswap::head
