// The container of binaries and the attributes of a kernel's ELF section .nv.info are
// read as the compiler writes them; other versions' are refused, not guessed.
#include "tests/standin/cudart/kernel_registry.h"

#include <cxxabi.h>
#include <elf.h>

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <regex>
#include <stdexcept>
#include <string_view>

#include "tests/standin/cudart/card.h"

namespace standin {
namespace {

template <class T> T load(const std::byte* from) {
  T value;
  std::memcpy(&value, from, sizeof value);
  return value;
}

struct Wrapper {  // __fatBinC_Wrapper_t of fatbinary_section.h
  int magic, version;
  const std::byte* data;
};
constexpr std::uint32_t kContainer = 0xba55ed50;
enum Code : std::uint16_t { ptx = 1, elf = 2 };
// Attributes of .nv.info: the form of a record with a size, and a parameter's place.
constexpr int kSized = 4, kParameterPlace = 0x17;

std::vector<Parameter> read_places(const std::byte* at, const std::byte* end) {
  std::vector<std::pair<int, Parameter>> found;
  while (at + 4 <= end) {
    const int form = static_cast<int>(at[0]), attribute = static_cast<int>(at[1]);
    const std::size_t size = form == kSized ? load<std::uint16_t>(at + 2) : 0;
    if (form == kSized && attribute == kParameterPlace)
      found.push_back({load<std::uint16_t>(at + 8),
                       {load<std::uint16_t>(at + 10), load<std::uint32_t>(at + 12) >> 18}});
    at += 4 + size;
  }
  std::sort(found.begin(), found.end(), [](auto& a, auto& b) { return a.first < b.first; });
  std::vector<Parameter> places;
  for (const auto& [ordinal, place] : found) places.push_back(place);
  return places;
}
}  // namespace

struct Binary {
  const std::byte* container;
  bool read = false, fits = false;
  std::map<std::string, std::vector<Parameter>> parameters;  // by symbol
};

KernelRegistry& KernelRegistry::get() {
  static auto* const registry = new KernelRegistry;  // used before main and after it
  return *registry;
}

std::shared_ptr<Binary> KernelRegistry::add_binary(const void* wrapper) {
  auto binary = std::make_shared<Binary>();
  binary->container = static_cast<const Wrapper*>(wrapper)->data;
  return binary;
}

void KernelRegistry::add_kernel(const void* host_function, std::shared_ptr<Binary> binary,
                                const char* symbol) {
  const std::lock_guard lock(mutex_);
  kernels_[host_function] = {symbol, short_name(symbol), std::move(binary)};
}

const Kernel* KernelRegistry::find(const void* host_function) const {
  const std::lock_guard lock(mutex_);
  const auto found = kernels_.find(host_function);
  return found == kernels_.end() ? nullptr : &found->second;
}

bool KernelRegistry::runs_on_card(const Kernel& kernel) {
  const std::lock_guard lock(mutex_);
  read(*kernel.binary);
  return kernel.binary->fits;
}

const std::vector<Parameter>& KernelRegistry::parameters(const Kernel& kernel) {
  const std::lock_guard lock(mutex_);
  read(*kernel.binary);
  return kernel.binary->parameters[kernel.symbol];
}

void KernelRegistry::read(Binary& binary) {
  if (binary.read) return;
  binary.read = true;
  const std::byte* at = binary.container;
  if (load<std::uint32_t>(at) != kContainer)
    throw std::runtime_error("stand-in card: an unknown container of GPU code");
  const std::byte* const end = at + load<std::uint16_t>(at + 6) + load<std::uint64_t>(at + 8);
  const int major = card().major, version = major * 10 + card().minor;
  for (at += load<std::uint16_t>(at + 6); at < end;) {
    const auto kind = load<std::uint16_t>(at);
    const auto header = load<std::uint32_t>(at + 4);
    const auto size = load<std::uint64_t>(at + 8);
    const int arch = static_cast<int>(load<std::uint32_t>(at + 28));
    if (kind == ptx) binary.fits |= arch <= version;
    if (kind == elf) {
      binary.fits |= arch / 10 == major && arch <= version;
      const std::byte* const file = at + header;
      const auto head = load<Elf64_Ehdr>(file);
      const auto section = [&](std::size_t i) {
        return load<Elf64_Shdr>(file + head.e_shoff + i * sizeof(Elf64_Shdr));
      };
      const std::byte* const names = file + section(head.e_shstrndx).sh_offset;
      constexpr std::string_view prefix = ".nv.info.";
      for (std::size_t i = 0; i < head.e_shnum; ++i) {
        const Elf64_Shdr s = section(i);
        const std::string_view name = reinterpret_cast<const char*>(names + s.sh_name);
        if (!name.starts_with(prefix)) continue;
        const std::byte* const begin = file + s.sh_offset;
        binary.parameters[std::string(name.substr(prefix.size()))] =
            read_places(begin, begin + s.sh_size);
      }
    }
    at += header + size;
  }
}

std::string short_name(const std::string& symbol) {
  int status = 0;
  const std::unique_ptr<char, void (*)(void*)> text(
      abi::__cxa_demangle(symbol.c_str(), nullptr, nullptr, &status), std::free);
  if (!text) return symbol;
  static const std::regex scopes(
      "\\(anonymous namespace\\)::|_GLOBAL__N__\\w+::|"
      "\\b(kernels|simt|on_cuda|bench)::");
  std::string name = std::regex_replace(std::string(text.get()), scopes, "");
  // Without the arguments, which begin at the first bracket outside of template brackets.
  int depth = 0;
  std::size_t first = 0;
  for (std::size_t i = 0; i < name.size(); ++i) {
    depth += name[i] == '<' ? 1 : name[i] == '>' ? -1 : 0;
    if (depth == 0 && name[i] == ' ') first = i + 1;  // after the type of the result
    if (depth == 0 && name[i] == '(') return name.substr(first, i - first);
  }
  return name;
}
}  // namespace standin
