// What the oneDNN files share: the engine, primitives cached by a plain key, and their execution.
#pragma once
#include <array>
#include <map>
#include <memory>
#include <mutex>
#include <oneapi/dnnl/dnnl.hpp>
#include <string>
#include <unordered_map>

#include "kernels/core/error.h"
#include "kernels/core/types.h"

namespace kernels::onednn {

dnnl::engine& engine();
int set_threads();  // gives oneDNN as many threads as the kernels' worker pool has, and returns that number
bool native_bf16();  // the CPU multiplies bf16 itself; elsewhere oneDNN would emulate it, slower than float

template <class T> constexpr dnnl::memory::data_type data_type = dnnl::memory::data_type::f32;
template <>
inline constexpr dnnl::memory::data_type data_type<bf16> = dnnl::memory::data_type::bf16;

// oneDNN neither owns nor changes the operands that it reads; its interface has one kind of pointer.
inline dnnl::memory wrap(const dnnl::memory::desc& desc, const void* data) {
  return dnnl::memory(desc, engine(), const_cast<void*>(data));
}

// A primitive and the layouts of its operands. Only the weights of a convolution may differ from the caller's plain layout.
struct Plan {
  bool usable = false;  // false: oneDNN does not offer this operation on this CPU
  dnnl::primitive primitive;
  dnnl::memory::desc x, w, bias, y, plain_w, scratchpad;
  dnnl::reorder reorder;  // plain_w -> w, or back for a filter gradient; empty where the two agree
};

// Plans are made once and kept for the life of the process. Making one compiles machine code: milliseconds.
class PlanCache {
 public:
  using Key = std::array<std::int64_t, 16>;
  template <class Make> const Plan& find(const Key& key, const Make& make) {
    const std::lock_guard lock(mutex_);
    std::unique_ptr<Plan>& plan = plans_[key];
    if (!plan) {
      auto made = std::make_unique<Plan>();
      try {
        make(*made);
        made->usable = true;
      } catch (const dnnl::error& e) {
        if (e.status != dnnl_unimplemented)
          throw Error(ErrorKind::failure,
                      std::string("oneDNN: cannot make a primitive: ") + e.what());
      }
      plan = std::move(made);
    }
    return *plan;
  }

 private:
  std::mutex mutex_;
  std::map<Key, std::unique_ptr<Plan>> plans_;
};

using Arguments = std::unordered_map<int, dnnl::memory>;

// Runs a primitive with scratch memory of its own from the pool, so that one plan may run on several threads at once.
void execute(const Plan& plan, Arguments arguments);
void execute_reorder(const Plan& plan, dnnl::memory from, dnnl::memory to);

}  // namespace kernels::onednn
