// Python pickles as a tree of values; nothing in them is ever executed.
#pragma once
#include <cstddef>
#include <nlohmann/json.hpp>
#include <span>

namespace faceswap {

// A pickle of protocol 2 to 5 that holds dictionaries with texts as keys, lists, tuples
// (become lists), texts, bytes (become binary values), numbers, True, False, None, and
// numpy's numbers and arrays (become lists; of bytes: a binary value). A pickle is a
// program: only the opcodes that build these values are understood, and of the functions
// that it may name only numpy's constructors, by their names. Error(damaged) for others.
nlohmann::json parse_pickle(std::span<const std::byte> bytes);
}  // namespace faceswap
