// The names of the kernel's functions by address, as /proc/kallsyms tells them to root.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace tcpwhy::trace {

class KernelSymbols {
 public:
  // Errors: privilege, where kernel.kptr_restrict hides the addresses.
  static base::Result<KernelSymbols> load();
  // The same of its text.
  static base::Result<KernelSymbols> parse(std::string_view text);
  // For tests: pairs in any order.
  explicit KernelSymbols(std::vector<std::pair<std::uint64_t, std::string>> symbols);

  // The function that `address` lies in, without a suffix such as ".isra.0"; "" below the first and for addresses of no
  // function (BPF programs, modules that are gone).
  [[nodiscard]] std::string_view name(std::uint64_t address) const;

 private:
  KernelSymbols() = default;
  struct Symbol {
    std::uint64_t address;
    std::uint32_t name;  // offset into names_
    std::uint32_t length;
  };
  std::vector<Symbol> symbols_;  // by address
  std::string names_;
};

}  // namespace tcpwhy::trace
