#include "trace/ptrace/process_status.h"

#include <fmt/format.h>

#include <charconv>
#include <cstdint>
#include <fstream>

#include "trace/proc_text.h"

namespace tcpwhy::trace {

std::string status_field(pid_t tid, std::string_view name) {
  std::ifstream file(fmt::format("/proc/{}/status", tid));
  return status_value(file, name);
}

pid_t pid_field(pid_t tid, std::string_view name) {
  const std::string text = status_field(tid, name);
  pid_t value = 0;
  std::from_chars(text.data(), text.data() + text.size(), value);
  return value;
}

bool has_signal(pid_t tid, std::string_view set, int signal) {
  const std::string text = status_field(tid, set);
  std::uint64_t bits = 0;
  std::from_chars(text.data(), text.data() + text.size(), bits, 16);
  return (bits >> (signal - 1) & 1) != 0;
}

}  // namespace tcpwhy::trace
