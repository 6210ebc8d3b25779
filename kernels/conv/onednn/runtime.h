// oneDNN's engine, its primitives in a cache, and their execution.
#pragma once
#include <array>
#include <bit>
#include <map>
#include <mutex>
#include <oneapi/dnnl/dnnl.hpp>
#include <unordered_map>

#include "kernels/core/error.h"
#include "kernels/core/types.h"

namespace kernels::onednn {

dnnl::engine& engine();
int set_threads();  // gives oneDNN as many threads as the worker pool has; returns the number

template <class T> constexpr dnnl::memory::data_type data_type = dnnl::memory::data_type::f32;
template <>
inline constexpr dnnl::memory::data_type data_type<bf16> = dnnl::memory::data_type::bf16;

// Wraps an operand of the caller's. oneDNN's one pointer type is not const, but
// operands it reads stay unchanged.
inline dnnl::memory wrap(const dnnl::memory::desc& desc, const void* data) {
  return dnnl::memory(desc, engine(), const_cast<void*>(data));
}

// A primitive and its operands' layouts. Only the weights of a convolution may differ
// from the caller's plain layout.
struct Primitive {
  bool usable = false;  // false: oneDNN does not offer the operation on this CPU
  dnnl::primitive primitive;
  dnnl::memory::desc x, w, bias, y, plain_w, scratchpad;
  dnnl::reorder reorder;  // plain_w -> w, or back for a filter gradient; empty if they agree
};

// Primitives are made once and live as long as the process: making one compiles machine
// code, which takes milliseconds.
class PrimitiveCache {
 public:
  using Key = std::array<std::int64_t, 16>;
  // make() returns the Primitive for a key not met before.
  template <class Make> const Primitive& find(const Key& key, const Make& make) {
    const std::lock_guard lock(mutex_);
    if (const auto found = primitives_.find(key); found != primitives_.end()) return found->second;
    Primitive made;
    try {
      made = make();
      made.usable = true;
    } catch (const dnnl::error& e) {
      if (e.status != dnnl_unimplemented)
        throw Error(ErrorKind::failure,
                    std::string("oneDNN: cannot make a primitive: ") + e.what());
    }
    return primitives_.emplace(key, std::move(made)).first->second;  // its address stays
  }

 private:
  std::mutex mutex_;
  std::map<Key, Primitive> primitives_;
};

inline std::int32_t bits(float value) { return std::bit_cast<std::int32_t>(value); }  // of a key

using Arguments = std::unordered_map<int, dnnl::memory>;

// Each run has scratch memory of its own, so a primitive may run on several threads.
void execute(const Primitive&, Arguments);
void execute_reorder(const Primitive&, dnnl::memory from, dnnl::memory to);
}  // namespace kernels::onednn
