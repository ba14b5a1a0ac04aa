#include "trace/bpf/kernel/kernel_symbols.h"

#include <algorithm>
#include <charconv>
#include <fstream>
#include <iterator>

namespace tcpwhy::trace {
namespace {

constexpr std::uint64_t far_beyond = 1U << 20;  // no function is that long: what lies so far behind one is none

std::string_view without_suffix(std::string_view name) {
  // tcp_v4_rcv.isra.0, tcp_ack.constprop.0, tcp_data_queue.part.0.cold: the compiler's clones are the same function
  return name.substr(0, name.find('.'));
}

}  // namespace

KernelSymbols::KernelSymbols(std::vector<std::pair<std::uint64_t, std::string>> symbols) {
  std::ranges::sort(symbols);
  for (const auto& [address, symbol] : symbols) {
    const std::string_view name = without_suffix(symbol);
    symbols_.push_back({address, static_cast<std::uint32_t>(names_.size()), static_cast<std::uint32_t>(name.size())});
    names_ += name;
  }
}

base::Result<KernelSymbols> KernelSymbols::load() {
  std::ifstream file("/proc/kallsyms");
  if (!file) return base::fail_errno("/proc/kallsyms");
  return parse(std::string{std::istreambuf_iterator<char>(file), {}});
}

base::Result<KernelSymbols> KernelSymbols::parse(std::string_view text) {
  KernelSymbols made;
  for (std::string_view rest = text; !rest.empty();) {
    const std::size_t end = std::min(rest.find('\n'), rest.size());
    const std::string_view line = rest.substr(0, end);
    rest.remove_prefix(std::min(end + 1, rest.size()));
    std::uint64_t address = 0;
    const auto [after, error] = std::from_chars(line.data(), line.data() + line.size(), address, 16);
    const auto at = static_cast<std::size_t>(after - line.data());
    if (error != std::errc{} || at + 3 >= line.size()) continue;
    const char kind = line[at + 1];
    if (kind != 't' && kind != 'T' && kind != 'w' && kind != 'W') continue;
    std::string_view name = line.substr(at + 3);
    name = without_suffix(name.substr(0, name.find('\t')));  // a module's name follows after a tab
    made.symbols_.push_back(
        {address, static_cast<std::uint32_t>(made.names_.size()), static_cast<std::uint32_t>(name.size())});
    made.names_ += name;
  }
  std::ranges::sort(made.symbols_, {}, [](const Symbol& symbol) { return std::pair(symbol.address, symbol.name); });
  if (made.symbols_.empty() || made.symbols_.back().address == 0)
    return base::fail(base::ErrorKind::privilege,
                      {"/proc/kallsyms hides the kernel's addresses", "/proc/kallsyms 隐藏了内核地址"},
                      {"kernel.kptr_restrict must be 0 or 1, and this must run as root",
                       "kernel.kptr_restrict 须为 0 或 1，且须以 root 身份运行"});
  return made;
}

std::string_view KernelSymbols::name(std::uint64_t address) const {
  auto after = std::ranges::upper_bound(symbols_, address, {}, &Symbol::address);
  if (after == symbols_.begin()) return {};
  const Symbol& symbol = *--after;
  if (address - symbol.address > far_beyond) return {};
  return std::string_view(names_).substr(symbol.name, symbol.length);
}

}  // namespace tcpwhy::trace
