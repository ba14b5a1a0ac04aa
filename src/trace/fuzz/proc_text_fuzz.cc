// Input: any file of /proc, all of which are read here in turn: links of descriptors, stat, status, counters, maps, kallsyms.
#include <cstddef>
#include <cstdint>
#include <sstream>
#include <string>

#include "base/check.h"
#include "trace/bpf/kernel/kernel_symbols.h"
#include "trace/proc_text.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace tcpwhy::trace;
  const std::string text(data, data + size);
  if (const auto inode = socket_inode(text))
    TCPWHY_CHECK(socket_inode("socket:[" + std::to_string(*inode) + "]") == inode);
  const char state = task_state(text);
  TCPWHY_CHECK(state == '\0' || text.find(state) != std::string::npos);
  std::istringstream status(text);
  TCPWHY_CHECK(status_value(status, "SigCgt").find('\n') == std::string::npos);
  if (const auto counters = counter_lines(text, "TcpExt:")) {
    TCPWHY_CHECK(!counters->names.empty() && counters->names.size() == counters->values.size());
    for (const auto name : counters->names) TCPWHY_CHECK(!name.empty() && name.find(' ') == std::string::npos);
  }
  std::istringstream maps(text);
  for (const MemoryRange& range : memory_ranges_in(maps)) TCPWHY_CHECK(range.path.find('\n') == std::string::npos);
  if (const auto symbols = KernelSymbols::parse(text))
    for (const std::uint64_t address : {std::uint64_t{0}, std::uint64_t{0xffffffff81000000}, ~std::uint64_t{0}})
      TCPWHY_CHECK(symbols->name(address).find('.') == std::string_view::npos);
  return 0;
}
