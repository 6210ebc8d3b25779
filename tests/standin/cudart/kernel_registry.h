// The kernels that a program registers at its start, with their parameters as their
// binaries describe them.
#pragma once
#include <cstddef>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

namespace standin {

struct Parameter {
  std::size_t offset, bytes;  // in the kernel's block of parameters
};

struct Binary;
struct Kernel {
  std::string symbol, name;  // mangled; short, without namespaces and arguments
  std::shared_ptr<Binary> binary;
};

class KernelRegistry {
 public:
  static KernelRegistry& get();
  std::shared_ptr<Binary> add_binary(const void* wrapper);
  void add_kernel(const void* host_function, std::shared_ptr<Binary>, const char* symbol);
  const Kernel* find(const void* host_function) const;  // null if it is not registered
  // False if the binary holds neither code nor PTX for the described card.
  bool runs_on_card(const Kernel&);
  const std::vector<Parameter>& parameters(const Kernel&);  // in order

 private:
  void read(Binary&);
  mutable std::mutex mutex_;
  std::map<const void*, Kernel> kernels_;
};

std::string short_name(const std::string& symbol);
}  // namespace standin
