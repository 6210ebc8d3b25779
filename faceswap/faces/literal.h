// Python literals and JSON as a tree of values; nothing in them is ever executed.
#pragma once
#include <nlohmann/json.hpp>
#include <string_view>

namespace faceswap {

// JSON, or a Python literal: dictionaries, lists, tuples (become lists), texts, numbers,
// True, False, None, and bytes (become binary values). Keys of dictionaries become texts.
// At most 64 levels deep. Error(damaged) with the place of the first wrong character.
nlohmann::json parse_literal(std::string_view text);
}  // namespace faceswap
