#include "kernels/simt/fiber.h"

#include <sys/mman.h>
#include <unistd.h>

#include <cstring>

#define SIMT_SWITCH_BEGINS \
  ".text\n.p2align 4\n.globl simt_switch\n.hidden simt_switch\nsimt_switch:\n"

#if defined(__x86_64__)
asm(SIMT_SWITCH_BEGINS R"(
  pushq %rbp; pushq %rbx; pushq %r12; pushq %r13; pushq %r14; pushq %r15
  movq %rsp,(%rdi)
  movq %rsi,%rsp
  popq %r15; popq %r14; popq %r13; popq %r12; popq %rbx; popq %rbp
  ret
.type simt_switch,@function
.size simt_switch,.-simt_switch
)");
#elif defined(__aarch64__)
asm(SIMT_SWITCH_BEGINS R"(
  sub sp, sp, #160
  stp x19, x20, [sp, #0];  stp x21, x22, [sp, #16]; stp x23, x24, [sp, #32]
  stp x25, x26, [sp, #48]; stp x27, x28, [sp, #64]; stp x29, x30, [sp, #80]
  stp d8, d9, [sp, #96];   stp d10, d11, [sp, #112]
  stp d12, d13, [sp, #128]; stp d14, d15, [sp, #144]
  mov x9, sp
  str x9, [x0]
  mov sp, x1
  ldp x19, x20, [sp, #0];  ldp x21, x22, [sp, #16]; ldp x23, x24, [sp, #32]
  ldp x25, x26, [sp, #48]; ldp x27, x28, [sp, #64]; ldp x29, x30, [sp, #80]
  ldp d8, d9, [sp, #96];   ldp d10, d11, [sp, #112]
  ldp d12, d13, [sp, #128]; ldp d14, d15, [sp, #144]
  add sp, sp, #160
  ret
.type simt_switch,%function
.size simt_switch,.-simt_switch
)");
#else
#error "simt_switch is written for x86-64 and aarch64: add this processor's registers here"
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
  asan_unpoison(stack, stack_bytes);
  munmap(mapping_, stack_bytes + page());
}

void remap_stack(Fiber& fiber) {
  mmap(fiber.stack, fiber.stack_bytes, PROT_READ | PROT_WRITE,
       MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK | MAP_FIXED, -1, 0);
}

void reset_stack(Fiber& fiber, std::size_t offset, void (*entry)()) {
  // The stack as simt_switch leaves it if called just before entry's first instruction.
  void** const top = reinterpret_cast<void**>(fiber.stack + fiber.stack_bytes - offset);
#if defined(__x86_64__)
  constexpr int words = 10;
  void** const saved = top - words;
  // Six registers, entry, and a return address of 0, which ends backtraces.
  std::memset(saved, 0, words * sizeof(void*));
  saved[6] = reinterpret_cast<void*>(entry);
#else
  constexpr int words = 20;
  void** const saved = top - words;
  std::memset(saved, 0, words * sizeof(void*));  // x29 = 0 ends backtraces
  saved[11] = reinterpret_cast<void*>(entry);    // x30, the return address
#endif
  fiber.stack_pointer = saved;
}

#ifdef SIMT_TSAN
void* new_grid_context() { return __tsan_create_fiber(0); }

void* new_thread_context(uint3 block, uint3 thread) {
  // Without snprintf: it is intercepted, and would count as an access of whichever
  // context runs.
  char name[96];
  char* out = name;
  const auto triple = [&out](const char* label, uint3 v) {
    while (*label) *out++ = *label++;
    unsigned values[3] = {v.x, v.y, v.z};
    for (unsigned& rest : values) {
      *out++ = &rest == values ? '(' : ',';
      char digits[12];
      int n = 0;
      do digits[n++] = static_cast<char>('0' + rest % 10);
      while (rest /= 10);
      while (n) *out++ = digits[--n];
    }
    *out++ = ')';
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
