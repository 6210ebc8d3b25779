#include "faceswap/synthetic/head_scene.h"

namespace faceswap::head {
namespace {

Color shelves(std::uint32_t seed, float x, float y) {
  const float column = std::floor(x * 7), row = std::floor(y * 4);
  const float in_x = x * 7 - column, in_y = y * 4 - row;  // 0..1 inside one compartment
  const int ix = static_cast<int>(column), iy = static_cast<int>(row);
  const auto shade = [&](std::uint32_t channel) {
    return 0.2f + 0.7f * lattice(ix, iy, seed + channel);
  };
  const Color box{shade(5), shade(6), shade(7)}, wood{0.28f, 0.18f, 0.10f};
  if (in_y < 0.08f) return wood * 0.8f;
  if (in_x < 0.12f) return box * (0.35f * 0.8f);  // the gap between two boxes
  return box * (0.8f * (0.7f + 0.3f * value_noise(x * 50, y * 50, seed)));
}
}  // namespace

Color background_color(int kind, std::uint32_t seed, float x, float y) {
  if (kind == 2) return shelves(seed, x, y);
  const Color wall{0.25f + 0.5f * lattice(1, 1, seed), 0.25f + 0.5f * lattice(2, 1, seed),
                   0.25f + 0.5f * lattice(3, 1, seed)};
  if (kind == 0) return wall * (0.75f + 0.4f * (1 - y) + 0.06f * value_noise(x * 6, y * 6, seed));
  const float blotches = 0.6f * value_noise(x * 4, y * 4, seed) +
                         0.3f * value_noise(x * 13, y * 13, seed + 1) +
                         0.1f * value_noise(x * 40, y * 40, seed + 2);
  return wall * (0.55f + 0.8f * blotches);
}

bool body_color(const HeadIdentity& person, Vec3 neck_base, float light_x, float x, float y,
                Color& color) {
  const float neck_top = neck_base.y + 0.35f;
  if (y >= neck_top) return false;
  const float shoulder_y = -1.42f, collar_y = -1.62f;
  if (y < shoulder_y) {
    const float half_width = 0.42f + 1.05f * std::sqrt(std::min(1.f, (shoulder_y - y) / 0.45f));
    const float across = std::fabs(x) / half_width;
    if (across < 1) {
      const bool collar_opening = y > collar_y && std::fabs(x) < (y - collar_y) * 1.6f;
      const float cloth = 0.95f + 0.1f * value_noise(x * 25, y * 25, 77);
      color = collar_opening ? person.skin * 0.8f
                             : person.shirt * ((1.05f - 0.5f * across * across) * cloth);
      return true;
    }
  }
  // The neck moves with the head at its top and rests at the shirt.
  const float down = unit((neck_top - y) / 0.9f);
  const float across = (x - neck_base.x * (1 - down)) / (0.42f + 0.06f * down);
  if (std::fabs(across) >= 1 || y <= -1.6f) return false;
  const float lit_side = light_x < 0 ? 1.f : -1.f;
  const float round = 0.60f + 0.35f * std::sqrt(1 - across * across) - 0.18f * across * lit_side;
  const float chin_shadow = 1 - 0.45f * smooth_step(0.75f, 0.f, neck_top - y);
  color = person.skin * (round * chin_shadow);
  return true;
}
}  // namespace faceswap::head
