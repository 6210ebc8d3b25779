// A fiber: a stack, and the switch to another one that the sanitizers follow.
#pragma once
#include "kernels/simt/runtime.h"

#if defined(__SANITIZE_ADDRESS__)
#define SIMT_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SIMT_ASAN 1
#endif
#endif
#ifdef SIMT_ASAN
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#endif
// SIMT_TSAN comes from the build: these files are not instrumented, so no compiler
// macro tells. gcc 12's sanitizer/tsan_interface.h lacks the fiber calls.
#ifdef SIMT_TSAN
extern "C" {
void* __tsan_get_current_fiber(void);
void* __tsan_create_fiber(unsigned flags);
void __tsan_destroy_fiber(void* fiber);
void __tsan_switch_to_fiber(void* fiber, unsigned flags);
void __tsan_set_fiber_name(void* fiber, const char* name);
void __tsan_acquire(void* address);
void __tsan_release(void* address);
}
#endif

// Saves the callee-saved registers and the stack pointer, then loads the other fiber's.
// The floating-point control words stay: kernels must not change the rounding mode.
extern "C" void simt_switch(void** save_stack_pointer, void* load_stack_pointer);

namespace simt::runtime {

struct Fiber {
  void* stack_pointer = nullptr;  // while it does not run
  std::byte* stack = nullptr;     // lowest address; a guard page lies below
  std::size_t stack_bytes = 0;
  void* asan_frames = nullptr;

  Fiber() = default;
  ~Fiber();
  Fiber(const Fiber&) = delete;
  Fiber& operator=(const Fiber&) = delete;

 private:
  friend bool map_stack(Fiber&, std::size_t bytes);
  void* mapping_ = nullptr;
};

bool map_stack(Fiber&, std::size_t bytes);  // false: out of memory or mappings
void remap_stack(Fiber&);                   // same addresses, fresh memory
// The next switch to the fiber calls entry, `offset` bytes below the top of the stack.
void reset_stack(Fiber&, std::size_t offset, void (*entry)());

inline void switch_fiber(Fiber& from, Fiber& to) {
#ifdef SIMT_ASAN
  __sanitizer_start_switch_fiber(&from.asan_frames, to.stack, to.stack_bytes);
#endif
  simt_switch(&from.stack_pointer, to.stack_pointer);
#ifdef SIMT_ASAN
  __sanitizer_finish_switch_fiber(from.asan_frames, nullptr, nullptr);
#endif
}

// First call on a new fiber. The first comes from the launcher: ASan tells its stack.
inline void fiber_started([[maybe_unused]] Fiber& launcher) {
#ifdef SIMT_ASAN
  const void* bottom;
  std::size_t bytes;
  __sanitizer_finish_switch_fiber(nullptr, &bottom, &bytes);
  if (!launcher.stack) {
    launcher.stack = static_cast<std::byte*>(const_cast<void*>(bottom));
    launcher.stack_bytes = bytes;
  }
#endif
}

#ifdef SIMT_ASAN
inline void asan_poison(void* p, std::size_t bytes) { __asan_poison_memory_region(p, bytes); }
inline void asan_unpoison(void* p, std::size_t bytes) { __asan_unpoison_memory_region(p, bytes); }
#else
inline void asan_poison(void*, std::size_t) {}
inline void asan_unpoison(void*, std::size_t) {}
#endif

// ThreadSanitizer contexts. Without TSan they are null and cost nothing.
#ifdef SIMT_TSAN
inline constexpr bool with_tsan = true;
inline void* current_context() { return __tsan_get_current_fiber(); }
// 1: the switch itself orders nothing.
inline void enter_context(void* context) { __tsan_switch_to_fiber(context, 1); }
inline void destroy_context(void* context) { __tsan_destroy_fiber(context); }
inline void tsan_acquire(void* address) { __tsan_acquire(address); }
inline void tsan_release(void* address) { __tsan_release(address); }
#else
inline constexpr bool with_tsan = false;
inline void* current_context() { return nullptr; }
inline void enter_context(void*) {}
inline void destroy_context(void*) {}
inline void tsan_acquire(void*) {}
inline void tsan_release(void*) {}
#endif
void* new_grid_context();
// Named "block(1,0,0) thread(5,0,0)" in reports.
void* new_thread_context(uint3 block, uint3 thread);
}  // namespace simt::runtime
