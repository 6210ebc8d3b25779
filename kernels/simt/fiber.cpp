#include "kernels/simt/fiber.h"

#include <sys/mman.h>
#include <unistd.h>

#include <cstring>

#if !SIMT_UCONTEXT && defined(__x86_64__)
asm(R"(
.text
.p2align 4
.globl simt_switch
.hidden simt_switch
.type simt_switch,@function
simt_switch:
  pushq %rbp
  pushq %rbx
  pushq %r12
  pushq %r13
  pushq %r14
  pushq %r15
  movq %rsp,(%rdi)
  movq %rsi,%rsp
  popq %r15
  popq %r14
  popq %r13
  popq %r12
  popq %rbx
  popq %rbp
  ret
.size simt_switch,.-simt_switch
)");
#elif !SIMT_UCONTEXT && defined(__aarch64__)
asm(R"(
.text
.p2align 4
.globl simt_switch
.hidden simt_switch
.type simt_switch,%function
simt_switch:
  sub sp, sp, #160
  stp x19, x20, [sp, #0]
  stp x21, x22, [sp, #16]
  stp x23, x24, [sp, #32]
  stp x25, x26, [sp, #48]
  stp x27, x28, [sp, #64]
  stp x29, x30, [sp, #80]
  stp d8, d9, [sp, #96]
  stp d10, d11, [sp, #112]
  stp d12, d13, [sp, #128]
  stp d14, d15, [sp, #144]
  mov x9, sp
  str x9, [x0]
  mov sp, x1
  ldp x19, x20, [sp, #0]
  ldp x21, x22, [sp, #16]
  ldp x23, x24, [sp, #32]
  ldp x25, x26, [sp, #48]
  ldp x27, x28, [sp, #64]
  ldp x29, x30, [sp, #80]
  ldp d8, d9, [sp, #96]
  ldp d10, d11, [sp, #112]
  ldp d12, d13, [sp, #128]
  ldp d14, d15, [sp, #144]
  add sp, sp, #160
  ret
.size simt_switch,.-simt_switch
)");
#endif

namespace simt::runtime {

namespace {
std::size_t page() {
  static const std::size_t bytes = static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
  return bytes;
}
}  // namespace

bool map_stack(Fiber& fiber, std::size_t bytes) {
  const std::size_t guard = page(), rounded = (bytes + guard - 1) / guard * guard;
  void* const mapping = mmap(nullptr, rounded + guard, PROT_READ | PROT_WRITE,
                             MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0);
  if (mapping == MAP_FAILED) return false;
  mprotect(mapping, guard, PROT_NONE);
  fiber.mapping_ = mapping;
  fiber.stack = static_cast<std::byte*>(mapping) + guard;
  fiber.stack_bytes = rounded;
  return true;
}

Fiber::~Fiber() {
  if (!mapping_) return;
#ifdef SIMT_ASAN
  __asan_unpoison_memory_region(stack, stack_bytes);
#endif
  munmap(mapping_, stack_bytes + page());
}

void remap_stack(Fiber& fiber) {
  mmap(fiber.stack, fiber.stack_bytes, PROT_READ | PROT_WRITE,
       MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK | MAP_FIXED, -1, 0);
}

void reset_stack(Fiber& fiber, std::size_t offset, void (*entry)()) {
#if SIMT_UCONTEXT
  getcontext(&fiber.context);
  fiber.context.uc_stack.ss_sp = fiber.stack;
  fiber.context.uc_stack.ss_size = fiber.stack_bytes - offset;
  fiber.context.uc_link = nullptr;
  makecontext(&fiber.context, entry, 0);
#else
  // What simt_switch would have left on this stack, had it been called just before entry's first instruction.
  void** const top = reinterpret_cast<void**>(fiber.stack + fiber.stack_bytes - offset);
#if defined(__x86_64__)
  constexpr int words = 10;
  void** const saved = top - words;
  std::memset(
      saved, 0,
      words *
          sizeof(void*));  // six registers, entry, and a return address of 0, where backtraces end
  saved[6] = reinterpret_cast<void*>(entry);
#else
  constexpr int words = 20;
  void** const saved = top - words;
  std::memset(saved, 0, words * sizeof(void*));  // x29 = 0 ends backtraces
  saved[11] = reinterpret_cast<void*>(entry);    // x30, the return address
#endif
  fiber.stack_pointer = saved;
#endif
}

#ifdef SIMT_TSAN
void* new_grid_context() { return __tsan_create_fiber(0); }

void* new_thread_context(uint3 block, uint3 thread) {
  // By hand: snprintf is intercepted, and would count as an access by whichever context runs.
  char name[96];
  char* out = name;
  const auto text = [&out](const char* s) {
    while (*s) *out++ = *s++;
  };
  const auto number = [&out](unsigned v) {
    char digits[12];
    int n = 0;
    do digits[n++] = static_cast<char>('0' + v % 10);
    while (v /= 10);
    while (n) *out++ = digits[--n];
  };
  const auto triple = [&](const char* label, uint3 v) {
    text(label);
    text("(");
    number(v.x);
    text(",");
    number(v.y);
    text(",");
    number(v.z);
    text(")");
  };
  triple("block", block);
  triple(" thread", thread);
  *out = 0;
  void* const context = __tsan_create_fiber(0);
  __tsan_set_fiber_name(context, name);
  return context;
}
#else
void* new_grid_context() { return nullptr; }
void* new_thread_context(uint3, uint3) { return nullptr; }
#endif

}  // namespace simt::runtime
