// One fiber: a stack, and the switch from one to another. And what the sanitizers have to be told about it. For scheduler.cpp.
#pragma once
#include <cstddef>

#include "kernels/simt/vector_types.h"

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
#ifdef SIMT_TSAN  // set by the build: these files are not instrumented, so the compiler does not say
extern "C" {      // sanitizer/tsan_interface.h of gcc 12 lacks them
void* __tsan_get_current_fiber(void);
void* __tsan_create_fiber(unsigned flags);
void __tsan_destroy_fiber(void* fiber);
void __tsan_switch_to_fiber(void* fiber, unsigned flags);
void __tsan_set_fiber_name(void* fiber, const char* name);
void __tsan_acquire(void* address);
void __tsan_release(void* address);
}
#endif

#if !defined(__x86_64__) && !defined(__aarch64__) && !defined(SIMT_UCONTEXT)
#define SIMT_UCONTEXT 1  // portable; two system calls per switch make it 18 times as slow
#endif
#if SIMT_UCONTEXT
#include <ucontext.h>
#else
// Pushes the registers that a call must preserve, stores the stack pointer, loads the other one, pops, returns there. It leaves
// the floating-point control words alone: kernels must not change the rounding mode.
extern "C" void simt_switch(void** save_stack_pointer, void* load_stack_pointer);
#endif

namespace simt::runtime {

struct Fiber {
#if SIMT_UCONTEXT
  ucontext_t context;
#endif
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
void reset_stack(
    Fiber&, std::size_t offset,
    void (*entry)());  // the next switch to it calls entry, `offset` bytes below the top

inline void switch_fiber(Fiber& from, Fiber& to) {
#ifdef SIMT_ASAN
  __sanitizer_start_switch_fiber(&from.asan_frames, to.stack, to.stack_bytes);
#endif
#if SIMT_UCONTEXT
  swapcontext(&from.context, &to.context);
#else
  simt_switch(&from.stack_pointer, to.stack_pointer);
#endif
#ifdef SIMT_ASAN
  __sanitizer_finish_switch_fiber(from.asan_frames, nullptr, nullptr);
#endif
}

// First call on a new fiber. The first of all comes from the launcher, whose stack bounds only ASan knows.
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

inline void asan_poison([[maybe_unused]] void* p, [[maybe_unused]] std::size_t bytes) {
#ifdef SIMT_ASAN
  __asan_poison_memory_region(p, bytes);
#endif
}
inline void asan_unpoison([[maybe_unused]] void* p, [[maybe_unused]] std::size_t bytes) {
#ifdef SIMT_ASAN
  __asan_unpoison_memory_region(p, bytes);
#endif
}

// ThreadSanitizer contexts. Without TSan they are null and cost nothing.
#ifdef SIMT_TSAN
inline constexpr bool with_tsan = true;
inline void* current_context() { return __tsan_get_current_fiber(); }
inline void enter_context(void* context) {
  __tsan_switch_to_fiber(context, 1);
}  // 1: the switch itself orders nothing
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
void* new_thread_context(uint3 block,
                         uint3 thread);  // reports call it "block(1,0,0) thread(5,0,0)"

}  // namespace simt::runtime
